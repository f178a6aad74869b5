"""What the judges reckon of faults: windows without a write, and leases under wrong clocks."""

from __future__ import annotations

import gc
import weakref

import pytest

from chaos import checkers
from chaos.checkers.clocks import HONEST, Clocks, clocks_of
from chaos.checkers.once import once
from chaos.checkers.recovery import PATIENCE, Window, windows
from chaos.history import SECOND, Fault, History, Operation
from tests.chaos.histories import NODES, acquire, check, history, read


def fault(at: float, what: str, name: str, *nodes: str, number: int = 1) -> Fault:
    return Fault(int(at * SECOND), what, number, nodes, name)


def writes(*ends: float) -> list[Operation]:
    """A write of its own that ends at each of these times, begun 50 ms before."""
    return [
        acquire(end - 0.05, end, f"w{number}", number, lock=f"W{number}")
        for number, end in enumerate(ends, 1)
    ]


def seen(found: list[Window]) -> list[tuple[str, float, float, float | None, float]]:
    return [
        (
            window.kind,
            window.begin / SECOND,
            window.end / SECOND,
            None if window.seconds is None else round(window.seconds, 6),
            round(window.gap, 6),
        )
        for window in found
    ]


def test_a_window_is_the_time_to_the_next_accepted_write_and_the_longest_without_one() -> None:
    story = history(
        *writes(9.9, 10.02, 10.5, 14, 18.5, 19, 30),
        acquire(10.1, 10.2, "r", slug="no-leader", status=503, lock="R"),
        acquire(10.1, None, "u", lock="U"),
        read(10.1, 10.3, lock="M"),
        faults=[
            fault(10, "begin", "pause-leader", "n1"),
            fault(13, "end", "pause-leader", "n1"),
            fault(18, "begin", "cut-link", number=2),
            fault(25, "end", "cut-link", number=2),
        ],
    )
    assert seen(windows(story)) == [
        # The write that ends at 10.02 began before it: the one that ends at 10.5 is the next.
        ("pause-leader", 10, 13, 0.5, 4.0),
        ("cut-link", 18, 25, 0.5, 11.0),
    ]
    assert [window.nodes for window in windows(story)] == [("n1",), ()]


def test_what_follows_the_next_fault_is_that_ones() -> None:
    story = history(
        *writes(10.5, 12.9, 17),
        faults=[
            fault(10, "begin", "slow-sync", "n1"),
            fault(12, "end", "slow-sync", "n1"),
            fault(13, "begin", "power-cut-all", *NODES, number=2),
            fault(16, "end", "power-cut-all", *NODES, number=2),
        ],
    )
    assert [(window.kind, round(window.gap, 6)) for window in windows(story)] == [
        ("slow-sync", 2.4),
        ("power-cut-all", 4.0),
    ]


def test_the_silence_behind_the_load_is_nobodys() -> None:
    story = history(
        *writes(10.2, 11, 12.1),
        read(18, 18.5, lock="M"),
        faults=[
            fault(10, "begin", "slow-sync", "n1"),
            fault(11.5, "end", "slow-sync", "n1"),
        ],
    )
    (window,) = windows(story)
    assert round(window.gap, 6) == 1.1


def test_kills_and_faults_without_an_end_have_windows_too() -> None:
    story = history(
        *writes(9, 12),
        faults=[
            fault(10, "kill", "all", *NODES),
            fault(11, "start", "", *NODES),
            fault(13, "recovered", "all", *NODES),
            fault(14, "begin", "disk-full", "n2", number=2),
        ],
    )
    found = windows(story)
    assert seen(found) == [
        ("kill-all", 10, 13, 2.0, 2.0),
        ("disk-full", 14, 14, None, 0.0),
    ]
    assert [window.ended for window in found] == [True, False]


def test_faults_of_one_kind_at_different_times_have_their_own_ends() -> None:
    lines = [
        fault(at, what, "pause", "n1", number=number)
        for number, at, what in ((1, 1, "begin"), (1, 2, "end"), (2, 5, "begin"), (2, 9, "end"))
    ]
    story = history(*writes(1, 10), faults=lines)
    assert [(begin, end) for _, begin, end, _, _ in seen(windows(story))] == [(1, 2), (5, 9)]


def recovered(
    *ends: float, nodes: tuple[str, ...], end: float | None = 20, patience: float = 5
) -> set[str]:
    faults = [fault(10, "begin", "pause", *nodes)]
    faults += [] if end is None else [fault(end, "end", "pause", *nodes)]
    tried = acquire(90, 91, "x", slug="no-leader", status=503, lock="X")
    story = history(*writes(*ends), tried, faults=faults)
    judged = checkers.judge(History(story.operations, story.faults, NODES, {PATIENCE: patience}))
    return {violation.rule for violation in judged.violations["recovery"]}


def test_what_leaves_a_majority_may_stop_writes_no_longer_than_the_patience() -> None:
    assert recovered(9, 14, nodes=("n1",)) == set()
    assert recovered(9, 16, nodes=("n1",)) == {"no recovery"}
    assert recovered(9, nodes=("n1",), end=None) == {"no recovery"}


def test_what_takes_a_majority_may_stop_them_until_it_ends() -> None:
    assert recovered(9, 24, nodes=("n1", "n2")) == set()
    assert recovered(9, 26, nodes=("n1", "n2")) == {"no recovery"}
    assert recovered(9, 24, nodes=()) == set()
    assert recovered(9, nodes=NODES, end=None) == set()


def test_nothing_is_said_where_the_history_is_too_short() -> None:
    assert recovered(9, nodes=("n1",), patience=100) == set()


def test_a_lease_may_end_early_by_what_clocks_may_gain() -> None:
    true = Clocks()
    assert true.surely_until(0, 10.0) == int(9.9 * SECOND) - SECOND // 50
    leapt = Clocks((5 * SECOND, 50 * SECOND))
    assert leapt.surely_until(0, 10.0) == true.surely_until(0, 10.0) - SECOND // 2
    assert Clocks(honest=False).surely_until(7, 10.0) == 7


@pytest.mark.parametrize(
    ("name", "excused"),
    [("clock-step", True), ("leap", True), ("clock-fast", False), ("pause-leader", False)],
)
def test_a_leap_of_a_clock_excuses_half_a_second(name: str, excused: bool) -> None:
    operations = [acquire(0, 0.1, "a", 1, ttl=2), check(1.6, 1.7, 1, False)]
    story = history(*operations, faults=[fault(1, "begin", name, "n1")])
    assert checkers.judge(story).good == excused
    assert not checkers.judge(history(*operations)).good


def test_where_clocks_were_dishonest_no_lease_is_a_promise() -> None:
    operations = (acquire(0, 0.1, "a", 1, ttl=20), check(1.6, 1.7, 1, False))
    assert checkers.judge(History(operations, (), NODES, {HONEST: False})).good
    assert not checkers.judge(History(operations, (), NODES, {HONEST: True})).good
    assert clocks_of(History(operations)).surely_until(0, 1.0) > 0


def test_what_is_reckoned_once_is_kept_as_long_as_the_history() -> None:
    calls: list[int] = []

    @once
    def reckon(judged: History) -> list[int]:
        calls.append(len(judged.operations))
        return [len(calls)]

    first, second = history(*writes(1)), history(*writes(1, 2))
    assert reckon(first) is reckon(first)
    assert reckon(second) == [2]
    assert reckon(first) == [3]
    assert calls == [1, 2, 1]
    gone = weakref.ref(first)
    del first
    gc.collect()
    assert gone() is None
