"""What a journal's records add up to: the log, term and vote, commit index, snapshot.

The same object is built by replaying the records at the start and kept in step while records are
written, so both always agree. Rule: a record that contradicts what the earlier ones said is
damage, never something to skip.
"""

from struct import error as ShortPayload

from raftcoord.consensus import records
from raftcoord.consensus.records import Entry, Kind, SnapshotMarker

PLACEHOLDER = b"\x01" + bytes(8)
"""Command of the entry that stands for everything in a snapshot: a no-op at cluster time 0."""


class Inconsistent(Exception):
    """A record is valid by itself but contradicts what the records before it said."""


class Contents:
    """The sum of the records so far.

    `entries` is one list for life: it is changed in place, never replaced. `starts` says for each
    journal file the lowest index from which on every live entry has its record in this file or a
    later one: the files before it are needed only for entries below.
    """

    __slots__ = (
        "boot",
        "commit",
        "entries",
        "floor",
        "snapshot",
        "starts",
        "tail_cut",
        "term",
        "vote",
    )

    def __init__(self, first: int) -> None:
        """An empty log whose next entry has the index `first`."""
        self.entries: list[Entry] = []
        self.floor = first
        self.term = 0
        self.vote: str | None = None
        self.commit = 0
        self.snapshot: SnapshotMarker | None = None
        self.tail_cut = False
        self.boot = 0
        self.starts: dict[int, int] = {}

    @property
    def next(self) -> int:
        """Index of the entry that would be added next."""
        return self.entries[-1][1] + 1 if self.entries else self.floor

    @property
    def last(self) -> int:
        """Index of the log's last entry."""
        return self.next - 1

    def begin(self, number: int) -> None:
        """A new file starts here."""
        self.starts[number] = self.next

    def truncate(self, index: int) -> None:
        """Entries from `index` on leave the log."""
        if not self.commit < index <= self.next:
            raise Inconsistent(f"cut from {index} on, with {self.commit} of {self.last} committed")
        if self.entries and index > self.entries[0][1]:
            del self.entries[index - self.entries[0][1] :]
        else:
            self.entries.clear()
            self.floor = index
        self._lower(index)

    def reset(self, index: int, term: int, keep: bool) -> None:
        """The log starts over at (index, term); with `keep` the entries behind it stay."""
        first = self.entries[0][1] if self.entries else self.next
        if not keep:
            self.entries[:] = [(PLACEHOLDER, index, term)]
            self._lower(index)
        elif index > self.last:
            raise Inconsistent(f"the log starts over at {index}, which is not in it")
        elif first <= index:
            del self.entries[: index - first]
        elif first == index + 1:
            self.entries.insert(0, (PLACEHOLDER, index, term))
        # Else the entries between are in files that were removed since: a later record says why.
        self.commit = max(self.commit, index)

    def _lower(self, index: int) -> None:
        for number, start in self.starts.items():
            if start > index:
                self.starts[number] = index

    def drop_files(self, index: int, newest: int) -> list[int]:
        """The files that hold no entry from `index` on, up to `newest`, oldest first.

        They no longer count from here on.
        """
        kept = max(
            (n for n, start in self.starts.items() if start <= index and n <= newest), default=0
        )
        dropped = [number for number in self.starts if number < kept]
        for number in dropped:
            del self.starts[number]
        return dropped

    def holds(self, index: int, term: int) -> bool:
        """Whether the log has the entry (index, term)."""
        if not self.entries:
            return False
        at = index - self.entries[0][1]
        return 0 <= at < len(self.entries) and self.entries[at][2] == term

    def replay(self, kind: int, payload: bytes) -> None:
        """Take one record into account.

        Raises:
            Inconsistent: it contradicts what the records before it said.
        """
        try:
            self._replay(kind, payload)
        except (ShortPayload, UnicodeDecodeError) as error:
            raise Inconsistent(f"a record of type {kind:#x} is malformed: {error}") from error

    def _replay(self, kind: int, payload: bytes) -> None:
        if kind == Kind.ENTRY:
            index, term = records.ENTRY_FIELDS.unpack_from(payload)
            if index != self.next:
                raise Inconsistent(f"entry {index} where {self.next} is next")
            self.entries.append((payload[records.ENTRY_FIELDS.size :], index, term))
        elif kind == Kind.COMMIT:
            commit = records.read_number(payload)
            if not self.commit <= commit <= self.last:
                raise Inconsistent(f"commit index {commit} outside {self.commit} to {self.last}")
            self.commit = commit
        elif kind == Kind.VOTE:
            term, vote = records.read_vote(payload)
            if term < self.term:
                raise Inconsistent(f"term {term} after term {self.term}")
            self.term, self.vote = term, vote
        elif kind == Kind.TRUNCATE:
            self.truncate(records.read_number(payload))
        elif kind == Kind.SNAPSHOT:
            self.snapshot = records.read_snapshot(payload)
        elif kind == Kind.RESET:
            self.reset(*records.read_reset(payload))
        elif kind == Kind.BOOT:
            self.boot = records.read_number(payload)
        elif kind == Kind.HEALED:
            self.tail_cut = False
        elif kind != Kind.SYNCED:
            raise Inconsistent(f"a record of the unknown type {kind:#x}")
