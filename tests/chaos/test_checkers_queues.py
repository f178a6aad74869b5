"""The judge of queues, on histories made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.checkers.queues import (
    CUT_SHORT,
    NOBODY,
    NOT_ANSWERED,
    PASSED,
    TOO_FEW,
    TOO_MANY,
)
from chaos.history import SECOND, Fault, Operation
from tests.chaos.histories import Story, acquire, found, holder, op, release, rules
from tests.chaos.test_checkers_late import writes

HELD: dict[str, Any] = {"holders": [holder("x", 1)], "queue": 0}


def waited_for(at: float, count: int) -> Operation:
    """A read that shows a queue of so many."""
    answer = {"holders": [holder("x", 1)], "queue": count}
    return op(at, at + 0.1, "lock.read", by="r", name="L", answer=answer)


def in_vain(begin: float, end: float, owner: str, wait: float, **more: Any) -> Operation:
    """A wait that ends without a grant."""
    return acquire(begin, end, owner, wait=wait, slug="lock-held", answer=HELD, **more)


def held() -> Operation:
    return acquire(0, 0.1, "x", 1, ttl=1_000.0)


GOOD: dict[str, Story] = {
    "first come, first served": lambda: [
        held(),
        acquire(1, 5, "a", 2, wait=9),
        waited_for(2, 1),
        acquire(3, 7, "b", 3, wait=9),
        release(4, 4.5, "x", 1),
        release(6, 6.5, "a", 2),
    ],
    "who was not heard joins the place that it had": lambda: [
        held(),
        acquire(1, None, "b", wait=9),
        in_vain(2, 7, "a", 5),
        acquire(3, 5, "b", 2, wait=9),
        release(4, 4.5, "x", 1),
    ],
    "so does another request of one holder": lambda: [
        held(),
        in_vain(1, 4, "b", 3),
        in_vain(2, 7, "a", 5),
        acquire(3, 5, "b", 2, wait=9),
        release(4, 4.5, "x", 1),
    ],
    "nobody knows who came first": lambda: [
        held(),
        acquire(1, 7, "a", 3, wait=9),
        acquire(1.5, 5, "b", 2, wait=9),
        waited_for(2, 2),
        release(4, 4.5, "x", 1),
        release(6, 6.5, "b", 2),
    ],
    "the one that was seen to wait may be another": lambda: [
        held(),
        acquire(1, 7, "a", 3, wait=9),
        acquire(1.5, None, "c", wait=9),
        waited_for(2, 1),
        acquire(3, 5, "b", 2, wait=9),
        release(4, 4.5, "x", 1),
        release(6, 6.5, "b", 2),
    ],
    "the place may be that of an earlier request of the same holder": lambda: [
        held(),
        acquire(0.5, None, "a", wait=2),
        acquire(1, 7, "a", 3, wait=9),
        waited_for(2, 1),
        acquire(3, 5, "b", 2, wait=9),
        release(4, 4.5, "x", 1),
        release(6, 6.5, "b", 2),
    ],
    "its wait was over when the next one was served": lambda: [
        held(),
        in_vain(1, 4, "a", 2),
        waited_for(2, 1),
        acquire(2.5, 3.9, "b", 2, wait=9),
        release(3.5, 3.8, "x", 1),
    ],
    "somebody hung up": lambda: [
        held(),
        acquire(1, None, "a", wait=9),
        waited_for(2, 1),
        acquire(3, 5, "b", 2, wait=9),
        release(4, 4.5, "x", 1),
    ],
    "requests of one holder have one place": lambda: [
        held(),
        acquire(1, None, "a", wait=9),
        in_vain(1.5, 8, "a", 6),
        waited_for(2, 1),
    ],
    "one that nobody heard of may still wait": lambda: [
        held(),
        acquire(1, None, "a", wait=1),
        waited_for(90, 1),
    ],
    "who is refused by the head of the queue": lambda: [
        op(
            0,
            1,
            "lock.acquire",
            name="L",
            owner="b",
            ttl=1.0,
            slug="lock-held",
            answer={"holders": [], "queue": 1},
        ),
        acquire(0, 1, "a", 1, wait=5),
    ],
    "who came late to the queue need not be counted before": lambda: [
        *writes(),
        held(),
        in_vain(1, 9, "a", 6),
        waited_for(2.9, 0),
    ],
    "nor as long as nothing says that it was committed": lambda: [
        held(),
        in_vain(1, 9, "a", 6),
        waited_for(4, 0),
    ],
    "nor when its wait may be over": lambda: [
        *writes(),
        held(),
        in_vain(1, 7.1, "a", 6),
        waited_for(6.9, 0),
    ],
    "a later one is served when a wait may be over": lambda: [
        held(),
        in_vain(1, 7.1, "a", 6),
        acquire(3, 6.95, "b", 2, wait=9),
        release(6.8, 6.9, "x", 1),
    ],
    "a wait that ends in time": lambda: [*writes(), held(), in_vain(1, 6.2, "a", 5)],
    "a wait that outlasts the time without a leader": lambda: [
        *writes(0, 10),
        *writes(30, 40),
        held(),
        in_vain(9, 31, "a", 5),
    ],
    "its node was cut off": lambda: [*writes(), held(), in_vain(1, 60, "a", 5, node="n2")],
}

BAD: dict[str, tuple[str, Story]] = {
    "the second is served before the first": (
        PASSED,
        lambda: [
            held(),
            acquire(1, 7, "a", 3, wait=9),
            waited_for(2, 1),
            acquire(3, 5, "b", 2, wait=9),
            release(4, 4.5, "x", 1),
            release(6, 6.5, "b", 2),
        ],
    ),
    "and the first waits in vain": (
        PASSED,
        lambda: [
            held(),
            in_vain(1, 12, "a", 10),
            waited_for(2, 1),
            acquire(3, 5, "b", 2, wait=9),
            release(4, 4.5, "x", 1),
        ],
    ),
    "and nobody saw it wait, but it was told late enough": (
        PASSED,
        lambda: [
            held(),
            in_vain(1, 11.1, "a", 10),
            acquire(3, 5, "b", 2, wait=9),
            release(4, 4.5, "x", 1),
        ],
    ),
    "a wait is over too early": (CUT_SHORT, lambda: [held(), in_vain(1, 3, "a", 6)]),
    "somebody waits and is not counted": (
        TOO_FEW,
        lambda: [*writes(), held(), in_vain(1, 7.1, "a", 6), waited_for(4, 0)],
    ),
    "two wait and one is counted": (
        TOO_FEW,
        lambda: [
            *writes(),
            held(),
            in_vain(1, 7.1, "a", 6),
            in_vain(1, 7.1, "b", 6),
            waited_for(4, 1),
        ],
    ),
    "refused by the queue, in which nobody is": (
        NOBODY,
        lambda: [
            held(),
            acquire(3, 4, "a", slug="lock-held", answer={**HELD, "queue": 0, "reason": "queued"}),
        ],
    ),
    "a place that was left long ago is joined by nobody": (
        PASSED,
        lambda: [
            held(),
            acquire(1, None, "b", wait=5),
            in_vain(301, 311.1, "a", 10),
            acquire(303, 305, "b", 2, wait=9),
            release(304, 304.5, "x", 1),
        ],
    ),
    "one who does not wait passes": (
        PASSED,
        lambda: [
            held(),
            acquire(1, 7, "a", 3, wait=9),
            waited_for(2, 1),
            release(3, 3.5, "x", 1),
            acquire(4, 5, "b", 2),
            release(6, 6.5, "b", 2),
        ],
    ),
    "one of the simple protocol passes": (
        PASSED,
        lambda: [
            held(),
            acquire(1, 7, "a", 3, wait=9),
            waited_for(2, 1),
            release(3, 3.5, "x", 1),
            op(4, 5, "simple.lock", by="b", key="L", value="v", expire=1.0, answer={"token": 2}),
        ],
    ),
    "two who wait are two, and are passed": (
        PASSED,
        lambda: [
            held(),
            acquire(1, 7, "a", 3, wait=9),
            acquire(1, 8, "c", 4, wait=9),
            waited_for(2, 2),
            acquire(3, 5, "b", 2, wait=9),
            release(4, 4.5, "x", 1),
            release(6, 6.5, "b", 2),
            release(7.1, 7.2, "a", 3),
        ],
    ),
    "more in a queue than asked": (
        TOO_MANY,
        lambda: [held(), in_vain(1, 8, "a", 6), waited_for(2, 2)],
    ),
    "somebody in a queue whose wait was over": (
        TOO_MANY,
        lambda: [held(), in_vain(1, 3, "a", 1), waited_for(4, 1)],
    ),
    "refused by nobody": (
        NOBODY,
        lambda: [
            held(),
            release(1, 2, "x", 1),
            acquire(3, 4, "a", slug="lock-held", answer={"holders": [], "queue": 0}),
        ],
    ),
    "a wait of 0.2 s is answered after 50 s": (
        NOT_ANSWERED,
        lambda: [*writes(), held(), in_vain(1, 51, "a", 0.2)],
    ),
    "a grant comes long after the end of the wait": (
        NOT_ANSWERED,
        lambda: [*writes(), held(), acquire(1, 51, "a", 2, wait=0.2), release(49, 50, "x", 1)],
    ),
    "a wait for a decision does not end": (
        NOT_ANSWERED,
        lambda: [
            *writes(),
            op(1, 60, "transaction.read", id=1, wait=5.0, answer={"id": 1, "state": "open"}),
        ],
    ),
    "a wait is never answered, and its caller gives up": (
        NOT_ANSWERED,
        lambda: [*writes(), held(), acquire(1, 20, "a", wait=5, outcome="unknown")],
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_history_gets_no_violation(name: str) -> None:
    assert found(*GOOD[name]()) == []


@pytest.mark.parametrize("name", BAD)
def test_a_bad_history_gets_its_violation(name: str) -> None:
    rule, story = BAD[name]
    shown = [violation.operations for violation in found(*story()) if violation.rule == rule]
    assert shown
    assert all(1 <= len(operations) <= 4 for operations in shown)


def test_a_caller_that_was_paused_hears_late() -> None:
    story = [*writes(), held(), in_vain(1, 51, "a", 0.2)]

    def fault(at: float, what: str) -> Fault:
        return Fault(int(at * SECOND), what, 1, (), "pause-client")

    assert NOT_ANSWERED in rules(*story, faults=[fault(60, "begin"), fault(61, "end")])
    assert NOT_ANSWERED not in rules(*story, faults=[fault(0.5, "begin"), fault(50, "end")])
