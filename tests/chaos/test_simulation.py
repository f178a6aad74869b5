"""Whole clusters with their clients under faults, each a function of its seed."""

from __future__ import annotations

import gc

import pytest

from chaos.checkers.linear import search
from chaos.simulation.campaign import profile_of
from chaos.simulation.observer import Observer
from chaos.simulation.outcome import Outcome
from chaos.simulation.profiles import PROFILES, replace
from chaos.simulation.simulate import simulate, speaks_http
from chaos.simulation.violation import Violation
from chaos.simulation.world import World

THREE, FIVE = PROFILES["three"], PROFILES["five"]
CALM = replace(THREE, seconds=4.0)


def judged(outcome: Outcome) -> Outcome:
    """A run in which nothing was broken, and something was done."""
    assert outcome.broken is None, outcome.broken
    assert outcome.counts["ok"] > 100, "the run says nothing: hardly anything was acknowledged"
    assert sum(outcome.done.values()) > 5
    return outcome


@pytest.mark.parametrize("seed", range(1, 7))
def test_three_members_under_all_faults(seed: int) -> None:
    judged(simulate(seed, THREE))


@pytest.mark.parametrize("seed", range(1, 4))
def test_five_members_and_a_spare_under_all_faults(seed: int) -> None:
    judged(simulate(seed, FIVE))


def test_clients_that_speak_http() -> None:
    assert judged(simulate(21, THREE)).http


def test_both_profiles_have_their_share_of_clients_that_speak_http() -> None:
    speaking = [seed for seed in range(1, 401) if speaks_http(seed, THREE)]
    assert len(speaking) == 400 // THREE.http_every
    played = [profile_of(seed, "mixed") for seed in speaking]
    assert played.count(("three",)) == played.count(("five",)) == len(speaking) // 2
    assert not any(speaks_http(seed, replace(THREE, http_every=0)) for seed in range(100))


def test_what_no_judge_could_tell_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "AT_ONCE", 0)
    outcome = simulate(1, CALM, steps=())
    assert sum(outcome.undecided.values()) > 5
    assert outcome.broken is None


def test_without_faults_nearly_everything_is_answered() -> None:
    outcome = simulate(1, CALM, steps=())
    assert outcome.broken is None
    assert outcome.counts.get("unknown", 0) < 0.05 * sum(outcome.counts.values())
    assert outcome.counts.get("never-sent", 0) < 0.02 * sum(outcome.counts.values())


def test_a_run_that_is_cut_off_does_not_settle() -> None:
    outcome = simulate(1, THREE, until=2.5)
    assert outcome.broken is None
    assert outcome.seconds == pytest.approx(2.5)


def test_nothing_is_left_of_a_run_when_it_is_over() -> None:
    simulate(1, CALM)
    gc.collect()
    before = len(gc.get_objects())
    for seed in (2, 3):
        simulate(seed, CALM)
    assert len(gc.get_objects()) < before + 1_000


def test_an_observer_ends_a_run_at_once() -> None:
    class Strict(Observer):
        def looked(self, time: float, world: World) -> None:
            if time - world.began > 1.9:
                raise Violation("bounds", "enough")

    outcome = simulate(1, CALM, steps=(), observers=(Strict(),))
    assert outcome.broken is not None
    assert (outcome.broken.judge, outcome.broken.text) == ("bounds", "enough")
    assert outcome.broken.at == pytest.approx(2.0)


def test_a_bug_of_an_observer_is_no_violation() -> None:
    class Wrong(Observer):
        def told(self, time: float, member: str, payload: bytes, kind: str, index: int) -> None:
            raise KeyError("wrong")

    with pytest.raises(KeyError, match="wrong"):
        simulate(1, CALM, steps=(), observers=(Wrong(),))
