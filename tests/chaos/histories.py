"""Histories made by hand: one line for each operation, times in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from chaos import checkers
from chaos.checkers import Undecided, Violation, linear
from chaos.checkers.counters import FRESH
from chaos.history import FOREVER, SECOND, Fault, History, Operation, Outcome

NODES = ("n1", "n2", "n3")
_numbers = count(1)


def op(
    begin: float,
    end: float | None,
    kind: str,
    outcome: Outcome = "ok",
    *,
    by: str = "a",
    node: str = "n1",
    slug: str | None = None,
    revision: int | None = None,
    answer: dict[str, Any] | None = None,
    status: int | None = None,
    **arguments: Any,
) -> Operation:
    """An operation; `end` None: it never ended."""
    settled: Outcome = "unknown" if end is None else "refused" if slug else outcome
    if status is None and settled != "unknown":
        status = 409 if slug else 200
    return Operation(
        f"{by}-{next(_numbers)}",
        by,
        node,
        kind,
        {key: value for key, value in arguments.items() if value is not None},
        int(begin * SECOND),
        FOREVER if end is None else int(end * SECOND),
        settled,
        status,
        slug,
        revision,
        answer or {},
    )


def history(*operations: Operation, faults: Iterable[Fault] = (), fresh: bool = False) -> History:
    """A history of these operations; `fresh`: the cluster began with it."""
    ordered = sorted(operations, key=lambda item: (item.begin, item.id))
    return History(tuple(ordered), tuple(faults), NODES, {FRESH: fresh})


def found(*operations: Operation, faults: Iterable[Fault] = ()) -> list[Violation]:
    """What all judges find."""
    verdict = checkers.judge(history(*operations, faults=faults))
    return [violation for violations in verdict.violations.values() for violation in violations]


def rules(*operations: Operation, faults: Iterable[Fault] = ()) -> set[str]:
    """The rules that all judges find broken."""
    return {violation.rule for violation in found(*operations, faults=faults)}


def orderless(*operations: Operation) -> list[Violation | Undecided]:
    """What the judges of linearizability find."""
    judged = history(*operations)
    return [said for ask in linear.JUDGES.values() for said in ask(judged)]


Story = Callable[[], list[Operation]]


def holder(owner: str, token: int | None = None, session: int | None = None) -> dict[str, Any]:
    """A holder as an answer shows it."""
    shown = {"owner": owner, "token": token, "session": session}
    return {key: value for key, value in shown.items() if value is not None}


def acquire(
    begin: float,
    end: float | None,
    owner: str,
    token: int | None = None,
    *,
    lock: str = "L",
    ttl: float | None = 10.0,
    **more: Any,
) -> Operation:
    """An acquire: granted with `token`, else as `slug` or `end` say."""
    answer = more.pop("answer", None)
    if token is not None:
        answer = {"token": token, "holder": holder(owner), "expires_in": more.pop("got", ttl)}
    return op(
        begin, end, "lock.acquire", by=owner, name=lock, owner=owner, ttl=ttl, answer=answer, **more
    )


def release(
    begin: float, end: float | None, owner: str, token: int, *, lock: str = "L", **more: Any
) -> Operation:
    """A release."""
    return op(begin, end, "lock.release", by=owner, name=lock, owner=owner, token=token, **more)


def refresh(
    begin: float, end: float | None, owner: str, token: int, *, lock: str = "L", **more: Any
) -> Operation:
    """A refresh."""
    return op(begin, end, "lock.refresh", by=owner, name=lock, owner=owner, token=token, **more)


def check(begin: float, end: float, token: int, holds: bool, *, lock: str = "L") -> Operation:
    """A check and what it said."""
    return op(begin, end, "lock.check", by="z", name=lock, token=token, answer={"holds": holds})


def read(
    begin: float, end: float, *holders: dict[str, Any], lock: str = "L", **more: Any
) -> Operation:
    """A read of a lock that shows these holders."""
    answer = {"holders": list(holders), "queue": 0}
    return op(begin, end, "lock.read", by="z", name=lock, answer=answer, **more)
