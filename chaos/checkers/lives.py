"""Things that begin once and end once: a grant, a session, a membership, a prepared value.

What is known of such a life comes from operations. Some met it alive at one of their moments, some
met it not there, some may have ended it, some gave it a lease. Since it is alive without a gap from
its beginning to its end, it is *surely* alive

- from the end of the first operation that met it alive, by then it had begun,
- to the begin of the last such operation, it had not ended before,
- and beyond that while a lease surely runs, up to the moment somebody first tried to end it.

A lease counts from the begin of the request that gave it (it starts somewhere behind), less what
the cluster's clock may gain on the callers'.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from chaos.checkers.clocks import TRUE_CLOCKS, Clocks
from chaos.checkers.violation import first_of
from chaos.history import FOREVER, Operation


@dataclass(slots=True)
class Life:
    """What is known of one life.

    Args:
        name: for people.
        alive: operations that met it alive.
        gone: operations that met it not there.
        enders: requests that may have ended it, whether or not they were heard of again.
        leases: (request that gave or renewed the lease, seconds); also those of unknown outcome.
        parent: what it ends with: the session of a grant.
        clocks: those of the history.
    """

    name: str
    alive: list[Operation] = field(default_factory=list)
    gone: list[Operation] = field(default_factory=list)
    enders: list[Operation] = field(default_factory=list)
    leases: list[tuple[Operation, float]] = field(default_factory=list)
    parent: Life | None = None
    clocks: Clocks = TRUE_CLOCKS

    def first(self) -> int:
        """From when on it is sure that it had begun."""
        return min((item.end for item in self.alive), default=FOREVER)

    def leased_until(self) -> int:
        """Up to when it cannot end by itself; 0 where nothing acknowledged says so.

        A renewal may carry another length, and one of unknown outcome may be the last: the
        shortest length counts.
        """
        bounds = [self.parent.last()] if self.parent is not None else []
        if self.leases:
            acknowledged = [request.begin for request, _ in self.leases if request.ok]
            shortest = min(seconds for _, seconds in self.leases)
            since = max(acknowledged, default=None)
            bounds.append(0 if since is None else self.clocks.surely_until(since, shortest))
        return min(bounds, default=0)

    def last(self) -> int:
        """Up to when it is sure that it had not ended; 0 where nobody met it alive."""
        if not self.alive:
            return 0
        met = max(item.begin for item in self.alive)
        tried = min((item.begin for item in self.enders), default=FOREVER)
        return max(met, min(self.leased_until(), tried))

    def witness(self) -> tuple[Operation | None, Operation | None]:
        """The operations behind `first` and `last`."""
        behind = list(self.alive) + [request for request, _ in self.leases if request.ok]
        return first_of(self.alive), max(behind, key=lambda item: item.begin, default=None)


def lost(life: Life) -> Iterator[Operation]:
    """Operations that met it gone wholly within the time in which it was surely alive."""
    first, last = life.first(), life.last()
    for item in life.gone:
        if first <= item.begin and item.end <= last:
            yield item


def overlaps(lives: list[Life]) -> Iterator[tuple[Life, Life]]:
    """Pairs that were surely alive at the same moment, of lives that exclude each other."""
    longest: Life | None = None
    until = 0
    for life in sorted(lives, key=Life.first):
        if longest is not None and life.first() < min(until, life.last()):
            yield longest, life
        if life.alive and life.last() > until:
            longest, until = life, life.last()
