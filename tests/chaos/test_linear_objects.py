"""The models of locks, rings and transactions, on histories made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.checkers import linear
from chaos.checkers.violation import Undecided, Violation
from chaos.history import Operation
from tests.chaos.histories import (
    Story,
    acquire,
    check,
    history,
    holder,
    op,
    read,
    refresh,
    release,
)


def said(*operations: Operation) -> list[Violation | Undecided]:
    """What the judges of linearizability say."""
    judged = history(*operations)
    return [item for ask in linear.JUDGES.values() for item in ask(judged)]


def held(begin: float, end: float, who: str, *holders: dict[str, Any], **more: Any) -> Operation:
    """An acquire that is refused because of these holders."""
    return acquire(begin, end, who, slug="lock-held", answer={"holders": list(holders)}, **more)


def listed(begin: float, end: float, *locks: dict[str, Any], **more: Any) -> Operation:
    answer = {"locks": list(locks), "next": more.pop("next", None)}
    return op(begin, end, "locks.list", answer=answer, **more)


def simple(begin: float, end: float | None, value: str, token: int = 0, **more: Any) -> Operation:
    answer = more.pop("answer", {"token": token} if token else None)
    return op(begin, end, "simple.lock", key="L", value=value, expire=1.0, answer=answer, **more)


def unlock(begin: float, end: float | None, value: str, **more: Any) -> Operation:
    return op(begin, end, "simple.unlock", key="L", value=value, **more)


SIMPLE = holder("simple protocol")

GOOD_LOCKS: dict[str, Story] = {
    "a wait is granted when the lock is given back": lambda: [
        acquire(0, 1, "a", 1),
        acquire(1, 4, "b", 2, wait=5),
        release(2, 3, "a", 1),
        read(4, 5, holder("b", 2)),
    ],
    "a wait that is over shows who had it": lambda: [
        acquire(0, 1, "a", 1),
        held(1, 3, "b", holder("a"), wait=1),
        release(2, 4, "a", 1),
    ],
    "free, for the first of its queue": lambda: [
        acquire(0, 1, "a", 1, ttl=1),
        acquire(1, 5, "b", 2, wait=5),
        held(1, 4, "c"),
    ],
    "free, for one whose wait is over when its turn comes": lambda: [
        acquire(0, 1, "a", 1, ttl=1),
        acquire(1, 2.5, "b", wait=1, slug="lock-held", answer={"holders": []}),
        held(1.5, 2.4, "c"),
    ],
    "a wait that a stopping node took back may have been granted": lambda: [
        acquire(0, 1, "a", 1),
        acquire(1, 4, "b", wait=5, slug="not-ready", status=503),
        release(1.5, 2, "a", 1),
        held(2.5, 3, "c", holder("b")),
        acquire(5, 6, "c", 3),
    ],
    "a lock of the simple protocol is the same lock": lambda: [
        simple(0, 1, "v", 1),
        held(1, 1.5, "a", SIMPLE),
        unlock(1.6, 1.7, "v"),
        acquire(2, 3, "a", 2),
        simple(3, 4, "w", slug="lock-held", answer={"holders": [holder("a")]}),
        unlock(4, 5, "w", slug="not-holder"),
    ],
    "an answer shows the token of a grant of which nobody heard": lambda: [
        acquire(0, None, "a"),
        read(1, 2, holder("a", 4)),
        check(3, 4, 4, True),
        release(5, None, "a", 4),
        acquire(6, 7, "b", 5),
    ],
    "a list shows it, another one shows all that are held": lambda: [
        acquire(0, 1, "a", 1),
        listed(1, 2, {"name": "L", "holders": [holder("a", 1)]}),
        release(2, 3, "a", 1),
        listed(3, 4),
    ],
    "a list that is not whole says nothing of those behind it": lambda: [
        acquire(0, 1, "a", 1),
        listed(1, 2, next="K"),
        listed(1, 2, after="M"),
    ],
    "a shorter lease by a refresh of which nobody heard": lambda: [
        acquire(0, 1, "a", 1),
        refresh(1, None, "a", 1, ttl=1),
        read(3, 4),
    ],
    "the session ended": lambda: [
        op(0, 1, "session.open", ttl=2.0, answer={"id": 5}),
        acquire(1, 1.5, "a", 1, ttl=None, session=5),
        acquire(3, 4, "b", 2),
        op(5, 6, "session.keepalive", id=5, slug="unknown-session"),
    ],
    "what was refused by the cluster says nothing": lambda: [
        acquire(0, 1, "a", 1),
        acquire(1, 2, "b", slug="no-leader", status=503),
        release(2, 3, "a", 1, slug="overloaded", status=503),
        read(3, 4, holder("a", 1)),
    ],
    "the answer to a repeated request carries a later revision": lambda: [
        acquire(0, 5, "a", 1, revision=9),
        read(1, 2, holder("a", 1), revision=4),
        release(6, 7, "a", 1, revision=12),
    ],
}

BAD_LOCKS: dict[str, Story] = {
    "held by two in turn, while the first still has it": lambda: [
        acquire(0, 1, "a", 1),
        acquire(2, 3, "b", 2),
    ],
    "given to a value while it is held": lambda: [acquire(0, 1, "a", 1), simple(2, 3, "v", 2)],
    "freed by another value": lambda: [simple(0, 0.1, "v", 1), unlock(0.2, 0.3, "w")],
    "refused though it is free": lambda: [
        acquire(0, 1, "a", 1),
        release(2, 3, "a", 1),
        held(4, 5, "b", holder("a")),
    ],
    "refused though nobody has it and nobody waits": lambda: [
        acquire(0, 1, "a", 1),
        release(2, 3, "a", 1),
        held(4, 5, "b"),
    ],
    "refused to its own holder as another's": lambda: [
        acquire(0, 1, "a", 1),
        held(2, 3, "a", holder("a")),
    ],
    "two holders in one answer": lambda: [
        acquire(0, 1, "a", 1),
        read(2, 3, holder("a", 1), holder("b", 2)),
    ],
    "a list without it": lambda: [acquire(0, 1, "a", 1), listed(2, 3)],
    "a list shows it as another's": lambda: [
        acquire(0, 1, "a", 1),
        acquire(0, None, "b"),
        listed(2, 3, {"name": "L", "holders": [holder("b")]}),
    ],
    "told to have another's grant": lambda: [
        acquire(0, 1, "a", 1),
        acquire(2, 3, "b", slug="already-held", answer={"grant": holder("a", 1)}),
    ],
    "granted to whom a starting node refused without a wait": lambda: [
        acquire(0, 1, "a", slug="not-ready", status=503),
        read(2, 3, holder("a", 1)),
    ],
    "held beyond its session": lambda: [
        op(0, 1, "session.open", ttl=2.0, answer={"id": 5}),
        acquire(1, 1.5, "a", 1, ttl=None, session=5),
        op(1.6, 1.8, "session.close", id=5),
        read(2, 3, holder("a", 1, 5)),
    ],
    "the unheard request explains one grant, not two": lambda: [
        acquire(0, None, "a"),
        read(1, 2, holder("a", 1)),
        read(3, 4),
        read(5, 6, holder("a", 2)),
    ],
    "the unheard request got a token that was given before": lambda: [
        acquire(0, 1, "b", 5),
        release(1, 2, "b", 5),
        acquire(2, None, "a"),
        acquire(3, 4, "c", slug="lock-held", answer={"holders": [holder("a")]}),
        release(5, 6, "a", 3),
    ],
    "a read that goes back": lambda: [
        acquire(0, 5, "a", 1),
        read(1, 2, holder("a", 1)),
        read(3, 4),
        check(6, 7, 1, True),
    ],
}


def joined(begin: float, end: float | None, who: str, version: int = 0, **more: Any) -> Operation:
    answer = {"version": version, "changed": more.pop("changed", True)} if version else None
    return op(begin, end, "ring.join", ring="R", member=who, answer=answer, **more)


def left(begin: float, end: float | None, who: str, version: int = 0, **more: Any) -> Operation:
    answer = {"version": version, "changed": more.pop("changed", True)} if version else None
    return op(begin, end, "ring.leave", ring="R", member=who, answer=answer, **more)


def ring(begin: float, end: float, version: int, *members: str | dict[str, Any]) -> Operation:
    shown = [{"id": who, "weight": 1.0} if isinstance(who, str) else who for who in members]
    answer = {"version": version, "members": shown, "virtual_nodes": 128}
    return op(begin, end, "ring.read", ring="R", answer=answer)


def of_session(session: int, *names: str) -> list[dict[str, Any]]:
    return [{"id": name, "weight": 1.0, "session": session} for name in names]


GOOD_RINGS: dict[str, Story] = {
    "made by the first to join": lambda: [
        op(0, 1, "ring.read", ring="R", slug="unknown-ring", status=404),
        joined(0, 2, "a", 1),
        ring(2, 3, 1, "a"),
    ],
    "changes of which nobody heard fill the versions": lambda: [
        joined(0, 1, "a", 1),
        joined(1, None, "b"),
        left(1, None, "a"),
        joined(3, 4, "c", 4),
        ring(5, 6, 4, "b", "c"),
    ],
    "all members of a session leave at once, each a version": lambda: [
        op(0, 1, "session.open", ttl=2.0, answer={"id": 5}),
        joined(1, 1.1, "a", 1, session=5),
        joined(1.2, 1.3, "b", 2, session=5),
        joined(4, 5, "c", 5),
        ring(5, 6, 5, "c"),
        op(7, 8, "rings.list", answer={"rings": [{"name": "R", "version": 5}]}),
    ],
    "a version in the answer to what changed nothing": lambda: [
        joined(0, 1, "a", 1),
        joined(1, 2, "a", 1, changed=False),
        left(2, 3, "x", 1, changed=False),
    ],
}

BAD_RINGS: dict[str, Story] = {
    "a version is passed over": lambda: [joined(0, 1, "a", 1), joined(1.5, 2, "b", 3)],
    "a change keeps the version": lambda: [joined(0, 1, "a", 1), joined(2, 3, "b", 1)],
    "not there, though it was made": lambda: [
        joined(0, 1, "a", 1),
        op(2, 3, "ring.read", ring="R", slug="unknown-ring", status=404),
    ],
    "one of a session's members leaves alone": lambda: [
        op(0, 1, "session.open", ttl=2.0, answer={"id": 5}),
        joined(1, 1.1, "a", 1, session=5),
        joined(1.2, 1.3, "b", 2, session=5),
        ring(4, 5, 3, *of_session(5, "b")),
    ],
    "members leave before their session ends": lambda: [
        op(0, 1, "session.open", ttl=9.0, answer={"id": 5}),
        joined(1, 1.1, "a", 1, session=5),
        ring(2, 3, 2),
    ],
    "a member stays, though its session was closed": lambda: [
        op(0, 1, "session.open", ttl=9.0, answer={"id": 5}),
        joined(1, 1.1, "a", 1, session=5),
        op(2, 3, "session.close", id=5),
        ring(4, 5, 1, *of_session(5, "a")),
    ],
    "another weight": lambda: [
        joined(0, 1, "a", 1),
        ring(2, 3, 1, {"id": "a", "weight": 2.0}),
    ],
    "listed with another version": lambda: [
        joined(0, 1, "a", 1),
        op(2, 3, "rings.list", answer={"rings": [{"name": "R", "version": 2}]}),
    ],
}


def begun(begin: float, end: float, *names: str, **more: Any) -> Operation:
    asked = {"timeout": 9.0, "decide": "on_request", **more}
    answer = {"id": 1, "state": "open", "decision": None}
    return op(begin, end, "transaction.begin", participants=list(names), answer=answer, **asked)


def case(state: str, decision: str | None = None, **more: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": 1, "state": state, "decision": decision}
    for field in ("reason", "participants"):
        if field in more:
            shown[field] = more[field]
    return shown


def ask(
    begin: float, end: float | None, what: str, shown: dict[str, Any] | None = None, **more: Any
) -> Operation:
    return op(begin, end, f"transaction.{what}", id=1, answer=shown, **more)


def voted(
    begin: float, end: float | None, who: str, what: str = "commit", **more: Any
) -> Operation:
    shown = more.pop("answer", case("open") if what == "commit" else ABORTED)
    return ask(begin, end, "vote", shown, participant=who, vote=what, **more)


ABORTED = case("aborted", "abort", reason="vote")
COMMITTED = case("committed", "commit")

GOOD_CASES: dict[str, Story] = {
    "votes missing, then all there": lambda: [
        begun(0, 1, "p", "q"),
        voted(1, 2, "p"),
        ask(2, 3, "commit", {"missing": ["q"]}, slug="votes-missing"),
        voted(3, 4, "q"),
        ask(4, 5, "commit", COMMITTED),
        ask(5, 6, "ack", COMMITTED, participant="p"),
        ask(6, 7, "ack", case("finished", "commit"), participant="q"),
    ],
    "the last vote decides": lambda: [
        begun(0, 1, "p", decide="auto"),
        voted(1, 2, "p", answer=COMMITTED),
    ],
    "asked of before it was there": lambda: [
        ask(0, 1, "read", slug="unknown-transaction", status=404),
        begun(0, 2, "p"),
    ],
    "a commit of which nobody heard": lambda: [
        begun(0, 1, "p"),
        voted(1, 2, "p"),
        ask(2, None, "commit"),
        ask(3, 4, "read", case("open", participants={"p": {"vote": "commit", "acked": False}})),
        ask(5, 6, "rollback", COMMITTED, slug="transaction-decided"),
    ],
    "its time is over": lambda: [
        begun(0, 1, "p", timeout=2.0),
        ask(3, 4, "rollback", case("aborted", "abort", reason="timeout")),
    ],
    "its session ended, at its time": lambda: [
        op(0, 0.1, "session.open", ttl=2.0, answer={"id": 5}),
        begun(0.2, 0.3, "p", session=5, timeout=2.0),
        ask(4, 5, "read", case("aborted", "abort", reason="session-gone")),
        ask(6, 7, "read", case("aborted", "abort", reason="timeout")),
    ],
    "nothing is decided that could be acknowledged": lambda: [
        begun(0, 1, "p"),
        ask(1, 2, "ack", case("open"), participant="p", slug="transaction-open"),
        voted(2, 3, "x", answer={}, slug="unknown-participant"),
    ],
}

BAD_CASES: dict[str, Story] = {
    "committed with a vote missing": lambda: [
        begun(0, 1, "p", "q"),
        voted(1, 2, "p"),
        ask(3, 4, "commit", COMMITTED),
    ],
    "open after its decision": lambda: [
        begun(0, 1, "p"),
        voted(1, 2, "p", "abort"),
        ask(3, 4, "read", case("open")),
    ],
    "aborted, with another reason": lambda: [
        begun(0, 1, "p"),
        ask(2, 3, "rollback", case("aborted", "abort", reason="timeout")),
    ],
    "refused, though it can be committed": lambda: [
        begun(0, 1, "p"),
        voted(1, 2, "p"),
        ask(3, 4, "commit", {"missing": ["p"]}, slug="votes-missing"),
    ],
    "open, though the last vote is in": lambda: [
        begun(0, 1, "p", decide="auto"),
        voted(1, 2, "p", answer=case("open")),
    ],
    "finished before all acknowledged": lambda: [
        begun(0, 1, "p", "q"),
        voted(1, 2, "p", "abort"),
        ask(2, 3, "ack", case("finished", "abort", reason="vote"), participant="p"),
    ],
    "unknown, though it was begun": lambda: [
        begun(0, 1, "p"),
        ask(2, 3, "read", slug="unknown-transaction", status=404),
    ],
    "forgotten at once": lambda: [
        begun(0, 1, "p"),
        voted(1, 2, "p", "abort"),
        ask(3, 4, "read", slug="forgotten", status=410),
    ],
    "a late vote": lambda: [
        begun(0, 1, "p", "q"),
        voted(1, 2, "p", "abort"),
        voted(3, 4, "q", answer=ABORTED),
    ],
    "a conflict with a vote that was never given": lambda: [
        begun(0, 1, "p"),
        voted(1, 2, "p", answer={"participant": "p", "vote": "abort"}, slug="vote-conflict"),
    ],
}


def prepared(
    begin: float, end: float | None, value: str, number: int = 0, **more: Any
) -> Operation:
    shown = more.pop("answer", {"transaction": number, "state": "prepared"} if number else None)
    asked = {"key": "D", "value": value, "expire": more.pop("expire", 9.0)}
    return op(begin, end, "simple.prepare", answer=shown, **asked, **more)


def deal(
    begin: float, end: float | None, what: str, value: str | None, number: int, **more: Any
) -> Operation:
    state = more.pop("state", {"commit": "committed", "rollback": "aborted"}[what])
    more["value" if what == "commit" else "prepared"] = value
    answer = {"transaction": number, "state": state}
    return op(begin, end, f"simple.{what}", key="D", answer=answer, **more)


def refused_for(begin: float, end: float, value: str, number: int) -> Operation:
    answer = {"transaction": number, "state": "prepared"}
    return prepared(begin, end, value, slug="already-prepared", answer=answer)


GOOD_DEALS: dict[str, Story] = {
    "one after the other": lambda: [
        prepared(0, 1, "v", 1),
        refused_for(1, 2, "w", 1),
        deal(2, 3, "commit", "v", 1),
        prepared(3, 4, "w", 2),
        deal(4, 5, "commit", "v", 1),
        deal(5, 6, "rollback", None, 2),
        deal(6, 7, "commit", "w", 2, slug="transaction-decided", state="aborted"),
    ],
    "its time is over": lambda: [
        prepared(0, 1, "v", 1, expire=1.0),
        deal(2, 3, "commit", "v", 1, slug="transaction-decided", state="aborted"),
        prepared(3, 4, "w", 2),
    ],
    "decided by its id": lambda: [
        prepared(0, 1, "v", 1),
        op(2, 3, "transaction.rollback", id=1, answer=case("finished", "abort")),
        prepared(3, 4, "w", 2),
    ],
    "nobody heard of it, and a stranger decides it": lambda: [
        prepared(0, None, "v"),
        op(2, 3, "transaction.rollback", id=1, answer=case("finished", "abort")),
        deal(4, 5, "commit", "v", 1, slug="transaction-decided", state="aborted"),
    ],
    "forgotten after ten minutes": lambda: [
        prepared(0, 1, "v", 1),
        deal(1, 2, "commit", "v", 1),
        deal(605, 606, "rollback", "w", 1, slug="not-prepared", state="none"),
        deal(605, 606, "rollback", "v", 1, slug="not-prepared", state="none"),
    ],
    "never prepared": lambda: [
        deal(0, 1, "rollback", None, 0, slug="not-prepared", state="none"),
        prepared(1, 2, "v", 1),
        deal(2, 3, "commit", "w", 1, slug="not-prepared", state="prepared"),
    ],
}

BAD_DEALS: dict[str, Story] = {
    "two prepared": lambda: [prepared(0, 1, "v", 1), prepared(2, 3, "w", 2)],
    "refused though nothing is prepared": lambda: [
        prepared(0, 1, "v", 1),
        deal(1, 2, "commit", "v", 1),
        refused_for(3, 4, "w", 1),
    ],
    "committed and rolled back": lambda: [
        prepared(0, 1, "v", 1),
        deal(1, 2, "commit", "v", 1),
        deal(3, 4, "rollback", "v", 1),
    ],
    "the decision of an earlier one is another": lambda: [
        prepared(0, 1, "v", 1),
        deal(1, 2, "commit", "v", 1),
        prepared(3, 4, "w", 2),
        deal(5, 6, "rollback", "v", 1),
    ],
    "aborted before its time": lambda: [
        prepared(0, 1, "v", 1),
        deal(2, 3, "commit", "v", 1, slug="transaction-decided", state="aborted"),
    ],
    "another is said to be the latest": lambda: [
        prepared(0, 1, "v", 1),
        deal(2, 3, "commit", "w", 1, slug="not-prepared", state="committed"),
    ],
    "not known though it was prepared": lambda: [
        prepared(0, 1, "v", 1),
        deal(2, 3, "commit", "v", 1, slug="not-prepared", state="none"),
    ],
    "prepared though its id was decided": lambda: [
        prepared(0, 1, "v", 1),
        op(2, 3, "transaction.commit", id=1, answer=case("finished", "commit")),
        refused_for(4, 5, "w", 1),
    ],
}

BAD = {
    "linear locks": BAD_LOCKS,
    "linear rings": BAD_RINGS,
    "linear transactions": BAD_CASES,
    "linear simple transactions": BAD_DEALS,
}


@pytest.mark.parametrize(
    "story",
    [*GOOD_LOCKS.values(), *GOOD_RINGS.values(), *GOOD_CASES.values(), *GOOD_DEALS.values()],
    ids=[*GOOD_LOCKS, *GOOD_RINGS, *(f"{name}, case" for name in GOOD_CASES), *GOOD_DEALS],
)
def test_a_good_history_has_an_order(story: Story) -> None:
    assert said(*story()) == []


@pytest.mark.parametrize(
    ("judge", "name"), [(judge, name) for judge, stories in BAD.items() for name in stories]
)
def test_a_bad_history_has_none(judge: str, name: str) -> None:
    (violation,) = linear.JUDGES[judge](history(*BAD[judge][name]()))
    assert isinstance(violation, Violation)
    assert violation.rule == "not linearizable"
    assert 1 <= len(violation.operations) <= 4


def test_an_order_by_time_that_contradicts_the_revisions_is_a_violation() -> None:
    story = [
        acquire(0, 9, "a", 1, revision=5),
        read(0, 9, revision=7),
        read(0, 9, holder("a", 1), revision=6),
        release(10, 11, "a", 1, revision=12),
    ]
    (violation,) = said(*story)
    assert isinstance(violation, Violation)
    assert violation.rule == "not in the order of revisions"
    assert said(*story[:1], *story[2:]) == []


def test_a_violation_says_what_was_there_before_it() -> None:
    (violation,) = said(acquire(0, 1, "a", 1), read(2, 3))
    assert violation.text == (
        "lock L: no order explains that lock.read was answered ok; before it: held by a with"
        " token 1"
    )
