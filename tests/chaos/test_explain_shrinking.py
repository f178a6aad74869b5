"""A schedule that breaks a rule is made as short as it can be."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from chaos.explain.shrinking import RUNS, Shrunk, Trial, shrink
from chaos.simulation.outcome import Broken, Outcome, Step
from chaos.simulation.profiles import PROFILES, replace

PROFILE = replace(PROFILES["three"], seconds=20.0, clients=6)


def steps(*numbers: int) -> tuple[Step, ...]:
    return tuple(Step(float(number), "kill", number) for number in numbers)


@dataclass
class Game:
    """A world that breaks a rule at `at` where all of `needed` were done, and enough clients and
    the load are there; a judge of histories says so only when the run is over.

    With fewer steps than `dice` in its schedule it is another run, which breaks nothing.
    """

    needed: set[int]
    at: float
    clients: int = 1
    load: str | None = None
    only_history: bool = False
    judge: str = "reads"
    dice: int = 0
    other: set[int] = field(default_factory=set)
    played: list[Trial] = field(default_factory=list)

    def __call__(self, trial: Trial) -> Outcome:
        self.played.append(trial)
        return outcome(trial, self._broken(trial))

    def _broken(self, trial: Trial) -> Broken | None:
        end = trial.until if trial.until is not None else trial.profile.seconds + 3
        done = {step.seed for step in trial.steps if step.at <= end}
        if self.other and not self.other <= done:
            return Broken("leases", "another rule", self.at)
        loads = trial.profile.workloads
        fits = trial.profile.clients >= self.clients and (not loads or self.load in (None, *loads))
        if len(trial.schedule) < self.dice:
            return None
        if not (self.needed <= done and fits and end >= self.at):
            return None
        return Broken(self.judge, "broken", end if self.only_history else self.at)


def outcome(trial: Trial, broken: Broken | None) -> Outcome:
    return Outcome(1, "three", "", broken, trial.steps, {}, {}, 1.0, 1.0)


def shrunk(game: Game, numbers: range, runs: int = RUNS) -> Shrunk:
    trial = Trial(PROFILE, steps(*numbers))
    broken = game(trial).broken
    assert broken is not None
    said: list[str] = []
    found = shrink(trial, broken, game, said.append, runs=runs)
    assert list(found.log) == said
    again = game(found.trial).broken
    assert again == found.broken
    assert again is not None
    assert again.judge == broken.judge
    return found


@pytest.mark.parametrize("needed", [set(), {1}, {9}, {2, 3}, {1, 5, 9}, {2, 4, 6, 8}])
def test_only_the_faults_that_are_needed_are_left(needed: set[int]) -> None:
    found = shrunk(Game(needed, at=10.5), range(1, 20))
    assert {step.seed for step in found.trial.steps} == needed
    assert found.trial.profile.clients == 1
    assert found.runs < 60


def test_what_comes_behind_the_violation_is_cut_first() -> None:
    game = Game({3}, at=4.25)
    shrunk(game, range(1, 20))
    assert [step.seed for step in game.played[1].steps] == [1, 2, 3, 4]
    assert game.played[1].until == 7.25


def test_a_judge_of_histories_is_asked_for_a_shorter_begin() -> None:
    found = shrunk(Game({3}, at=4.25, only_history=True), range(1, 20))
    assert [step.seed for step in found.trial.steps] == [3]
    assert found.trial.until is not None
    assert 4.25 <= found.trial.until < 5


def test_a_violation_of_the_settling_is_played_to_the_end() -> None:
    found = shrunk(Game({3}, at=21.0), range(1, 20))
    assert [step.seed for step in found.trial.steps] == [3]
    assert found.trial.until is None


def test_clients_and_loads_that_are_needed_stay() -> None:
    found = shrunk(Game({1}, at=2.0, clients=3, load="rings"), range(1, 4))
    assert found.trial.profile.clients == 3
    assert found.trial.profile.workloads == ("rings",)


def test_a_run_that_hangs_on_the_number_of_steps_keeps_them_where_they_do_nothing() -> None:
    found = shrunk(Game({3, 5}, at=9.5, dice=19), range(1, 20))
    assert [step.seed for step in found.trial.steps] == [3, 5]
    assert len(found.trial.schedule) == 19
    assert all(step.at > 80_000 for step in found.trial.schedule[2:])
    assert "17 faults stay" in found.log[-1]
    free = shrunk(Game({3, 5}, at=9.5), range(1, 20))
    assert free.trial.schedule == free.trial.steps


def test_another_judge_does_not_count() -> None:
    found = shrunk(Game({1}, at=9.0, other={5}), range(1, 8))
    assert {step.seed for step in found.trial.steps} == {1, 5}


def test_the_search_is_bounded_and_says_so() -> None:
    game = Game({2, 4, 6, 8}, at=10.5)
    found = shrunk(game, range(1, 20), runs=5)
    assert found.runs == 5
    assert "bound" in found.log[-1]
    assert {2, 4, 6, 8} <= {step.seed for step in found.trial.steps}
    ticks = iter(range(1000))
    trial = Trial(PROFILE, steps(*range(1, 20)))
    broken = Broken("reads", "broken", 10.5)
    timed = shrink(trial, broken, game, lambda line: None, limit=7.0, clock=lambda: next(ticks))
    assert timed.runs < 8
