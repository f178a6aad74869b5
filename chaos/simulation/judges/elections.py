"""At most one leader in a term, over all lives.

Source: Raft paper, §5.2, and figure 3, Election Safety.
"""

from __future__ import annotations

from chaos.simulation.observer import Observer
from chaos.simulation.violation import Violation

ELECTIONS = "election safety"


class ElectionSafety(Observer):
    """The books of who led when. A member that led a term leads it in one stretch, of one life."""

    def __init__(self) -> None:
        self._leaders: dict[int, tuple[str, int]] = {}
        self._roles: dict[str, tuple[str, int]] = {}
        self._lives: dict[str, int] = {}

    def started(self, time: float, member: str, life: int) -> None:
        self._lives[member] = life
        self._roles.pop(member, None)

    def stopped(self, time: float, member: str, life: int, why: str) -> None:
        self._roles.pop(member, None)

    def role(self, time: float, member: str, role: str, term: int) -> None:
        before = self._roles.get(member)
        self._roles[member] = (role, term)
        if before is not None and term < before[1]:
            raise Violation(ELECTIONS, f"{member} goes back from term {before[1]} to {term}")
        if role != "leader" or before == (role, term):
            return
        life = self._lives.get(member, 0)
        led = self._leaders.get(term)
        if led is not None:
            other = f"{led[0]} (life {led[1]})"
            raise Violation(ELECTIONS, f"{other} led term {term}, now {member} (life {life}) does")
        self._leaders[term] = (member, life)
