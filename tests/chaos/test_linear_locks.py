"""The model of a lock, on histories made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.checkers import Violation
from chaos.history import Operation
from tests.chaos.histories import (
    Story,
    acquire,
    check,
    holder,
    op,
    orderless,
    read,
    refresh,
    release,
)


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

GOOD: dict[str, Story] = {
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

BAD: dict[str, Story] = {
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


@pytest.mark.parametrize("name", GOOD)
def test_a_good_history_has_an_order(name: str) -> None:
    assert orderless(*GOOD[name]()) == []


@pytest.mark.parametrize("name", BAD)
def test_a_bad_history_has_none(name: str) -> None:
    (violation,) = orderless(*BAD[name]())
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
    (violation,) = orderless(*story)
    assert isinstance(violation, Violation)
    assert violation.rule == "not in the order of revisions"
    assert orderless(*story[:1], *story[2:]) == []


def test_a_violation_says_what_was_there_before_it() -> None:
    (violation,) = orderless(acquire(0, 1, "a", 1), read(2, 3))
    assert violation.text == (
        "lock L: no order explains that lock.read was answered ok; before it: held by a with"
        " token 1"
    )
