"""The judge of lateness, on histories made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from chaos import checkers
from chaos.checkers.clocks import HONEST
from chaos.checkers.late import TOO_LATE, TOO_LONG, TOO_MUCH
from chaos.checkers.passing import NEAR, cluster_time
from chaos.history import SECOND, History, Operation
from tests.chaos.histories import Story, acquire, check, found, history, holder, op, read, refresh

END = 80.0
OPEN: dict[str, Any] = {"id": 1, "state": "open", "decision": None}
COMMITTED = {"id": 1, "state": "committed", "decision": "commit"}


def writes(since: float = 0.0, until: float = END, *, every: float = 0.2) -> list[Operation]:
    """Writes that are accepted, one after the other, on locks of their own."""
    return [
        acquire(at, at + 0.01, "w", int(1_000 * (at + 1)), lock=f"W{at}", ttl=1_000.0)
        for number in range(int((until - since) / every))
        for at in (since + number * every,)
    ]


def opened(ttl: float = 2.0) -> Operation:
    return op(0, 0.1, "session.open", by="a", ttl=ttl, answer={"id": 1, "ttl": ttl})


def kept(begin: float, end: float | None, left: float = 2.0) -> Operation:
    answer = {"expires_in": left}
    return op(begin, end, "session.keepalive", by="a", id=1, answer=answer)


def begun(timeout: float = 0.5, decide: str = "on_request") -> Operation:
    return op(
        0,
        0.1,
        "transaction.begin",
        by="a",
        participants=["a"],
        timeout=timeout,
        decide=decide,
        answer=OPEN,
    )


def vote(begin: float, end: float, answer: dict[str, Any] = OPEN) -> Operation:
    return op(
        begin,
        end,
        "transaction.vote",
        by="a",
        id=1,
        participant="a",
        vote="commit",
        answer=answer,
    )


def commit(begin: float, end: float | None) -> Operation:
    return op(begin, end, "transaction.commit", by="a", id=1, answer=COMMITTED)


def prepare(begin: float, end: float) -> Operation:
    answer = {"state": "prepared", "transaction": 1}
    return op(begin, end, "simple.prepare", by="a", key="K", value="v", expire=0.5, answer=answer)


def deal_committed(begin: float, end: float | None) -> Operation:
    return op(begin, end, "simple.commit", by="a", key="K", value="v", answer={"transaction": 1})


def seen(at: float, left: float | None = None, token: int = 1) -> Operation:
    shown = holder("a", token)
    return read(at, at + 0.1, shown if left is None else {**shown, "expires_in": left})


GOOD: dict[str, Story] = {
    "a lease is seen up to its end": lambda: [
        *writes(),
        acquire(0, 0.1, "a", 1, ttl=10.0),
        seen(9.5, 0.4),
        seen(20, token=2),
        acquire(15, 15.1, "a", 2, ttl=10.0),
    ],
    "nobody led for a long time": lambda: [
        *writes(until=1),
        acquire(0, 0.1, "a", 1, ttl=2.0),
        seen(60, 1.0),
        *writes(60),
    ],
    "writes were accepted, but each took long": lambda: [
        *(acquire(at, at + 2, "w", at, lock=f"W{at}", ttl=1_000) for at in range(60)),
        acquire(0, 0.1, "a", 100, ttl=2.0),
        seen(60, token=100),
    ],
    "a lease is refreshed again and again": lambda: [
        *writes(),
        acquire(0, 0.1, "a", 1, ttl=5.0),
        *(refresh(at, at + 0.1, "a", 1, answer={"expires_in": 5.0}) for at in range(4, 60, 4)),
        seen(60, 4.0),
    ],
    "refreshes of which nobody heard": lambda: [
        *writes(),
        acquire(0, 0.1, "a", 1, ttl=10.0),
        refresh(9, None, "a", 1),
        refresh(18, None, "a", 1),
        seen(25),
    ],
    "a longer lease by a refresh": lambda: [
        *writes(),
        acquire(0, 0.1, "a", 1, ttl=1.0),
        refresh(0.5, None, "a", 1, ttl=60.0),
        seen(50, 9.0),
    ],
    "whoever waits gets the lease of the place that it joined": lambda: [
        *writes(),
        acquire(0, None, "a", ttl=60.0, wait=5),
        acquire(1, 1.1, "a", 1, ttl=1.0, wait=5, got=60.0),
        seen(50, 9.0),
    ],
    "or that of one that was refused meanwhile": lambda: [
        *writes(),
        acquire(0, 2, "a", ttl=60.0, wait=2, slug="lock-held", answer={"holders": []}),
        acquire(1, 3, "a", 1, ttl=1.0, wait=5, got=60.0),
        seen(50, 9.0),
    ],
    "what a session holds has no end of its own": lambda: [
        *writes(),
        opened(60.0),
        acquire(1, 1.1, "a", 1, ttl=None, session=1, got=59.0),
        read(50, 50.1, {**holder("a", 1, 1), "expires_in": 9.0}),
    ],
    "a session is kept alive": lambda: [
        *writes(),
        opened(),
        *(kept(at, at + 0.1) for at in range(1, 50)),
        op(50, 50.1, "session.read", by="a", id=1, answer={"id": 1, "expires_in": 1.0}),
    ],
    "keepalives that nobody heard of": lambda: [
        *writes(),
        opened(10.0),
        kept(9, None),
        kept(18, None),
        op(25, 25.1, "session.read", by="a", id=1, answer={"id": 1, "expires_in": 1.0}),
    ],
    "a commit in time is told again much later": lambda: [
        *writes(),
        begun(),
        vote(0.2, 0.3),
        commit(0.4, None),
        commit(50, 50.1),
    ],
    "a decision by the last vote is told again much later": lambda: [
        *writes(),
        begun(decide="auto"),
        vote(0.2, 0.3, COMMITTED),
        commit(50, 50.1),
    ],
    "a prepared value is committed in time": lambda: [
        *writes(),
        prepare(0, 0.1),
        deal_committed(0.2, None),
        deal_committed(50, 50.1),
    ],
    "a stale read shows what was": lambda: [
        *writes(),
        acquire(0, 0.1, "a", 1, ttl=1.0),
        read(60, 60.1, {**holder("a", 1), "expires_in": 0.5}, consistency="stale"),
    ],
}

BAD: dict[str, tuple[str, Story]] = {
    "a lease of 1 s is held after 60 s": (
        TOO_LONG,
        lambda: [*writes(), acquire(0, 0.1, "a", 1, ttl=1.0), seen(60)],
    ),
    "its token is told to hold": (
        TOO_LONG,
        lambda: [*writes(), acquire(0, 0.1, "a", 1, ttl=1.0), check(60, 60.1, 1, True)],
    ),
    "it is refreshed after 60 s": (
        TOO_LONG,
        lambda: [
            *writes(),
            acquire(0, 0.1, "a", 1, ttl=1.0),
            refresh(60, 60.1, "a", 1, answer={"expires_in": 1.0}),
        ],
    ),
    "a refresh that nobody heard of explains a little only": (
        TOO_LONG,
        lambda: [
            *writes(),
            acquire(0, 0.1, "a", 1, ttl=1.0),
            refresh(0.5, None, "a", 1),
            seen(60),
        ],
    ),
    "a refresh that came too late explains nothing": (
        TOO_LONG,
        lambda: [
            *writes(),
            acquire(0, 0.1, "a", 1, ttl=1.0),
            refresh(40, None, "a", 1, ttl=60.0),
            seen(60),
        ],
    ),
    "a grant that nobody heard of stays for ever": (
        TOO_LONG,
        lambda: [*writes(), acquire(0, None, "a", ttl=1.0), seen(1), seen(60)],
    ),
    "a lock of the simple protocol stays for ever": (
        TOO_LONG,
        lambda: [
            *writes(),
            op(0, 0.1, "simple.lock", by="a", key="L", value="v", expire=1.0, answer={"token": 1}),
            read(60, 60.1, holder("simple protocol", 1)),
        ],
    ),
    "a lease that cannot end in time": (
        TOO_LONG,
        lambda: [
            *writes(),
            acquire(0, 0.1, "a", 1, ttl=10.0),
            seen(12, 10.0),
        ],
    ),
    "a lease with more left than it was given": (
        TOO_MUCH,
        lambda: [acquire(0, 0.1, "a", 1, ttl=1.0), seen(0.2, 1.5)],
    ),
    "a grant with a longer lease than was asked for": (
        TOO_MUCH,
        lambda: [acquire(0, 0.1, "a", 1, ttl=1.0, got=3.0)],
    ),
    "a session of 2 s lives after 50 s": (
        TOO_LONG,
        lambda: [
            *writes(),
            opened(),
            op(50, 50.1, "session.read", by="a", id=1, answer={"id": 1, "expires_in": 1.0}),
        ],
    ),
    "it is kept alive after 50 s": (TOO_LONG, lambda: [*writes(), opened(), kept(50, 50.1)]),
    "it is listed after 50 s": (
        TOO_LONG,
        lambda: [
            *writes(),
            opened(),
            op(50, 51, "sessions.list", answer={"sessions": [{"id": 1, "expires_in": 1.0}]}),
        ],
    ),
    "it holds a lock after 50 s": (
        TOO_LONG,
        lambda: [
            *writes(),
            opened(),
            acquire(1, 1.1, "a", 1, ttl=None, session=1, got=1.0),
            read(50, 50.1, {**holder("a", 1, 1), "expires_in": 1.0}),
        ],
    ),
    "a session is told three times of what it has": (
        TOO_MUCH,
        lambda: [opened(), kept(1, 1.1, 6.0)],
    ),
    "a transaction is open after its timeout": (
        TOO_LONG,
        lambda: [*writes(), begun(), vote(50, 50.1)],
    ),
    "it is listed as open": (
        TOO_LONG,
        lambda: [
            *writes(),
            begun(),
            op(50, 51, "transactions.list", answer={"transactions": [OPEN]}),
        ],
    ),
    "it has more time left than its timeout": (
        TOO_MUCH,
        lambda: [begun(), op(1, 2, "transaction.read", id=1, answer={**OPEN, "expires_in": 1.5})],
    ),
    "it is committed after its timeout": (
        TOO_LATE,
        lambda: [*writes(), begun(), vote(0.2, 0.3), commit(51, 51.1)],
    ),
    "its last vote commits it after its timeout": (
        TOO_LATE,
        lambda: [*writes(), begun(decide="auto"), vote(51, 51.1, COMMITTED)],
    ),
    "a prepared value is committed after its time": (
        TOO_LATE,
        lambda: [*writes(), prepare(0, 0.1), deal_committed(51, 51.1)],
    ),
    "a prepared value is in the way after its time": (
        TOO_LONG,
        lambda: [
            *writes(),
            prepare(0, 0.1),
            op(
                50,
                50.1,
                "simple.prepare",
                by="b",
                key="K",
                value="u",
                expire=0.5,
                slug="already-prepared",
                answer={"transaction": 1, "expires_in": 0.1},
            ),
        ],
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_history_gets_no_violation(name: str) -> None:
    late = {TOO_LONG, TOO_MUCH, TOO_LATE}
    assert [violation for violation in found(*GOOD[name]()) if violation.rule in late] == []


@pytest.mark.parametrize("name", BAD)
def test_a_bad_history_gets_its_violation(name: str) -> None:
    rule, story = BAD[name]
    shown = [violation.operations for violation in found(*story()) if violation.rule == rule]
    assert shown
    assert all(1 <= len(operations) <= 4 for operations in shown)


def test_where_clocks_were_wrong_nobody_is_late() -> None:
    judged = history(*BAD["a lease of 1 s is held after 60 s"][1]())
    unknown = History(judged.operations, judged.faults, judged.nodes, {HONEST: False})
    verdict = checkers.judge(unknown)
    assert verdict.good


def test_time_passes_only_while_writes_are_accepted() -> None:
    passing = cluster_time(history(*writes(10, 20), *writes(30, 40)))

    def passed(since: float, until: float) -> float:
        return passing.between(int(since * SECOND), int(until * SECOND))

    near = NEAR / SECOND
    assert passed(0, 10) == pytest.approx(0, abs=0.2)
    assert passed(12, 18) == pytest.approx(6)
    assert passed(12, 25) == pytest.approx(8 - near, abs=0.2)
    assert passed(22, 28) == 0
    assert passed(12, 38) == pytest.approx(16 - near, abs=0.2)
    assert passed(35, 90) == pytest.approx(5 - near, abs=0.2)
    assert passed(35, 34) == 0
