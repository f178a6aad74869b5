"""Which faults happen when: drawn from a seed, or read from a file; and the doing of them.

A schedule is explicit, so that one that breaks a rule can be made shorter step by step. What a
step draws it draws from a generator of its own. A schedule file is JSON lines, one for each step:

    {"at": 2.51, "fault": "kill_leader", "seed": 1804289383}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import msgspec

from chaos.history import read_checked
from chaos.simulation.faults import FAULTS
from chaos.simulation.faults.act import Act
from chaos.simulation.outcome import Step
from chaos.simulation.profiles import Profile

if TYPE_CHECKING:
    from chaos.simulation.world import World

BEGIN = 1.5
"""Virtual seconds of peace at the begin of a run: a first leader, and something in the log."""
LONGEST = 86_400.0
_MOODS = (0, 0, 1, 1, 1, 3)
"""By how much a seed multiplies the weight of a fault (Groce et al., "Swarm Testing", ISSTA 2012):
what is left out cannot hide what another fault would show."""
_RARE = (0, 0, 0, 0, 0, 0, 0, 1)
_HURRY = (0.4, 0.7, 1.0, 1.0, 2.0)


def weights(rng: Random, profile: Profile) -> dict[str, int]:
    """Fault → its weight in this run.

    Those that the profile gives are kept as they are; else the seed draws some and leaves out
    others. Raises ValueError for a fault that there is not.
    """
    unknown = [name for name in profile.faults if name not in FAULTS]
    if unknown:
        raise ValueError(f"there is no fault {unknown[0]!r}; there are {', '.join(sorted(FAULTS))}")
    if profile.faults:
        return {name: weight for name, weight in profile.faults.items() if weight > 0}
    drawn = {
        name: fault.weight * rng.choice(_RARE if fault.rare else _MOODS)
        for name, fault in FAULTS.items()
    }
    kept = {name: weight for name, weight in drawn.items() if weight > 0}
    return kept or {"kill": 1}


def draw(seed: int, profile: Profile) -> tuple[Step, ...]:
    """The schedule of a seed: times spread as those of independent accidents are.

    Raises ValueError where the profile names a fault that there is not.
    """
    rng = Random(f"{seed}/schedule")
    weighed = weights(rng, profile)
    if not weighed:
        return ()
    pause = profile.pause * (1.0 if profile.faults else rng.choice(_HURRY))
    names, shares = list(weighed), list(weighed.values())
    steps = []
    at = BEGIN
    while (at := at + rng.expovariate(1 / pause)) < profile.seconds:
        fault = rng.choices(names, shares)[0]
        steps.append(Step(round(at, 4), fault, rng.randrange(1 << 31)))
    return tuple(steps)


def write(file: Path, steps: Iterable[Step]) -> None:
    """Save a schedule. Raises OSError."""
    lines = [msgspec.json.encode(step) + b"\n" for step in steps]
    file.write_bytes(b"".join(lines))


def read(file: Path) -> tuple[Step, ...]:
    """A schedule from a file. Raises OSError, and Unreadable with the line that is wrong."""
    return tuple(read_checked(file, Step, _reason))


def _reason(step: Step, before: list[Step]) -> str | None:
    """What is wrong with a step, if anything is."""
    if not 0 <= step.at <= LONGEST:
        return f"`at` is seconds, 0 to {LONGEST:g}"
    if before and step.at < before[-1].at:
        return f"`at` {step.at:g} is before the step above, at {before[-1].at:g}"
    if step.fault not in FAULTS:
        return f"there is no fault {step.fault!r}; there are {', '.join(sorted(FAULTS))}"
    if step.seed < 0:
        return "`seed` is a number from 0 on"
    return None


class Trouble:
    """Carries a schedule out in a world, from now on.

    Args:
        said: told the name of each fault that is done or over, and what it does to whom; the
            world's observers are, where it is None.

    Attributes:
        done: fault → how often it was done.
        cuts: (from, to) → how many acts keep that direction silent.
    """

    def __init__(
        self,
        world: World,
        steps: Sequence[Step],
        said: Callable[[str, str], None] | None = None,
    ) -> None:
        self.done = Counter[str]()
        self.cuts = Counter[tuple[str, str]]()
        self._world = world
        self._said = world.note_fault if said is None else said
        self._over = False
        self._number = 0
        self._undone: dict[int, Callable[[], object]] = {}
        began = world.loop.time()
        for step in steps:
            world.loop.later(began + step.at, self._do, step)

    def _do(self, step: Step) -> None:
        if self._over:
            return
        act = Act(self, self._world, Random(step.seed), step.fault)
        if FAULTS[step.fault].do(act):
            self.done[step.fault] += 1

    def end(self) -> None:
        """No more faults; what they left behind is undone, in the order in which it was done."""
        self._over = True
        while self._undone:
            self._undone.pop(next(iter(self._undone)))()

    # What acts ask for (faults.act.Stage).

    def later(
        self, seconds: float, what: Callable[..., object], *args: object, at_end: bool
    ) -> None:
        """Do something then; with `at_end` when faults are over, if that is earlier."""
        if self._over:
            if at_end:
                what(*args)
            return
        loop = self._world.loop
        self._number += 1
        number = self._number
        if at_end:
            self._undone[number] = lambda: what(*args)
            loop.later(loop.time() + seconds, self._undo, number)
        else:
            loop.later(loop.time() + seconds, self._go_on, what, args)

    def _undo(self, number: int) -> None:
        undo = self._undone.pop(number, None)
        if undo is not None:
            undo()

    def _go_on(self, what: Callable[..., object], args: tuple[object, ...]) -> None:
        if not self._over:
            what(*args)

    def note(self, name: str, detail: str) -> None:
        """Tell whoever watches."""
        self._said(name, detail)
