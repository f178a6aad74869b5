"""Cluster time against real time: it runs as fast as a leader's clock, no faster and no slower.

The promises about leases are in cluster time; this one carries them over to real time. Between two
stamps that leaders read from their clocks lies no more cluster time than the real time
between the appends and the rate error of a clock allow; and no less, where one leader leads that
was not stopped in between. Time in which it was stopped counts for one step of its clock at most.
"""

from __future__ import annotations

from typing import Any

from chaos.simulation.observer import Observer
from chaos.simulation.violation import Violation
from raftcoord.consensus.clock import MAX_STEP
from raftcoord.consensus.core import HEADER, REGULAR

LEASES = "leases"
RATE_ERROR = 0.01
SLACK = 15.0
"""Milliseconds, for rounding and for what a heartbeat told."""
BEHIND = 60.0
"""Milliseconds by which a stamp may lag behind: the turn of the loop in which it was read."""
LOOK = 0.5
"""Virtual seconds between two looks at who is stopped: whoever is stopped longer is seen."""


class _Reign:
    """A leader in its term: its first stamp since it was stopped last, and its newest one.

    stopped: how often it was seen stopped since the newest, and in how many stretches.
    """

    __slots__ = ("base", "newest", "stopped", "stretches", "term")

    def __init__(self, term: int) -> None:
        self.term = term
        self.base: tuple[float, int] | None = None
        self.newest: tuple[float, int] | None = None
        self.stopped = 0
        self.stretches = 0


class Clocks(Observer):
    """The books of when each entry was appended first, by real time and by its stamp."""

    def __init__(self) -> None:
        self._world: Any = None
        self._last = (0, 0)
        self._lowest = float("inf")
        self._reigns: dict[str, _Reign] = {}
        self._was_stopped: set[str] = set()

    def began(self, world: Any) -> None:
        self._world = world

    def role(self, time: float, member: str, role: str, term: int) -> None:
        reign = self._reigns.get(member)
        if role != "leader":
            self._reigns.pop(member, None)
        elif reign is None or reign.term != term:
            self._reigns[member] = _Reign(term)

    def stopped(self, time: float, member: str, life: int, why: str) -> None:
        self._reigns.pop(member, None)

    def looked(self, time: float, world: Any) -> None:
        for member, reign in self._reigns.items():
            if not world.hosts[member].paused:
                self._was_stopped.discard(member)
                continue
            reign.base = None
            reign.stopped += 1
            if member not in self._was_stopped:
                self._was_stopped.add(member)
                reign.stretches += 1

    def appended(self, time: float, member: str, index: int, term: int, command: bytes) -> None:
        reign = self._reigns.get(member)
        leads = reign is not None and reign.term == term
        copied = (term, index) <= self._last and not leads
        if copied or command[:1] != REGULAR or not getattr(self._world, "clocks_honest", True):
            return
        stamp = int.from_bytes(command[1:HEADER], "big")
        if (term, index) > self._last:
            self._last = (term, index)
            self._check_ahead(time, stamp, index)
        if reign is not None and leads:
            self._check_pace(time, stamp, member, reign)

    def _check_ahead(self, time: float, stamp: int, index: int) -> None:
        ahead = stamp - time * 1000 * (1 + RATE_ERROR)
        if ahead > self._lowest + SLACK:
            text = (
                f"entry {index} is stamped {stamp} ms: cluster time ran {ahead - self._lowest:.0f}"
                f" ms ahead of a clock that is fast by {RATE_ERROR:.0%}"
            )
            raise Violation(LEASES, text)
        self._lowest = min(self._lowest, ahead)

    def _check_pace(self, time: float, stamp: int, member: str, reign: _Reign) -> None:
        who = f"{member}, which leads term {reign.term},"
        if reign.newest is not None and reign.stretches == 1 and reign.stopped > 1:
            ran = time - reign.newest[0] - (reign.stopped - 1) * LOOK
            most = max(ran, 0.0) * 1000 * (1 + RATE_ERROR) + MAX_STEP + SLACK
            if stamp - reign.newest[1] > most:
                text = f"{who} was stopped and lets {stamp - reign.newest[1]} ms pass at once"
                raise Violation(LEASES, text)
        reign.newest, reign.stopped, reign.stretches = (time, stamp), 0, 0
        if reign.base is None:
            reign.base = (time, stamp)
            return
        since, first = reign.base
        least = (time - since) * 1000 * (1 - RATE_ERROR) - BEHIND
        if stamp - first < least:
            text = f"{who} lets {stamp - first} ms pass in {time - since:.3f} s"
            raise Violation(LEASES, text)
