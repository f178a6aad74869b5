"""What becomes due, in one order for everybody: by deadline, then by the order of arming.

`armed` is the truth: key → (deadline, sequence, key). The heap only finds the first of it, and may
hold entries that are armed no more; such a one is passed over when it comes up. So that they do
not pile up (a lock of a day taken and released ten thousand times a second), a heap with more
dead entries than living is moved into a new one, a few entries at every log entry: the cost stays
flat, where building it anew would stop a machine of a million records for half a second.
"""

from heapq import heapify, heappop, heappush

from raftcoord.machine.ledger import Ledger

Key = tuple[str, int | str]
Entry = tuple[int, int, Key]

SLACK = 1_024
MOVED_PER_PUSH = 8


class Deadlines:
    """The deadlines of all tables."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.armed: dict[Key, Entry] = {}
        self._heap: list[Entry] = []
        self._former: list[Entry] = []
        self._pushed = 0

    def arm(self, key: Key, deadline: int) -> None:
        """Set or move the deadline of a key, cluster time in ms."""
        ledger = self._ledger
        entry = (deadline, ledger.next("sequence"), key)
        ledger.set(self.armed, key, entry)
        heappush(self._heap, entry)
        self._pushed += 1

    def disarm(self, key: Key) -> None:
        """The key has no deadline any more."""
        self._ledger.unset(self.armed, key)

    def is_armed(self, entry: Entry) -> bool:
        """Whether this very entry still stands."""
        return self.armed.get(entry[2]) is entry

    def first(self) -> Entry | None:
        """The entry that is due first.

        Not to be called within a unit: an undo could not bring back what is dropped here.
        """
        best = self._first_of(self._heap)
        if self._former:
            other = self._first_of(self._former)
            if best is None or (other is not None and other < best):
                return other
        return best

    def _first_of(self, heap: list[Entry]) -> Entry | None:
        armed = self.armed
        while heap:
            entry = heap[0]
            if armed.get(entry[2]) is entry:
                return entry
            heappop(heap)
        return None

    def tidy(self) -> None:
        """Do a share of the moving that keeps the heap small. After an entry was sealed."""
        pushed, self._pushed = self._pushed, 0
        if self._former:
            self._move(MOVED_PER_PUSH * (pushed + 1))
        elif len(self._heap) > 2 * len(self.armed) + SLACK:
            self._former, self._heap = self._heap, []

    def _move(self, count: int) -> None:
        # The last leaf can be taken away and what remains is still a heap.
        former, armed = self._former, self.armed
        for _ in range(min(count, len(former))):
            entry = former.pop()
            if armed.get(entry[2]) is entry:
                heappush(self._heap, entry)

    def load(self, armed: dict[Key, Entry]) -> None:
        """Take these as the whole content."""
        self.armed = armed
        self.rebuild()

    def rebuild(self) -> None:
        """Build the heap anew, after an entry was sealed; O(all), for restores."""
        self._heap = list(self.armed.values())
        self._former = []
        heapify(self._heap)

    def heap_size(self) -> int:
        """Entries held, the dead ones too."""
        return len(self._heap) + len(self._former)
