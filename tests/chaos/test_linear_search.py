"""The search for an order: against trying all orders, and where it is bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from random import Random

import pytest

from chaos.checkers.linear import kept, search
from chaos.checkers.linear.search import find_order
from chaos.checkers.linear.steps import Model, Step
from chaos.history import Operation
from tests.chaos.histories import op

State = tuple[int, int]
"""A register with a lease: its value (0: empty), and from when on it may become empty by itself."""
LEASE = 4
May = Callable[[State], Sequence[State]]


def write(value: int, begin: int, state: State) -> Sequence[State]:
    return ((value, begin + LEASE),)


def read(value: int, state: State) -> Sequence[State]:
    return (state,) if state[0] == value else ()


def swap(old: int, value: int, begin: int, state: State) -> Sequence[State]:
    return ((value, begin + LEASE),) if state[0] == old else ()


def added(value: int, state: State) -> Sequence[State]:
    return ((100 * state[0] + value, 99),)


def alone(state: State) -> Iterable[tuple[int, State]]:
    return ((state[1], (0, 0)),) if state[0] else ()


MODEL: Model[State] = Model((0, 0), alone)


def brute(steps: list[Step[State]], state: State = (0, 0), now: int = 0) -> bool:
    """Whether some order explains the steps: all are tried, with moments in whole numbers.

    `now`: the earliest moment at which what comes next can take effect.
    """
    sure = [step for step in steps if not step.optional]
    if not sure:
        return True
    latest = min(step.end for step in sure)
    if now > latest:
        return False
    for step in steps:
        if step.begin > latest:
            continue
        rest = [other for other in steps if other is not step]
        if any(brute(rest, after, max(now, step.begin)) for after in step.may(state)):
            return True
    return any(brute(steps, after, max(now, at)) for at, after in alone(state) if at <= latest)


def at(begin: float, end: float | None, revision: int | None = None) -> Operation:
    item = op(begin, end, "register", revision=revision)
    return replace(item, begin=int(begin), end=item.end if end is None else int(end))


def drawn(random: Random) -> list[Step[State]]:
    steps = []
    for _ in range(random.randint(2, 6)):
        begin = random.randint(0, 12)
        end = begin + random.randint(1, 6)
        value, old = random.randint(1, 2), random.randint(0, 2)
        unheard = random.random() < 0.25
        draw = random.random()
        if draw < 0.4 and not unheard:
            steps.append(Step(at(begin, end), partial(read, old), read=True))
            continue
        change = partial(write, value) if draw < 0.7 else partial(swap, old, value)
        may: May = partial(change, begin)
        steps.append(Step(at(begin, None if unheard else end), may, optional=unheard))
    return steps


def test_the_search_finds_an_order_exactly_where_there_is_one() -> None:
    words = []
    for seed in range(1500):
        steps = drawn(Random(seed))
        expected = "linearizable" if brute(steps) else "not linearizable"
        assert find_order(MODEL, steps).word == expected, f"seed {seed}"
        words.append(expected)
    assert 300 < words.count("linearizable") < 1200


def test_it_names_the_operation_and_the_state_before_it() -> None:
    first = Step(at(0, 1), lambda s: write(1, 0, s))
    good = Step(at(2, 3), lambda s: read(1, s), read=True)
    bad = Step(at(2, 3), lambda s: read(2, s), read=True)
    found = find_order(MODEL, [bad, good, first])
    assert found.word == "not linearizable"
    assert found.at is bad.operation
    assert found.states == ((1, LEASE),)
    assert found.before == (first.operation,)


def test_what_ends_by_itself_ends_not_before_its_time() -> None:
    first = Step(at(0, 1), lambda s: write(1, 0, s))
    gone = [Step(at(2, end), lambda s: read(0, s), read=True) for end in (LEASE - 1, LEASE)]
    assert find_order(MODEL, [first, gone[0]]).word == "not linearizable"
    assert find_order(MODEL, [first, gone[1]]).word == "linearizable"


def test_what_nobody_heard_of_may_come_late_or_never() -> None:
    unheard = Step(at(0, None), lambda s: write(2, 0, s), optional=True)
    reads = [
        Step(at(2 * n, 2 * n + 1), partial(read, v), read=True) for n, v in enumerate((0, 0, 2))
    ]
    assert find_order(MODEL, [unheard, *reads[:2]]).word == "linearizable"
    assert find_order(MODEL, [unheard, *reads]).word == "linearizable"
    again = Step(at(9, 10), lambda s: read(0, s), read=True)
    late = Step(at(11, 12), lambda s: read(2, s), read=True)
    # It comes once only.
    assert find_order(MODEL, [unheard, *reads, again, late]).word == "not linearizable"


def test_reads_stand_where_their_revision_says_and_writes_there_or_before() -> None:
    def story(read_at: int, write_at: int) -> list[Step[State]]:
        return [
            Step(at(0, 9, write_at), lambda s: write(1, 0, s)),
            Step(at(0, 9, read_at), lambda s: read(1, s), read=True),
            Step(at(0, 9, 5), lambda s: read(0, s), read=True),
        ]

    def place(read_at: int, write_at: int) -> str:
        return find_order(Model((0, 0)), story(read_at, write_at), "revision").word

    assert place(7, 6) == "linearizable"
    assert place(7, 8) == "linearizable", "the request was repeated: its answer is the repetition's"
    assert place(4, 6) == "not linearizable", (
        "the read that shows it stands before that which does not"
    )
    assert find_order(Model((0, 0)), story(4, 6)).word == "linearizable"


def by_revision(*steps: Step[State]) -> str:
    return find_order(Model((0, 0)), steps, "revision").word


def test_a_read_stands_behind_what_its_revision_changed() -> None:
    change = Step(at(0, 9, 5), partial(write, 1, 0))
    assert by_revision(change, Step(at(0, 9, 5), partial(read, 1), read=True)) == "linearizable"
    assert by_revision(change, Step(at(0, 9, 5), partial(read, 0), read=True)) == "not linearizable"


def test_revisions_against_the_order_of_time_are_no_order() -> None:
    change = Step(at(0, 1, 9), partial(write, 1, 0))
    early, late = (Step(at(begin, 3, 5), partial(read, 0), read=True) for begin in (1, 2))
    assert by_revision(change, early) == "linearizable"
    assert by_revision(change, late) == "not linearizable"


def test_what_began_behind_the_end_of_another_never_goes_before_it() -> None:
    def told(*, last: int) -> str:
        return by_revision(
            Step(at(0, 10, 5), partial(read, 1), read=True),
            Step(at(0, 1, 6), partial(write, 1, 0)),
            Step(at(2, 9, 7), partial(write, 2, 0)),
            Step(at(0, 10, 8), partial(swap, 9, 9, 0), optional=True),
            Step(at(0, 10, 9), partial(write, 3, 0)),
            Step(at(11, 12, 10), partial(read, last), read=True),
        )

    assert told(last=3) == "linearizable"
    assert told(last=2) == "linearizable"
    assert told(last=1) == "not linearizable", "the second write began when the first had ended"


def unheard_crowd(count: int) -> list[Step[State]]:
    """Requests that may all take effect, and a read that none of them explains."""
    crowd = [Step(at(0, None), partial(added, v), optional=True) for v in range(10, 10 + count)]
    return [*crowd, Step(at(50, 51), lambda s: read(1, s), read=True)]


def test_what_is_beyond_its_bound_is_undecided() -> None:
    assert find_order(MODEL, unheard_crowd(4)).word == "not linearizable"
    found = find_order(MODEL, unheard_crowd(12), visits=200)
    assert found.word == "undecided"
    assert found.visited <= 200 + 14


def test_of_requests_that_do_the_same_the_oldest_goes_first() -> None:
    def crowd(alike: str | None) -> list[Step[State]]:
        return [
            Step(at(0, None), lambda s: swap(0, 3, 0, s), optional=True, alike=alike)
            for _ in range(12)
        ]

    last = Step(at(50, 51), lambda s: read(1, s), read=True)
    with_it = find_order(MODEL, [*crowd("swap"), last])
    without = find_order(MODEL, [*crowd(None), last])
    assert with_it.word == without.word == "not linearizable"
    assert with_it.visited < without.visited


def filled_again_and_again(*values: int) -> list[Step[State]]:
    """Two requests of which nobody heard and that fill what is empty, and what was read."""
    unheard = [Step(at(0, None), partial(swap, 0, 3, 0), optional=True) for _ in range(2)]
    reads = [
        Step(at(10 * n + 5, 10 * n + 9), partial(read, value), read=True)
        for n, value in enumerate(values)
    ]
    return [*unheard, *reads]


def test_merged_configurations_use_up_only_what_all_of_them_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept, "SIMILAR", 1)
    assert find_order(MODEL, filled_again_and_again(3, 0, 3, 0)).word == "linearizable"


def test_what_only_merged_configurations_can_do_is_no_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept, "SIMILAR", 1)
    assert find_order(MODEL, filled_again_and_again(3, 0, 3, 0, 3)).word == "not linearizable"
    monkeypatch.setattr(search, "KEPT", 1)
    assert find_order(MODEL, filled_again_and_again(3, 0, 3, 0, 3)).word == "undecided"


def test_merged_configurations_find_every_order_that_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept, "SIMILAR", 1)
    for seed in range(600):
        steps = drawn(Random(seed))
        if brute(steps):
            assert find_order(MODEL, steps).word == "linearizable", f"seed {seed}"
