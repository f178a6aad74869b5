"""Whether all members' states are the same: digests compared at checkpoints.

A machine that is deterministic gives every member the same digest at the same index. One that
differs from the majority has diverged (a bug, or memory that flipped) and must stop before it
answers anybody.
"""

from collections import Counter
from collections.abc import Iterable

CHECKPOINT = 1_000
"""Entries between two comparisons."""

_KEPT = 64


class Digests:
    """The last checkpoints: this node's own, and what the members said of theirs."""

    def __init__(self) -> None:
        self._reported: dict[int, dict[str, int]] = {}
        self._last_of: dict[str, int] = {}
        self.last: tuple[int, int] | None = None

    def mark(self, me: str, index: int, digest: int) -> None:
        """This node applied `index`, a multiple of CHECKPOINT."""
        self.last = (index, digest)
        self.report(me, index, digest)

    def report(self, member: str, index: int, digest: int) -> bool:
        """A member said its digest; whether that was news."""
        if self._last_of.get(member) == index:
            return False
        self._last_of[member] = index
        if index not in self._reported:
            if len(self._reported) >= _KEPT:
                del self._reported[min(self._reported)]
            self._reported[index] = {}
        self._reported[index][member] = digest
        return True

    def forget(self, member: str) -> None:
        """The member begins anew: what it said before says nothing of it."""
        self._last_of.pop(member, None)
        for reported in self._reported.values():
            reported.pop(member, None)

    def diverged(self, voters: frozenset[str]) -> Iterable[tuple[str, int]]:
        """(member, index) of those that differ from what a majority of the voters has."""
        for index, reported in self._reported.items():
            if len(set(reported.values())) < 2:
                continue
            counts = Counter(reported[voter] for voter in sorted(voters) if voter in reported)
            digest, votes = counts.most_common(1)[0] if counts else (0, 0)
            if 2 * votes > len(voters):
                for member, theirs in sorted(reported.items()):
                    if theirs != digest:
                        yield member, index
