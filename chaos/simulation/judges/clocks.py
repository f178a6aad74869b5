"""Cluster time against real time: it never runs faster than a leader's clock may.

The promise about leases is in cluster time; this one carries it over to real time. A stamp that a
leader reads fresh from its clock may be ahead of an earlier one by no more than the real time
between the two appends and the rate error of a clock.
"""

from __future__ import annotations

from typing import Any

from chaos.simulation.observer import Observer
from chaos.simulation.violation import Violation
from raftcoord.consensus.core import HEADER, REGULAR

LEASES = "leases"
RATE_ERROR = 0.01
SLACK = 15.0
"""Milliseconds, for rounding and for what a heartbeat told."""

_FRESH = (b"session.open", b"lock.acquire", b"transaction.begin", b"simple.lock", b"ring.join")
"""Commands that are stamped with the leader's clock as it is; others may be stamped earlier, to
count for the time at which they came."""


class Clocks(Observer):
    """The books of when each entry was appended first, by real time and by its stamp."""

    def __init__(self) -> None:
        self._world: Any = None
        self._last = (0, 0)
        self._lowest = float("inf")

    def began(self, world: Any) -> None:
        self._world = world

    def appended(self, time: float, member: str, index: int, term: int, command: bytes) -> None:
        if (term, index) <= self._last or command[:1] != REGULAR:
            return  # a follower's copy: the leader appended it earlier
        self._last = (term, index)
        stamp = int.from_bytes(command[1:HEADER], "big")
        ahead = stamp - time * 1000 * (1 + RATE_ERROR)
        if ahead > self._lowest + SLACK and getattr(self._world, "clocks_honest", True):
            text = (
                f"entry {index} of term {term} is stamped {stamp} ms: cluster time ran"
                f" {ahead - self._lowest:.0f} ms ahead of a clock that is fast by {RATE_ERROR:.0%}"
            )
            raise Violation(LEASES, text)
        if ahead < self._lowest and any(tag in command for tag in _FRESH):
            self._lowest = ahead
