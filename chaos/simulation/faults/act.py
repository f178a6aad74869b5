"""What a fault is, and what it is given to do its work with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from chaos.simulation.world import World


class Stage(Protocol):
    """Whoever carries a schedule out, as its acts see it.

    cuts: (from, to) → how many acts keep that direction silent now.
    """

    cuts: Counter[tuple[str, str]]

    def later(
        self, seconds: float, what: Callable[..., object], *args: object, at_end: bool
    ) -> None:
        """Do something then; `at_end`: where faults are over earlier, do it at that time."""

    def note(self, name: str, detail: str) -> None:
        """Tell whoever watches."""


class Act:
    """One step in the doing.

    Args:
        rng: of this step alone: victims, durations and ends are drawn from it.
        name: of the fault.
    """

    def __init__(self, stage: Stage, world: World, rng: Random, name: str) -> None:
        self.stage = stage
        self.world = world
        self.rng = rng
        self.name = name

    def after(self, seconds: float, what: Callable[..., object], *args: object) -> None:
        """Do something more then, unless faults are over by then."""
        self.stage.later(seconds, what, *args, at_end=False)

    def until(self, seconds: float, undo: Callable[..., object], *args: object) -> None:
        """Undo something then, or when faults are over, whichever comes first."""

        def over() -> None:
            undo(*args)
            self.note("over")

        self.stage.later(seconds, over, at_end=True)

    def note(self, detail: str) -> None:
        """Say what is done, to whom and for how long."""
        self.stage.note(self.name, detail)

    # Whom it strikes.

    def member(self) -> str:
        """A random member."""
        return self.rng.choice(sorted(self.world.members))

    def running(self) -> str | None:
        """A random member whose process runs and is not paused."""
        running = sorted(self.world.alive())
        return self.rng.choice(running) if running else None

    def two(self) -> tuple[str, str]:
        """Two random members, in random order."""
        a, b = self.rng.sample(sorted(self.world.members), 2)
        return a, b


Do = Callable[[Act], bool]


@dataclass(frozen=True)
class Fault:
    """Something that happens to a world.

    Args:
        do: does it; False where it does not apply now, and then nothing was done.
        weight: how often it is drawn, beside the others.
        rare: it is left out of most schedules, because judges have to allow for it.
    """

    name: str
    do: Do
    weight: int
    rare: bool = False


class Catalogue(dict[str, Fault]):
    """Faults by name, the names of the functions that do them."""

    def of(self, weight: int) -> Callable[[Do], Do]:
        """Decorates a function: adds it with this weight."""
        return self._adding(weight, rare=False)

    def rare(self, weight: int) -> Callable[[Do], Do]:
        """The same, for one that most schedules leave out."""
        return self._adding(weight, rare=True)

    def _adding(self, weight: int, *, rare: bool) -> Callable[[Do], Do]:
        def add(do: Do) -> Do:
            name = do.__name__
            self[name] = Fault(name, do, weight, rare)
            return do

        return add
