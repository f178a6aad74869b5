"""How early a lease may end by the callers' clock: what the cluster's clock may gain on theirs.

Cluster time follows the leader's monotonic clock, whose rate is wrong by at most a hundredth. Where
that clock leaps forward (a virtual machine that was moved, a fault of ours), one reading adds at
most half a second (`raftcoord.consensus.clock`). While nobody leads, cluster time stands still, so
no bound says how late a lease may end.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from chaos.history import SECOND, Fault, History

RATE_ERROR = 0.01
"""How much faster than real time the cluster's clock may run."""
MARGIN = SECOND // 50
"""Nanoseconds, for rounding to milliseconds on the way."""
LEAP = SECOND // 2
"""Nanoseconds that a leap of the leader's clock may add to cluster time."""
HONEST = "clocks_honest"
"""Stands in the `run` of a history; false: clocks went wrong by more, no lease is a promise."""


class Clocks:
    """What is known of the clocks of a history.

    Args:
        leaps: moments at which a clock may have leapt forward, ascending.
        honest: whether their rates are right to a hundredth.
    """

    def __init__(self, leaps: Sequence[int] = (), honest: bool = True) -> None:
        self._leaps = leaps
        self._honest = honest

    def surely_until(self, begin: int, seconds: float) -> int:
        """When a lease of this length, asked for at `begin`, may end at the earliest."""
        if not self._honest:
            return begin
        until = begin + int(seconds * (1 - RATE_ERROR) * SECOND) - MARGIN
        if not self._leaps:
            return until
        first = bisect_left(self._leaps, begin)
        leaps = bisect_right(self._leaps, until) - first
        return max(begin, until - leaps * LEAP)


def clocks_of(history: History) -> Clocks:
    """The clocks of a history, by what its faults say."""
    leaps = tuple(fault.at for fault in history.faults if _leaps(fault))
    return Clocks(leaps, history.run.get(HONEST) is not False)


def _leaps(fault: Fault) -> bool:
    """Whether a clock may have leapt: by whatever is done to clocks but a change of their rate."""
    name = fault.role
    if "leap" in name or "jump" in name:
        return True
    return name.startswith("clock") and not any(rate in name for rate in ("fast", "slow", "rate"))


TRUE_CLOCKS = Clocks()
"""No fault touched them."""

__all__ = ["HONEST", "RATE_ERROR", "TRUE_CLOCKS", "Clocks", "clocks_of"]
