"""The judges of linearizability on long histories: good ones, spoiled ones, and what they cost."""

from __future__ import annotations

import time
from dataclasses import replace
from random import Random

import pytest

from chaos import checkers
from chaos.checkers import linear
from chaos.checkers.linear import search
from chaos.checkers.violation import Undecided
from tests.chaos.generated import generate
from tests.chaos.histories import acquire, history, read
from tests.chaos.spoiled import SPOILERS

CAUGHT = 0.85
"""The share of spoiled histories found broken, at least; what is not found is a good one again, or
was spoiled where nobody looked afterwards."""
RARE = frozenset(("vote never made", "vote executed though refused"))
"""Mostly of a vote that had been given before, which changes nothing."""


@pytest.mark.parametrize("seed", range(12))
def test_what_a_correct_cluster_may_leave_is_good(seed: int) -> None:
    verdict = checkers.judge(generate(seed, 700, unknown=0.03))
    del verdict.violations["coverage"]
    assert verdict.good, verdict.violations
    assert verdict.undecided == {}


def test_a_history_is_good_in_the_order_of_time_too() -> None:
    judged = generate(99, 700, unknown=0.03)
    bare = history(*(replace(item, revision=None) for item in judged.operations))
    assert [item for ask in linear.JUDGES.values() for item in ask(bare)] == []


def test_a_spoiled_history_is_found_broken() -> None:
    spoiled = caught = 0
    for seed in range(3):
        judged = generate(seed, 700)
        for name, spoil in SPOILERS.items():
            bad = spoil(judged, Random(f"{seed}/{name}"))
            if bad is None or name in RARE:
                continue
            spoiled += 1
            caught += any(list(ask(bad)) for ask in linear.JUDGES.values())
    assert spoiled >= 60
    assert caught >= CAUGHT * spoiled, f"{caught} of {spoiled}"


@pytest.mark.parametrize("name", SPOILERS)
def test_each_kind_of_damage_is_found_by_some_judge(name: str) -> None:
    for seed in range(12):
        bad = SPOILERS[name](generate(seed % 3, 700), Random(f"{seed}/{name}"))
        if bad is not None and not checkers.judge(bad).good:
            return
    pytest.fail("in none of twelve histories")


def test_a_long_history_costs_what_it_is_long() -> None:
    """Processor time, not the clock's: others may be at work on this machine."""
    costs = []
    for operations in (5_000, 20_000):
        judged = generate(7, operations)
        began = time.process_time()
        verdict = checkers.judge(judged)
        costs.append(time.process_time() - began)
        assert verdict.good, verdict.violations
        assert verdict.undecided == {}
    assert costs[1] < 12.0
    assert costs[1] < 12 * costs[0]


def test_what_the_search_cannot_tell_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "AT_ONCE", 20)
    story = history(
        *(acquire(0, None, f"c{number}") for number in range(40)),
        acquire(0, 1, "a", 1),
        read(2, 3),
    )
    assert [type(item) for item in linear.judge_locks(story)] == [Undecided]
    verdict = checkers.judge(story)
    assert list(verdict.undecided) == ["linear locks"]
    assert verdict.violations["linear locks"] == []
