"""How much cluster time has surely passed between two moments: what says that something is late.

Cluster time follows the leader's clock and stands still while nobody leads. That somebody led is
told by accepted writes. Between two of them that are close the clock ran, or stood no longer than
from one to the other; a longer time without one, a *lull*, may have passed without the cluster
noticing any of it. What may be lost otherwise (a change of the leader between two writes, a clock
that is slow by a hundredth) is less than `SHARE` of the time and `SLACK` together; within that
nobody is called late.

Where clocks went wrong by more than leases allow for, nothing has surely passed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate, pairwise

from chaos.checkers.clocks import HONEST
from chaos.checkers.once import once
from chaos.history import FOREVER, SECOND, History, Operation

NEAR = SECOND // 4
"""Nanoseconds: two accepted writes so near to each other leave no lull between them. A write that
took longer says too little about when it was accepted."""
SHARE = 0.05
"""Of the time: what may be lost where there is no lull."""
SLACK = 5.0
"""Seconds that may be lost besides."""
COLLECTED = 1.0
"""Seconds of cluster time behind its deadline within which everything that is over ends."""
WRITES = frozenset(
    (
        "lock.acquire",
        "lock.release",
        "lock.refresh",
        "session.open",
        "session.keepalive",
        "session.close",
        "ring.join",
        "ring.leave",
        "transaction.begin",
        "transaction.vote",
        "transaction.commit",
        "transaction.rollback",
        "transaction.ack",
        "simple.lock",
        "simple.unlock",
        "simple.prepare",
        "simple.commit",
        "simple.rollback",
    )
)
"""What a leader surely had a hand in, where it was acknowledged."""


class Passing:
    """Time without its lulls.

    Args:
        signs: operations that show that time passed, as they were answered.
        counts: whether time can be told at all.
    """

    def __init__(self, signs: Iterable[Operation], counts: bool = True) -> None:
        ends = sorted(item.end for item in signs if item.end - item.begin <= NEAR)
        self._counts = counts and bool(ends)
        self._first = ends[0] if ends else 0
        lulls = [(a, b) for a, b in pairwise(ends) if b - a > NEAR]
        if ends:
            lulls.append((ends[-1], FOREVER))
        self._begins = [begin for begin, _ in lulls]
        self._lengths = [end - begin for begin, end in lulls]
        # What was accepted at the edge of a lull may have been stamped a little before its end.
        self._lost = [0, *accumulate(length + NEAR for length in self._lengths)]

    def between(self, since: int, until: int) -> float:
        """Seconds that have surely passed, before what is allowed for."""
        if not self._counts or until <= since:
            return 0.0
        return max(self._reading(until) - self._reading(since), 0) / SECOND

    def _reading(self, moment: int) -> int:
        moment = max(moment, self._first)
        number = bisect_right(self._begins, moment) - 1
        if number < 0:
            return moment
        inside = min(moment - self._begins[number], self._lengths[number])
        return moment - self._lost[number] - inside - NEAR

    def over(self, since: int, seconds: float, at: int, left: float = 0.0) -> bool:
        """Whether what had at most so many seconds to live at `since` had surely ended before
        `at`, or could not have `left` seconds of its life left then."""
        late = seconds + COLLECTED + SLACK - left
        if not self._counts or at - since <= late * SECOND:
            return False
        return self.between(since, at) * (1 - SHARE) > late


@once
def cluster_time(history: History) -> Passing:
    """Told by what a leader accepted."""
    honest = history.run.get(HONEST) is not False
    writes = (item for item in history.operations if item.ok and item.kind in WRITES)
    return Passing(writes, honest)
