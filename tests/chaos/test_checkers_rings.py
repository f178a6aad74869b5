"""The judges of rings and sessions, on histories made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.history import Operation
from raftcoord.hashring import HashRing
from tests.chaos.histories import Story, found, op, rules


def join(
    begin: float,
    end: float | None,
    member: str,
    version: int = 0,
    changed: bool = True,
    **more: Any,
) -> Operation:
    answer = {"version": version, "changed": changed} if version else None
    return op(begin, end, "ring.join", ring="R", member=member, answer=answer, **more)


def leave(
    begin: float,
    end: float | None,
    member: str,
    version: int = 0,
    changed: bool = True,
    **more: Any,
) -> Operation:
    answer = {"version": version, "changed": changed} if version else None
    return op(begin, end, "ring.leave", ring="R", member=member, answer=answer, **more)


def read(
    begin: float,
    end: float,
    version: int,
    *members: str,
    session: int | None = None,
    **weights: float,
) -> Operation:
    shown: list[dict[str, Any]] = [{"id": name, "weight": 1.0} for name in members]
    shown += [{"id": name, "weight": weight} for name, weight in weights.items()]
    if session is not None:
        shown = [{**member, "session": session} for member in shown]
    answer = {"version": version, "members": shown, "virtual_nodes": 128}
    return op(begin, end, "ring.read", ring="R", answer=answer)


def lookup(begin: float, end: float, version: int, key: str, *members: str) -> Operation:
    answer = {"version": version, "members": list(members)}
    return op(begin, end, "ring.lookup", ring="R", key=key, n=1, answer=answer)


def opened(begin: float, end: float, session: int, ttl: float = 10.0) -> Operation:
    return op(begin, end, "session.open", ttl=ttl, answer={"id": session, "ttl": ttl})


def kept(begin: float, end: float, session: int, slug: str | None = None) -> Operation:
    return op(begin, end, "session.keepalive", id=session, slug=slug)


def closed(begin: float, end: float | None, session: int, **more: Any) -> Operation:
    return op(begin, end, "session.close", id=session, **more)


OWNER = HashRing([("a", 1.0), ("b", 1.0)]).owner("key") or ""
OTHER = {"a": "b", "b": "a"}[OWNER]

GOOD: dict[str, Story] = {
    "changes one after the other": lambda: [
        join(0, 1, "a", 1),
        join(1.1, 2, "b", 2),
        read(2.1, 2.2, 2, "a", "b"),
        leave(3, 4, "a", 3),
        leave(4.1, 4.2, "a", 3, changed=False),
        read(5, 6, 3, "b"),
        lookup(5, 6, 3, "key", "b"),
    ],
    "a read while the change is under way": lambda: [
        join(0, 1, "a", 1),
        join(2, 5, "b", 2),
        read(3, 4, 1, "a"),
        read(3, 4, 2, "a", "b"),
    ],
    "a change of unknown outcome works late, or never": lambda: [
        join(0, 1, "a", 1),
        leave(1.5, None, "a"),
        read(2, 3, 1, "a"),
        read(5, 6, 2),
    ],
    "a member leaves with its session": lambda: [
        opened(0, 1, 5),
        join(1, 2, "a", 1, session=5),
        read(2.5, 2.6, 1, "a", session=5),
        closed(3, 4, 5),
        read(4.1, 5, 2),
    ],
    "one whose session ran out stays until that is collected": lambda: [
        opened(0, 1, 5, ttl=2),
        join(1, 1.5, "a", 1, session=5),
        kept(3, 3.1, 5, slug="unknown-session"),
        read(3.2, 3.3, 1, "a", session=5),
        read(4, 5, 2),
    ],
    "one whose session ran out before it was closed": lambda: [
        opened(0, 1, 5, ttl=2),
        join(1, 1.5, "a", 1, session=5),
        closed(3, 3.1, 5, slug="unknown-session"),
        read(3.2, 3.3, 1, "a", session=5),
    ],
    "a join that was there already": lambda: [
        join(0, None, "a"),
        join(1, 2, "a", 1, changed=False),
        join(3, 4, "a", 1, changed=False),
    ],
    "the weight counts": lambda: [
        join(0, 1, "a", 1),
        join(2, 3, "a", 2, weight=2.0),
        read(4, 5, 2, a=2.0),
    ],
    "sessions come and go": lambda: [
        opened(0, 1, 5, ttl=2),
        kept(1, 1.5, 5),
        opened(1.6, 1.7, 6),
        kept(4, 5, 5, slug="unknown-session"),
        closed(6, None, 6),
        kept(7, 7.1, 6),
        kept(8, 8.1, 6, slug="unknown-session"),
    ],
}

BAD: dict[str, tuple[str, Story]] = {
    "a join came twice": (
        "executed twice",
        lambda: [join(0, 1, "b", 1), join(2, 3, "a", 2, changed=False)],
    ),
    "an acknowledged join is not there": (
        "ring change lost",
        lambda: [join(0, 1, "a", 1), join(1, 2, "b", 2), read(3, 4, 2, "b")],
    ),
    "an acknowledged leave is undone": (
        "ring change lost",
        lambda: [join(0, 1, "a", 1), leave(1, 2, "a", 2), read(3, 4, 3, "a")],
    ),
    "the weight before": (
        "ring change lost",
        lambda: [join(0, 1, "a", 1), join(2, 3, "a", 2, weight=2.0), read(4, 5, 2, "a")],
    ),
    "a refused join is there": (
        "ring change lost",
        lambda: [join(0, 1, "a", slug="no-leader"), join(1, 2, "b", 1), read(3, 4, 1, "a", "b")],
    ),
    "a member from nowhere": (
        "member from nowhere",
        lambda: [join(0, 1, "a", 1), read(3, 4, 1, "a", "x")],
    ),
    "an older version later": (
        "versions fall",
        lambda: [join(0, 1, "a", 1), join(1, 2, "b", 2), read(3, 4, 1, "a")],
    ),
    "a version for two changes": (
        "version repeated",
        lambda: [join(0, 3, "a", 1), join(0, 3, "b", 1)],
    ),
    "a version for two contents": (
        "two contents of a version",
        lambda: [
            join(0, 1, "a", 1),
            join(1, None, "b"),
            read(2, 3, 2, "a"),
            read(2, 3, 2, "a", "b"),
        ],
    ),
    "a key with the wrong owner": (
        "wrong lookup",
        lambda: [
            join(0, 1, "a", 1),
            join(1, 2, "b", 2),
            read(3, 4, 2, "a", "b"),
            lookup(3, 4, 2, "key", OTHER),
        ],
    ),
    "a member is gone though its session lives": (
        "member and session apart",
        lambda: [
            opened(0, 1, 5),
            join(1, 2, "a", 1, session=5),
            read(3, 4, 2),
            kept(5, 6, 5),
        ],
    ),
    "a member stays though its session was closed": (
        "member and session apart",
        lambda: [
            opened(0, 1, 5),
            join(1, 2, "a", 1, session=5),
            closed(3, 4, 5),
            read(5, 6, 1, "a", session=5),
        ],
    ),
    "a session is gone before its time": (
        "session lost or back again",
        lambda: [opened(0, 1, 5), kept(2, 3, 5, slug="unknown-session")],
    ),
    "a session is gone though it was kept alive": (
        "session lost or back again",
        lambda: [
            opened(0, 0.5, 5, ttl=2),
            kept(1.5, 1.6, 5),
            kept(2.5, 2.6, 5, slug="unknown-session"),
        ],
    ),
    "a session is gone though its closing was refused": (
        "session lost or back again",
        lambda: [
            opened(0, 1, 5),
            closed(1, 2, 5, slug="no-leader", status=503),
            kept(2, 3, 5, slug="unknown-session"),
        ],
    ),
    "a session is gone and back": (
        "session lost or back again",
        lambda: [
            opened(0, 1, 5, ttl=2),
            kept(4, 5, 5, slug="unknown-session"),
            kept(6, 7, 5),
        ],
    ),
    "a closed session is back": (
        "session lost or back again",
        lambda: [opened(0, 1, 5), closed(2, 3, 5), kept(4, 5, 5)],
    ),
    "a session id for two": (
        "session id repeated",
        lambda: [opened(0, 2, 5), opened(1, 3, 5)],
    ),
    "a lower session id later": (
        "session ids fall",
        lambda: [opened(0, 1, 5), opened(2, 3, 4)],
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_history_gets_no_violation(name: str) -> None:
    assert found(*GOOD[name]()) == []


@pytest.mark.parametrize("name", BAD)
def test_a_bad_history_gets_its_violation(name: str) -> None:
    rule, story = BAD[name]
    assert rule in rules(*story())


def test_a_right_lookup_is_right() -> None:
    story = [
        join(0, 1, "a", 1),
        join(1, 2, "b", 2),
        read(3, 4, 2, "a", "b"),
        lookup(3, 4, 2, "key", OWNER),
    ]
    assert found(*story) == []
