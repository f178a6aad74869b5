"""A small world in which a fault is done by its name, and those who watch it."""

from __future__ import annotations

from chaos.simulation.observer import Observer
from chaos.simulation.outcome import Step
from chaos.simulation.profiles import PROFILES, replace
from chaos.simulation.schedule import Trouble
from chaos.simulation.settling import settle
from chaos.simulation.world import World


class Seen(Observer):
    """Remembers which processes began, opened their data and stopped, and why."""

    def __init__(self) -> None:
        self.lives: list[tuple[str, str, int]] = []
        self.why: list[str] = []

    def started(self, time: float, member: str, life: int) -> None:
        self.lives.append(("started", member, life))

    def opened(
        self, time: float, member: str, life: int, log: list[tuple[int, int, bytes]]
    ) -> None:
        self.lives.append(("opened", member, life))

    def stopped(self, time: float, member: str, life: int, why: str) -> None:
        self.lives.append(("stopped", member, life))
        self.why.append(why)


class Scene:
    """A cluster that works, and the faults that are done to it.

    Args:
        profile: of `chaos.simulation.profiles`.
        load: operations in a virtual second.

    Attributes:
        told: what the faults said of themselves.
    """

    def __init__(
        self, profile: str = "three", *, seed: int = 1, load: float = 10.0, peace: float = 2.0
    ) -> None:
        self.seen = Seen()
        self.told: list[tuple[str, str]] = []
        self.troubles: list[Trouble] = []
        self.world = World(
            seed, profile=replace(PROFILES[profile], load=load), observers=(self.seen,)
        )
        self.net = self.world.loop.net
        self.world.begin()
        self.run(peace)
        assert self.world.leader() is not None

    def run(self, seconds: float) -> None:
        """Let time pass; raises a violation."""
        self.world.run(seconds)

    def does(self, fault: str, *seeds: int) -> bool:
        """Begin a fault with what each of these seeds draws; whether all applied."""
        steps = [Step(0.0, fault, seed) for seed in seeds]
        trouble = Trouble(self.world, steps, lambda *said: self.told.append(said))
        self.troubles.append(trouble)
        self.run(0.0)
        return trouble.done[fault] == len(steps)

    def do(self, fault: str, seed: int = 0) -> str:
        """Begin a fault that has to apply, perhaps with a later seed; what it says of itself."""
        before = len(self.told)
        assert any(self.does(fault, tried) for tried in range(seed, seed + 100)), fault
        return next((detail for name, detail in self.told[before:] if name == fault), "")

    def end(self) -> None:
        """Faults are over."""
        for trouble in self.troubles:
            trouble.end()

    def settle(self) -> None:
        """Faults are over, and everything must come right; raises a violation."""
        self.end()
        settle(self.world)

    def silent(self) -> set[tuple[str, str]]:
        """(from, to) of all hosts where nothing gets through."""
        hosts = [*self.world.hosts, *(f"c{n}" for n in range(1, 9))]
        return {(a, b) for a in hosts for b in hosts if self.net.is_cut(a, b)}
