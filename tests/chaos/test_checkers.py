"""The judges of what all resources share: order, revisions, the end, recovery, coverage."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from chaos import checkers, main
from chaos.checkers.order import Seen, falls
from chaos.checkers.recovery import recoveries
from chaos.history import SECOND, Fault, Operation
from tests.chaos.histories import Story, acquire, found, history, op, read, release, rules

BEGUN = {"id": 1, "state": "open", "decision": None}


def kill(at: float, role: str = "leader") -> Fault:
    return Fault(int(at * SECOND), "kill", 1, ("n1",), role)


def final(node: str, revision: int, count: int = 0) -> Operation:
    answer = {"locks": [{"name": f"L{count}", "holders": [], "queue": 0}]}
    return op(
        10, 11, "locks.list", by="final", node=node, revision=revision, answer=answer, limit=9
    )


GOOD: dict[str, Story] = {
    "revisions grow": lambda: [
        acquire(0, 1, "a", 1, revision=5),
        release(2, 3, "a", 1, revision=9),
        read(4, 5, revision=12),
        read(4, 5, revision=9),
    ],
    "a refusal of the cluster says nothing about the state": lambda: [
        acquire(0, 1, "a", 1, revision=5),
        acquire(2, 3, "b", slug="no-leader", status=503, revision=1),
    ],
    "a refusal is no entry": lambda: [
        acquire(0, 1, "a", 1, revision=5),
        acquire(2, 3, "b", slug="lock-held", revision=5),
        acquire(4, 5, "b", slug="lock-held", revision=5),
    ],
    "expires_in may differ at one revision": lambda: [
        acquire(0, 1, "a", 1, revision=5),
        read(2, 3, {"owner": "a", "token": 1, "expires_in": 4}, revision=5),
        read(2, 3, {"owner": "a", "token": 1, "expires_in": 3}, revision=5),
    ],
    "all the same in the end": lambda: [
        acquire(0, 1, "a", 1),
        release(2, 3, "a", 1),
        final("n1", 6, count=1),
        *(final(node, 7) for node in ("n1", "n2", "n3")),
    ],
}

BAD: dict[str, tuple[str, Story]] = {
    "a read goes back": (
        "revisions fall",
        lambda: [acquire(0, 1, "a", 1, ttl=0.1, revision=5), read(2, 3, revision=4)],
    ),
    "a refusal goes back": (
        "revisions fall",
        lambda: [
            acquire(0, 1, "a", 1, revision=5),
            acquire(2, 3, "b", slug="lock-held", revision=4),
        ],
    ),
    "a write at a revision that was seen before": (
        "revisions fall",
        lambda: [
            acquire(0, 1, "a", 1, lock="M", revision=5),
            acquire(2, 3, "b", 2, revision=5),
        ],
    ),
    "two writes at one revision": (
        "revision repeated",
        lambda: [
            op(0, 3, "session.open", ttl=2.0, answer={"id": 1}, revision=5),
            op(1, 3, "transaction.begin", participants=["a"], timeout=9, answer=BEGUN, revision=5),
        ],
    ),
    "two contents of a revision": (
        "two contents of a revision",
        lambda: [
            acquire(0, 3, "a", 1),
            read(1, 2, revision=5),
            read(1, 2, {"owner": "a", "token": 1}, revision=5),
        ],
    ),
    "two contents of a revision, with and without a wait": (
        "two contents of a revision",
        lambda: [
            acquire(0, 3, "a", 1),
            op(1, 2, "transaction.read", id=9, wait=1, revision=5, answer={"meta": 1}),
            op(1, 2, "transaction.read", id=9, revision=5, answer={"meta": 2}),
        ],
    ),
    "two contents in the end": (
        "two contents of a revision",
        lambda: [
            acquire(0, 1, "a", 1),
            final("n1", 7),
            final("n2", 7),
            final("n3", 7, count=1),
        ],
    ),
    "a node that never comes to the same revision": (
        "no agreement in the end",
        lambda: [acquire(0, 1, "a", 1), final("n1", 7), final("n2", 7), final("n3", 6)],
    ),
    "a node that does not answer in the end": (
        "no agreement in the end",
        lambda: [acquire(0, 1, "a", 1), final("n1", 7), final("n2", 7)],
    ),
    "a node that says no in the end": (
        "no agreement in the end",
        lambda: [
            acquire(0, 1, "a", 1),
            final("n1", 7),
            final("n2", 7),
            op(10, 11, "locks.list", by="final", node="n3", revision=7, slug="no-leader", limit=9),
        ],
    ),
    "nothing was acknowledged": (
        "nothing acknowledged",
        lambda: [read(0, 1), acquire(1, 2, "a", slug="no-leader", status=503)],
    ),
    "one kind was never acknowledged": (
        "nothing acknowledged",
        lambda: [
            acquire(0, 1, "a", 1),
            *(op(2, None, "session.open", ttl=2.0) for _ in range(60)),
        ],
    ),
    "an internal error": (
        "unexpected answer",
        lambda: [acquire(0, 1, "a", 1), read(1, 2, slug="internal-error", status=500)],
    ),
    "a request that counts as malformed": (
        "unexpected answer",
        lambda: [acquire(0, 1, "a", 1), read(1, 2, slug="malformed", status=400)],
    ),
    "an answer without a slug": (
        "unexpected answer",
        lambda: [acquire(0, 1, "a", 1), op(1, 2, "lock.read", "unknown", name="L", status=500)],
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_history_gets_no_violation(name: str) -> None:
    assert found(*GOOD[name]()) == []


@pytest.mark.parametrize("name", BAD)
def test_a_bad_history_gets_its_violation(name: str) -> None:
    rule, story = BAD[name]
    assert rule in rules(*story())


def test_overlapping_operations_have_no_order() -> None:
    early, late = read(0, 2), read(2, 3)
    assert list(falls([Seen(early, 9), Seen(late, 1)])) == []
    late = read(2.000000001, 3)
    assert list(falls([Seen(early, 9), Seen(late, 1)])) == [(Seen(early, 9), Seen(late, 1))]


def test_the_highest_number_seen_before_counts() -> None:
    seen = [Seen(read(0, 1), 5), Seen(read(0, 2), 7), Seen(read(0, 9), 8), Seen(read(3, 4), 6)]
    assert [(earlier.number, later.number) for earlier, later in falls(seen)] == [(7, 6)]


def test_recovery_is_the_first_write_that_began_behind_the_kill() -> None:
    story = history(
        acquire(0, 12, "a", 1),
        acquire(9, 10.2, "b", 2, lock="M"),
        acquire(10.5, None, "c", lock="N"),
        acquire(10.5, 10.55, "c", lock="N", slug="no-leader", status=503),
        read(10.1, 10.3, lock="M"),
        acquire(10.4, 13, "d", 3, lock="O"),
        acquire(10.6, 11, "e", 4, lock="P"),
        faults=[kill(10), kill(20, "all")],
    )
    assert [recovery.seconds for recovery in recoveries(story)] == [1.0, None]


def test_no_recovery_is_a_violation_that_shows_the_round() -> None:
    lost = Fault(70 * SECOND, "no-recovery", 1, detail="not within 60 s")
    violations = found(acquire(0, 1, "a", 1), faults=[kill(10), lost])
    assert [violation.rule for violation in violations] == ["no recovery"]
    assert violations[0].text == "round 1: not within 60 s"
    assert violations[0].faults == (kill(10), lost)


def test_the_verdict_counts_each_kind() -> None:
    story = history(acquire(0, 1, "a", 1), acquire(1, None, "b"), read(2, 3, lock="M"))
    counts = checkers.judge(story).counts
    assert counts == {"lock.acquire": Counter(ok=1, unknown=1), "lock.read": Counter(ok=1)}


def begun(begin: float, end: float | None, number: int = 0) -> Operation:
    answer = {"id": number, "state": "open", "decision": None}
    return op(begin, end, "transaction.begin", participants=["a"], timeout=9.0, answer=answer)


def prepared(begin: float, end: float, number: int) -> Operation:
    answer = {"transaction": number}
    return op(begin, end, "simple.prepare", key=f"k{number}", value="v", expire=9.0, answer=answer)


COUNTED: dict[str, tuple[set[str], Story]] = {
    "each once": (set(), lambda: [begun(0, 1, 1), prepared(2, 3, 2), begun(4, 5, 3)]),
    "one of unknown outcome": (set(), lambda: [begun(0, None), begun(2, 3, 2)]),
    "one executed late": (set(), lambda: [begun(0, None), begun(1, 2, 1), begun(3, 4, 3)]),
    "a number too many": ({"executed twice"}, lambda: [begun(0, 1, 1), begun(2, 3, 3)]),
    "the request that may have made it came later": (
        {"executed twice"},
        lambda: [begun(0, 1, 1), begun(2, 3, 3), begun(4, None)],
    ),
    "more numbers than requests": (
        {"executed twice"},
        lambda: [begun(0, None), begun(2, 3, 3)],
    ),
    "a refused request made one": (
        {"executed twice"},
        lambda: [
            op(0, 1, "session.open", ttl=2.0, slug="no-leader", status=503),
            op(2, 3, "session.open", ttl=2.0, answer={"id": 2}),
        ],
    ),
    "a token of a wait that a stopping node took back": (
        set(),
        lambda: [acquire(0, 1, "b", slug="not-ready", status=503, wait=5), acquire(2, 3, "a", 2)],
    ),
    "a token too many": ({"executed twice"}, lambda: [acquire(0, 1, "a", 2)]),
}


@pytest.mark.parametrize("name", COUNTED)
def test_numbers_are_counted_on_by_one(name: str) -> None:
    expected, story = COUNTED[name]
    judged = checkers.judge(history(*story(), fresh=True))
    assert {violation.rule for violation in judged.violations["counters"]} == expected
    judged = checkers.judge(history(*story(), fresh=False))
    assert judged.violations["counters"] == []


@pytest.mark.parametrize("depth", [600, 100_000])
def test_what_is_nested_too_deep_is_refused_with_its_line(
    tmp_path: Path, depth: int, capsys: pytest.CaptureFixture[str]
) -> None:
    nested = "[" * depth + "]" * depth
    file = tmp_path / "deep.jsonl"
    file.write_text(
        '{"line":"history","version":1}\n'
        '{"line":"invoke","at":1,"id":"a","client":"c","node":"n1","kind":"lock.read",'
        '"arguments":{"name":"L"}}\n'
        '{"line":"result","at":2,"id":"a","outcome":"ok","status":200,"revision":1,'
        f'"answer":{{"holders":{nested}}}}}\n'
    )
    assert main.main(["judge", str(file)]) == main.UNREADABLE
    assert f"{file}, line " in capsys.readouterr().err
