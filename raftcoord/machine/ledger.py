"""The tables of the machine, and the one way to change them.

The rule: nothing changes but through the ledger, so that everything that changed can be undone.

A table is a dict of frozen records. A change puts a new record in a row, and the ledger notes what
was there before. A row that is deleted keeps its place, holding None, until the entry is sealed:
so an undo gives back not only the rows but their order, and with it the bytes of a snapshot.

The digest is a CRC-32 that runs over every changed record's bytes, its table and key before it
(a deletion is the key alone). Two machines that applied the same log have the same one.
"""

from collections.abc import Callable, Hashable
from typing import Any, Generic, NamedTuple, TypeVar
from zlib import crc32

import msgspec

from raftcoord.machine.events import Event
from raftcoord.machine.order import SortedKeys

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")

_MISSING: Any = object()
_encode: Callable[[Any], bytes] = msgspec.msgpack.Encoder().encode


class Record(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What stands in a row: frozen, and written as an array of its fields."""


class Table(Generic[K, R]):
    """One table.

    Args:
        name: its name in snapshots and digests.
        key, record: types of both, for reading a snapshot.
        ordered: keep the keys sorted too, for lists that are read page by page.
    """

    __slots__ = ("decoder", "name", "order", "rows")

    def __init__(self, name: str, key: Any, record: Any, *, ordered: bool = False) -> None:
        self.name = name
        self.rows: dict[K, R] = {}
        self.order: SortedKeys[K] | None = SortedKeys() if ordered else None
        self.decoder = msgspec.msgpack.Decoder(list[tuple[key, record]])

    def get(self, key: K) -> R | None:
        """The record; None where there is none."""
        return self.rows.get(key)

    def __len__(self) -> int:
        return len(self.rows)

    def load(self, rows: dict[K, R]) -> None:
        """Take these rows as the whole content, in their order."""
        self.rows = rows
        if self.order is not None:
            self.order = SortedKeys(rows)


class Mark(NamedTuple):
    """A point to which the ledger can go back."""

    changes: int
    events: int
    digest: int
    clock: int


class Ledger:
    """Clock, counters and the notes of what the present entry changed.

    Attributes:
        clock: cluster time in ms up to which what is due was looked for: what ends at the clock
            or before is over.
        time: the present entry's, never below the clock: what begins with it begins then.
    """

    def __init__(self) -> None:
        self.clock = 0
        self.time = 0
        self.counters: dict[str, int] = {}
        self.digest = 0
        self.events: list[Event] = []
        self._notes: list[tuple[dict[Any, Any], Any, Any]] = []
        self._moved: list[tuple[Table[Any, Any], Any]] = []

    def put(self, table: Table[K, R], key: K, record: R) -> None:
        """Put a record into a row, new or not."""
        rows = table.rows
        old: Any = rows.get(key, _MISSING)
        self._notes.append((rows, key, old))
        rows[key] = record
        self.digest = crc32(_encode((table.name, key, record)), self.digest)
        if table.order is not None and (old is _MISSING or old is None):
            self._moved.append((table, key))

    def delete(self, table: Table[K, Any], key: K) -> None:
        """Delete a row that is there."""
        rows = table.rows
        self._notes.append((rows, key, rows[key]))
        rows[key] = None
        self.digest = crc32(_encode((table.name, key)), self.digest)
        if table.order is not None:
            self._moved.append((table, key))

    def set(self, rows: dict[K, Any], key: K, value: Any) -> None:
        """Change an index: a dict that follows from the tables and is in no digest."""
        self._notes.append((rows, key, rows.get(key, _MISSING)))
        rows[key] = value

    def unset(self, rows: dict[K, Any], key: K) -> None:
        """Take a key out of an index; nothing where it is not there."""
        old = rows.get(key)
        if old is not None:
            self._notes.append((rows, key, old))
            rows[key] = None

    def next(self, counter: str) -> int:
        """Count on: 1, 2, 3, …"""
        value = self.counters.get(counter, 0) + 1
        self.set(self.counters, counter, value)
        return value

    def emit(self, kind: str, key: str, data: Any) -> None:
        """Tell what happened."""
        self.events.append(Event(kind, key, data))

    def mark(self) -> Mark:
        """Here the machine can come back to until the entry is sealed."""
        return Mark(len(self._notes), len(self.events), self.digest, self.clock)

    def undo(self, mark: Mark) -> None:
        """Make everything as it was at the mark, to the byte."""
        notes = self._notes
        while len(notes) > mark.changes:
            rows, key, old = notes.pop()
            if old is _MISSING:
                del rows[key]
            else:
                rows[key] = old
        del self.events[mark.events :]
        self.digest = mark.digest
        self.clock = mark.clock

    def changed_since(self, mark: Mark) -> int:
        """How many changes there were since the mark."""
        return len(self._notes) - mark.changes

    def seal(self) -> tuple[Event, ...]:
        """The entry is done: nothing of it can be undone any more. Gives its events."""
        for rows, key, old in self._notes:
            if old is not None and rows.get(key, _MISSING) is None:
                del rows[key]
        self._notes.clear()
        for table, key in self._moved:
            if table.order is not None:
                table.order.settle(key, key in table.rows)
        self._moved.clear()
        events = tuple(self.events)
        self.events.clear()
        return events
