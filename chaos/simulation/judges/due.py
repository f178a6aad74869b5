"""What ends by itself, and when: the judges' own list of deadlines in cluster time.

Nothing in it ends before its deadline, nothing lives on behind an entry that carries a later time,
and cluster time does not pass a deadline by more than a second before an entry carries it.
"""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heappop, heappush
from typing import Any

from chaos.simulation.judges.chronicle import Entry
from chaos.simulation.observer import Observer
from chaos.simulation.violation import Violation

LEASES = "leases"
LATE = 1_600
"""Milliseconds of cluster time between a deadline and the entry that carries it: the second that
is promised, in which a leader may be handing over, the step of one that was paused, a heartbeat."""
PER_TERM = 1_000
"""As much more for each change of the leader: the old one's last word may have been lost."""
AT_ONCE = 200
"""Events of one entry from which on the rest of what is due may wait for the next entry."""
ROOM_AGAIN = 2.0
"""Virtual seconds after a disk had no room in which what was missed is made up for."""


class Due(Observer):
    """The list. As a reader it comes behind those that keep it."""

    def __init__(self) -> None:
        self._ends: dict[Hashable, int] = {}
        self._heap: list[tuple[int, int, Hashable]] = []
        self._count = 0
        self._term = 0
        self._world: Any = None
        self._full_at = float("-inf")

    def set(self, key: Hashable, deadline: int) -> None:
        """It ends at this time, unless that is moved."""
        self._ends[key] = deadline
        self._count += 1
        heappush(self._heap, (deadline, self._count, key))

    def drop(self, key: Hashable) -> None:
        """It has ended otherwise."""
        self._ends.pop(key, None)

    def over(self, entry: Entry, key: Hashable) -> None:
        """It has ended because its time is over. Raises Violation where that is too early or too
        late."""
        deadline = self._ends.pop(key, None)
        if deadline is None:
            raise Violation(LEASES, f"{_name(key)} ends in entry {entry.number} and did not live")
        if deadline > entry.clock:
            text = f"{_name(key)} ends in entry {entry.number}, at {entry.clock} ms,"
            raise Violation(LEASES, f"{text} {deadline - entry.clock} ms before its time")
        terms = entry.term - self._term
        if entry.clock - deadline > LATE + PER_TERM * terms and not self._had_no_room(entry.time):
            text = (
                f"{_name(key)} was due at {deadline} ms; the first entry that carries the time,"
                f" {entry.number}, says {entry.clock} ms"
            )
            raise Violation(LEASES, text)

    def deadline(self, key: Hashable) -> int | None:
        """When it ends, where it lives and ends by itself."""
        return self._ends.get(key)

    def first(self) -> tuple[Hashable, int] | None:
        """What is due first, and when."""
        heap = self._heap
        while heap and self._ends.get(heap[0][2]) != heap[0][0]:
            heappop(heap)
        return (heap[0][2], heap[0][0]) if heap else None

    def began(self, world: Any) -> None:
        self._world = world

    def looked(self, time: float, world: Any) -> None:
        if self._is_full():
            self._full_at = time

    def read(self, entry: Entry) -> None:
        """Everything whose time the entry brought must be over behind it."""
        self._term = entry.term
        heap, clock = self._heap, entry.clock
        while heap and heap[0][0] <= clock:
            deadline, _, key = heap[0]
            if self._ends.get(key) == deadline:
                if len(entry.events) >= AT_ONCE:
                    return
                text = f"{_name(key)} ends at {deadline} ms and lives after entry {entry.number}"
                raise Violation(LEASES, f"{text}, at {clock} ms")
            heappop(heap)

    def _had_no_room(self, time: float) -> bool:
        return time - self._full_at < ROOM_AGAIN or self._is_full()

    def _is_full(self) -> bool:
        members = getattr(self._world, "members", {})
        return any(member.disk.capacity is not None for member in members.values())


def _name(key: Hashable) -> str:
    return " ".join(map(str, key)) if isinstance(key, tuple) else str(key)
