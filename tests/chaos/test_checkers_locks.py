"""The judge of locks, on histories made by hand."""

from __future__ import annotations

import pytest

from tests.chaos.histories import (
    Story,
    acquire,
    check,
    found,
    holder,
    op,
    read,
    refresh,
    release,
    rules,
)

LOST = "grant lost or release undone"

GOOD: dict[str, Story] = {
    "one after the other": lambda: [
        acquire(0, 1, "a", 1),
        release(2, 3, "a", 1),
        acquire(2, 4, "b", 2, wait=5),
        read(4.1, 4.2, holder("b", 2)),
    ],
    "a release of unknown outcome may work at any later time": lambda: [
        acquire(0, 1, "a", 1),
        release(2, None, "a", 1),
        check(3, 4, 1, True),
        acquire(4, 5, "b", 2),
    ],
    "an acquire of unknown outcome is granted late, and its holder finds it": lambda: [
        acquire(0, None, "a"),
        acquire(1, 2, "b", 1),
        release(3, 4, "b", 1),
        acquire(5, 6, "c", slug="lock-held", answer={"holders": [holder("a")]}),
        acquire(7, 8, "a", slug="already-held", answer={"grant": holder("a", 2)}),
        release(9, 9.5, "a", 2),
    ],
    "the lease is over": lambda: [
        acquire(0, 1, "a", 1, ttl=1),
        acquire(1.1, 1.3, "b", 2),
        check(1.4, 1.5, 1, False),
        release(1.6, 1.7, "a", 1, slug="not-holder"),
    ],
    "the lease of a grant counts from the request, not from its answer": lambda: [
        acquire(0, 5, "a", 1, ttl=2),
        check(5.1, 5.2, 1, False),
        acquire(5.3, 5.4, "b", 2),
    ],
    "a refresh of unknown outcome shortens the lease": lambda: [
        acquire(0, 1, "a", 1, ttl=100),
        refresh(1, None, "a", 1, ttl=1),
        acquire(3, 4, "b", 2),
    ],
    "who joins a place of its own gets its lease": lambda: [
        acquire(0, None, "a", ttl=1, wait=5),
        acquire(1, 2, "a", 1, ttl=10, got=1),
        acquire(3, 4, "b", 2),
    ],
    "who asks for no lease and joins a place of its own gets its lease": lambda: [
        op(0, 0.5, "session.open", ttl=10.0, answer={"id": 5}),
        acquire(0.6, None, "a", ttl=1, wait=5, session=5),
        acquire(1, 2, "a", 1, ttl=None, got=1, session=5),
        acquire(3.5, 4, "b", 2),
        op(5, 6, "session.keepalive", id=5),
    ],
    "a grant that nobody heard of is taken back": lambda: [
        acquire(0, None, "a", ttl=100),
        acquire(1, 2, "a", slug="already-held", answer={"grant": holder("a", 1)}),
        refresh(2, 3, "a", 1, ttl=100),
        acquire(4, 5, "b", 2),
    ],
    "a wait that a stopping node took back may have been granted": lambda: [
        acquire(0, 1, "a", slug="not-ready", status=503, wait=5),
        acquire(0.5, 0.9, "c", slug="lock-held", answer={"holders": [holder("a")]}),
        acquire(2, 3, "b", 2),
    ],
    "two requests of one holder in the queue get one grant": lambda: [
        acquire(0, 3, "a", 1, wait=5),
        acquire(1, 3.1, "a", 1, wait=5),
    ],
    "a refusal while the release is under way": lambda: [
        acquire(0, 1, "a", 1),
        release(2, 4, "a", 1),
        acquire(2.5, 5, "b", slug="lock-held", answer={"holders": [holder("a")]}),
        read(3, 6),
    ],
    "a no to somebody else says nothing about the holder": lambda: [
        acquire(0, 1, "a", 1),
        release(2, 3, "b", 1, slug="not-holder"),
        check(4, 5, 1, True),
    ],
    "a grant of a session ends when the session would": lambda: [
        op(0, 1, "session.open", ttl=2.0, answer={"id": 5}),
        acquire(1, 1.5, "a", 1, ttl=10, got=1.4, session=5),
        check(3, 3.1, 1, False),
    ],
    "a grant ends with its session": lambda: [
        op(0, 1, "session.open", ttl=2.0, answer={"id": 5}),
        acquire(1, 1.5, "a", 1, ttl=None, session=5),
        op(1.6, 1.8, "session.close", id=5),
        acquire(1.7, 1.9, "b", 2),
        refresh(2, 2.1, "a", 1, session=5, slug="session-gone"),
    ],
    "a waiter whose grant its node was not shown hears what is left of it": lambda: [
        acquire(0, 1, "a", 1, ttl=0.3, got=0.145, wait=1.5),
        acquire(1.2, 1.3, "b", 2),
    ],
}

BAD: dict[str, tuple[str, Story]] = {
    "two holders at once": (
        "two holders",
        lambda: [acquire(0, 1, "a", 1), acquire(2, 3, "b", 2), check(4, 5, 1, True)],
    ),
    "two holders by their leases alone": (
        "two holders",
        lambda: [acquire(0, 1, "a", 1), acquire(2, 3, "b", 2)],
    ),
    "two holders, the lease being renewed": (
        "two holders",
        lambda: [
            acquire(0, 1, "a", 1, ttl=2),
            refresh(1.5, 1.7, "a", 1),
            acquire(2.5, 2.7, "b", 2),
        ],
    ),
    "a token for two": (
        "token repeated",
        lambda: [acquire(0, 1, "a", 1), release(1, 2, "a", 1), acquire(2, 3, "b", 1)],
    ),
    "a token twice for one": (
        "token repeated",
        lambda: [acquire(0, 1, "a", 1), release(2, 3, "a", 1), acquire(4, 5, "a", 1)],
    ),
    "a lower token later": (
        "tokens fall",
        lambda: [acquire(0, 1, "a", 7), release(2, 3, "a", 7), acquire(4, 5, "b", 6)],
    ),
    "a token that was seen before it was granted": (
        "tokens fall",
        lambda: [read(0, 1, holder("a", 3)), acquire(2, 3, "a", 3)],
    ),
    "a grant that is gone": (LOST, lambda: [acquire(0, 1, "a", 1), check(2, 3, 1, False)]),
    "a grant that a read does not show": (LOST, lambda: [acquire(0, 1, "a", 1), read(2, 3)]),
    "a grant that a refusal of another shows as another's": (
        LOST,
        lambda: [
            acquire(0, 1, "a", 1),
            acquire(0.5, None, "c"),
            acquire(2, 3, "b", slug="lock-held", answer={"holders": [holder("c")]}),
        ],
    ),
    "a grant that another is told to have": (
        LOST,
        lambda: [
            acquire(0, 1, "a", 1),
            acquire(0, None, "b"),
            acquire(2, 3, "b", slug="already-held", answer={"grant": holder("b", 2)}),
        ],
    ),
    "a grant that a list shows as another's": (
        LOST,
        lambda: [
            acquire(0, 1, "a", 1),
            acquire(0, None, "b"),
            op(2, 3, "locks.list", answer={"locks": [{"name": "L", "holders": [holder("b", 2)]}]}),
        ],
    ),
    "a refresh refused to the holder": (
        LOST,
        lambda: [acquire(0, 1, "a", 1), refresh(2, 3, "a", 1, slug="not-holder")],
    ),
    "a grant that was gone and is back": (
        LOST,
        lambda: [
            acquire(0, 1, "a", 1, ttl=1),
            check(5, 6, 1, False),
            check(7, 8, 1, True),
        ],
    ),
    "a grant that is gone though its release was refused": (
        LOST,
        lambda: [
            acquire(0, 1, "a", 1),
            release(1, 2, "a", 1, slug="no-leader", status=503),
            check(3, 4, 1, False),
        ],
    ),
    "a grant that is gone though its shortening was refused": (
        LOST,
        lambda: [
            acquire(0, 1, "a", 1),
            refresh(1, 2, "a", 1, ttl=0.1, slug="no-leader", status=503),
            check(3, 4, 1, False),
        ],
    ),
    "a release that is undone": (
        LOST,
        lambda: [acquire(0, 1, "a", 1), release(2, 3, "a", 1), read(4, 5, holder("a", 1))],
    ),
    "a release acknowledged twice": (
        LOST,
        lambda: [acquire(0, 1, "a", 1), release(2, 3, "a", 1), release(4, 5, "a", 1)],
    ),
    "a grant that outlives its session": (
        LOST,
        lambda: [
            op(0, 1, "session.open", ttl=2.0, answer={"id": 5}),
            acquire(1, 1.5, "a", 1, ttl=None, session=5),
            op(1.6, 1.8, "session.close", id=5),
            check(2, 3, 1, True),
        ],
    ),
    "a grant of a session that ends early, though nobody asked for less": (
        "two holders",
        lambda: [
            op(0, 0.5, "session.open", ttl=10.0, answer={"id": 5}),
            acquire(0.6, None, "a", ttl=1, wait=5, session=5),
            acquire(1, 2, "a", 1, ttl=None, got=9.5, session=5),
            acquire(3.5, 4, "b", 2),
            op(5, 6, "session.keepalive", id=5),
        ],
    ),
    "a grant that does not live with its session": (
        "two holders",
        lambda: [
            op(0, 1, "session.open", ttl=10.0, answer={"id": 5}),
            acquire(1, 1.5, "a", 1, ttl=None, session=5),
            op(4, 5, "session.keepalive", id=5),
            acquire(6, 7, "b", 2),
        ],
    ),
    "a holder that was refused": (
        "granted though refused",
        lambda: [acquire(0, 1, "a", slug="no-leader"), read(2, 3, holder("a", 1))],
    ),
    "a holder that never asked": (
        "granted though refused",
        lambda: [read(2, 3, holder("a", 1)), acquire(4, 5, "a", 2)],
    ),
    "a lease shorter than asked for": (
        "lease too short",
        lambda: [acquire(0, 1, "a", 1, ttl=10, got=1)],
    ),
    "a lease shorter by more than the time since its waiter came": (
        "lease too short",
        lambda: [acquire(0, 1, "a", 1, ttl=10, got=8.5, wait=5)],
    ),
    "less left than nothing": (
        "lease too short",
        lambda: [acquire(0, 1, "a", 1, ttl=0.3, got=-0.1, wait=5)],
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_history_gets_no_violation(name: str) -> None:
    assert found(*GOOD[name]()) == []


@pytest.mark.parametrize("name", BAD)
def test_a_bad_history_gets_its_violation(name: str) -> None:
    rule, story = BAD[name]
    assert rule in rules(*story())


@pytest.mark.parametrize("name", BAD)
def test_a_violation_shows_operations_that_prove_it(name: str) -> None:
    rule, story = BAD[name]
    shown = [violation.operations for violation in found(*story()) if violation.rule == rule]
    assert shown
    assert all(1 <= len(operations) <= 4 for operations in shown)


def test_grants_of_different_locks_say_nothing_about_each_other() -> None:
    assert found(acquire(0, 1, "a", 2, lock="L"), acquire(2, 3, "b", 1, lock="M")) == []
