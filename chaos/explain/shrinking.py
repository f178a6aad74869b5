"""The shortest story that still breaks the rule: fewer faults, fewer clients, less time.

A schedule is explicit and each of its steps draws from a generator of its own. But every timer of
a world, a step's too, draws from the world's, so a run without a step is another run from the
first moment on. Therefore a step that is left out is parked first: put so late that it is never
done. Then all is as before, but for what the step did. In the end the parked ones are taken away
where that is possible. Every candidate is played; one that breaks a rule of the same judge is kept
(Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 28(2), 2002).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from chaos.simulation.outcome import Broken, Outcome, Step
from chaos.simulation.profiles import Profile
from chaos.simulation.profiles import replace as with_values
from chaos.simulation.schedule import LONGEST
from chaos.workloads import WORKLOADS

RUNS = 160
SECONDS = 150.0
"""Bounds on the search: runs, and real seconds."""
SLACK = 3.0
"""Virtual seconds by which a candidate may break the rule later."""
EXACT = 0.1
"""Virtual seconds within which the shortest begin of a run is looked for."""
PARKED = Step(LONGEST, "kill", 0)
"""A step that is never done."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Trial:
    """A run to be played.

    Args:
        steps: the faults. parked: how many are never done.
        until: when it is cut off; None: it is played to its end.
    """

    profile: Profile
    steps: tuple[Step, ...]
    until: float | None = None
    parked: int = 0

    @property
    def schedule(self) -> tuple[Step, ...]:
        """All steps, as they are played and written to a file."""
        return (*self.steps, *([PARKED] * self.parked))


Play = Callable[[Trial], Outcome]


@dataclass(frozen=True)
class Shrunk:
    """What is left.

    Args:
        broken: the violation of the run that is left.
        runs: how many candidates were played. log: what was done, a sentence for each step.
    """

    trial: Trial
    broken: Broken
    runs: int
    log: tuple[str, ...]


def shrink(
    trial: Trial,
    broken: Broken,
    play: Play,
    say: Say,
    *,
    runs: int = RUNS,
    limit: float = SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Shrunk:
    """Make a trial shorter that breaks a rule.

    Args:
        trial: the whole run. broken: what it breaks.
        runs, limit: how many candidates are played at most, and for how many real seconds.
    """
    return _Shrinking(trial, broken, play, say, runs, clock() + limit, clock).go()


class _Shrinking:
    """`best` breaks the rule at any time."""

    def __init__(
        self,
        trial: Trial,
        broken: Broken,
        play: Play,
        say: Say,
        runs: int,
        deadline: float,
        clock: Callable[[], float],
    ) -> None:
        self._best = trial
        self._broken = broken
        self._play = play
        self._say = say
        self._left = self._runs = runs
        self._deadline = deadline
        self._clock = clock
        self._log: list[str] = []

    def go(self) -> Shrunk:
        self._note(
            f"{len(self._best.steps)} faults; {self._broken.judge} at {self._broken.at:.4f} s"
        )
        self._cut_the_tail()
        self._fewer_faults()
        self._fewer_clients()
        self._fewer_loads()
        self._fewer_faults()
        self._cut_the_tail()
        self._take_away_the_parked()
        if not self._may_go_on():
            self._note("the search has reached its bound; there may be a shorter one")
        return Shrunk(self._best, self._broken, self._runs - self._left, tuple(self._log))

    def _note(self, sentence: str) -> None:
        self._log.append(sentence)
        self._say(sentence)

    def _may_go_on(self) -> bool:
        return self._left > 0 and self._clock() < self._deadline

    def _breaks(self, trial: Trial) -> bool:
        """Play it; where it breaks the same rule it is the best from now on."""
        if not self._may_go_on():
            return False
        self._left -= 1
        broken = self._play(trial).broken
        if broken is None or broken.judge != self._broken.judge:
            return False
        self._best, self._broken = trial, broken
        return True

    # Time.

    def _cut_the_tail(self) -> None:
        """Nothing behind the violation matters; what only the end shows may show earlier, too."""
        best, at, whole = self._best, self._broken.at, self._best.profile.seconds
        end = whole if best.until is None else best.until
        if at >= end:
            if best.until is not None or self._breaks(replace(best, until=end)):
                self._earlier(end)
            return
        before = tuple(step for step in best.steps if step.at <= at)
        until = min(end, at + SLACK)
        if (before, until) != (best.steps, best.until) and self._breaks(
            replace(self._only(before), until=until)
        ):
            self._note(f"cut off behind the violation, at {until:.2f} s: {_faults(before)}")

    def _earlier(self, end: float) -> None:
        """A judge that looks at the whole history may find it in the begin of it."""
        low, high = 0.0, end
        while high - low > max(EXACT, end / 32) and self._may_go_on():
            middle = (low + high) / 2
            steps = tuple(step for step in self._best.steps if step.at <= middle)
            if self._breaks(replace(self._only(steps), until=middle)):
                high = middle
            else:
                low = middle
        self._note(f"seen in the first {high:.2f} s: {_faults(self._best.steps)}")

    # Faults.

    def _fewer_faults(self) -> None:
        before = len(self._best.steps)
        if not before:
            return
        if self._breaks(self._only(())):
            self._note("no fault is needed")
            return
        parts = 2
        while len(self._best.steps) > 1 and self._may_go_on():
            size = -(-len(self._best.steps) // parts)
            if self._without_a_chunk(size):
                parts = max(parts - 1, 2)
            elif size == 1:
                break
            else:
                parts = min(parts * 2, len(self._best.steps))
        if len(self._best.steps) < before:
            self._note(f"faults left out: {_faults(self._best.steps)} of {before}")

    def _without_a_chunk(self, size: int) -> bool:
        """Leave out the first chunk that may be left out; the latest are tried last."""
        steps = self._best.steps
        for start in range(0, len(steps), size):
            if self._breaks(self._only(steps[:start] + steps[start + size :])):
                return True
        return False

    def _only(self, steps: tuple[Step, ...]) -> Trial:
        """The best one with these of its steps, the others parked."""
        parked = self._best.parked + len(self._best.steps) - len(steps)
        return replace(self._best, steps=steps, parked=parked)

    def _take_away_the_parked(self) -> None:
        if self._best.parked and not self._breaks(replace(self._best, parked=0)):
            many = _faults((PARKED,) * self._best.parked)
            self._note(f"{many} stay in the schedule, never done: without them the dice fall anew")

    # Clients.

    def _fewer_clients(self) -> None:
        before = self._best.profile.clients
        for clients in (1, 2, 3, before // 2):
            if clients < before and self._with(clients=clients):
                self._note(f"clients left out: {clients} of {before}")
                return

    def _fewer_loads(self) -> None:
        before = self._best.profile.workloads or tuple(WORKLOADS)
        for name in before:
            if self._with(workloads=(name,)):
                self._note(f"loads left out: only {name}")
                return
        for name in before:
            kept: Sequence[str] = self._best.profile.workloads or before
            rest = tuple(load for load in kept if load != name)
            if rest and self._with(workloads=rest):
                self._note(f"load left out: {name}")

    def _with(self, **values: object) -> bool:
        return self._breaks(replace(self._best, profile=with_values(self._best.profile, **values)))


def _faults(steps: Sequence[Step]) -> str:
    return f"{len(steps)} fault{'' if len(steps) == 1 else 's'}"
