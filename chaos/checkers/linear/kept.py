"""Configurations: a state, and the steps that took effect ahead of their place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic

from chaos.checkers.linear.steps import S

SIMILAR = 6
"""Configurations kept with the same state, before they are merged."""
Ahead = frozenset[int]
"""Numbers of steps that took effect ahead of their place."""
Trail = tuple[int, ...]
NONE: Ahead = frozenset()


@dataclass(slots=True)
class Kept(Generic[S]):
    """Configurations, by state; none that another one can stand for.

    Args:
        passive: number of a step that is not optional → whether it changes nothing, ever.
    """

    passive: bytes | bytearray
    by_state: dict[S, list[tuple[Ahead, Trail]]] = field(default_factory=dict)
    count: int = 0

    def add(self, state: S, ahead: Ahead, trail: Trail) -> bool:
        """Keep it, unless one is there that can do the same; whether it was kept."""
        there = self.by_state.get(state)
        if there is None:
            self.by_state[state] = [(ahead, trail)]
            self.count += 1
            return True
        for other, _ in there:
            if other == ahead or self._stands_for(other, ahead):
                return False
        there.append((ahead, trail))
        self.count += 1
        return True

    def merge(self) -> bool:
        """Where many have one state and differ only in the help they had and in what changes
        nothing, let one do whatever any of them can, and perhaps more; whether any were so."""
        before = sum(map(len, self.by_state.values()))
        for state, there in self.by_state.items():
            if len(there) > SIMILAR:
                self.by_state[state] = self._merged(there)
        self.count = sum(map(len, self.by_state.values()))
        return self.count < before

    def _merged(self, there: list[tuple[Ahead, Trail]]) -> list[tuple[Ahead, Trail]]:
        count, passive = len(self.passive), self.passive
        groups: dict[Ahead, tuple[set[int], set[int], Trail]] = {}
        for ahead, trail in there:
            helped = {number for number in ahead if number >= count}
            still = {number for number in ahead if number < count and passive[number]}
            group = groups.setdefault(ahead - helped - still, (still, helped, trail))
            group[0].update(still)
            group[1].intersection_update(helped)
        return [
            (changed.union(still, helped), trail)
            for changed, (still, helped, trail) in groups.items()
        ]

    def _stands_for(self, one: Ahead, other: Ahead) -> bool:
        """Whether `one` has at most less help, and at most more behind it that changes nothing."""
        count, passive = len(self.passive), self.passive
        return all(number >= count for number in other - one) and all(
            number < count and passive[number] for number in one - other
        )
