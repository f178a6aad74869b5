"""What a power cut right now would leave of one member's journal, at the worst: nothing unsynced.

The journal's files are read as they lie on the simulated platter, each record once, as it becomes
durable; a new process reads them anew. The format is the product's (`raftcoord.consensus.records`),
the reading is not: what the product believes to be durable is not asked.
"""

from __future__ import annotations

from typing import Any, cast

from chaos.simulation.violation import Violation
from raftcoord.consensus import records, segments
from raftcoord.consensus.records import Kind
from raftcoord.consensus.segments import Header

_SYNCED = b"\x0esynced\xf1"
_HEAD = records.HEAD.size
_BEGIN = 64
"""Bytes at a file's begin that are not all zero once it is written to."""


class Platter:
    """The journal of one data folder.

    Args:
        disk: the member's, as long as it has this one.
        folder: of the data.

    Attributes:
        terms: the term of each log entry that is durable here, by index.
        covered: all entries up to this one are in a snapshot that is durable here, or may be
            in a file that cannot be read any more.
        incarnation: of the data folder; None where it has no journal.
        votes: term → whom a durable record says was voted for.
    """

    def __init__(self, disk: Any, folder: str = "data") -> None:
        self.terms: dict[int, int] = {}
        self.covered = -1
        self.incarnation: int | None = None
        self.votes: dict[int, str] = {}
        self._broken = False
        self._headless = False
        self._disk = disk
        self._folder = folder
        self._files: dict[int, Any] = {}
        self._synced = self._listed = True
        self._number = 0
        self._offset = 0
        self._seed = 0

    @property
    def damaged(self) -> bool:
        """Whether a durable record cannot be read any more: what follows it is not known."""
        return self._broken or self._headless

    def holds(self, index: int, term: int) -> bool:
        """Whether the entry is durable here, as far as can be known."""
        return self.damaged or index <= self.covered or self.terms.get(index) == term

    def changed(self, operation: str) -> None:
        """The disk did something to it."""
        if operation == "sync":
            self._synced = True
        elif operation == "sync_dir":
            self._synced = self._listed = True

    def look(self) -> None:
        """Read what became durable since the last time."""
        if not self._synced:
            return
        if self._listed:
            self._list()
        self._synced = self._listed = False
        if self._number not in self._files and self._following() is None:
            # It was filled and removed, and the next one too, since the last look.
            self.incarnation = None
            self.terms.clear()
        if self.incarnation is None and not self._begin():
            return
        while True:
            self._read()
            following = self._following()
            if following is None:
                # Its header is flipped: what is in it, or behind it, cannot be read.
                self._headless = any(
                    number > self._number and any(image.data[:_BEGIN])
                    for number, image in self._files.items()
                )
                return
            self._enter(*following)

    def _list(self) -> None:
        """The files whose names are durable."""
        names = self._disk._durable_names
        prefix = f"{self._folder}/journal/"
        self._files = {
            number: inode.durable
            for path, inode in names.items()
            if inode is not None
            and path.startswith(prefix)
            and (number := segments.number_of(path[len(prefix) :])) is not None
        }

    def _header(self, number: int) -> tuple[Header, int] | None:
        data = bytes(self._files[number].data[: segments.HEADER_LIMIT])
        return segments.decode_header(data, number, str(number))

    def _begin(self) -> bool:
        """Read all files up to the last that counts; whether there is one."""
        headers = {n: found for n in self._files if (found := self._header(n)) is not None}
        if not headers:
            # With its only header flipped the journal is there, and cannot be read.
            self._broken = any(any(image.data) for image in self._files.values())
            return False
        chain = [max(headers)]
        while (previous := headers[chain[0]][0].previous) in headers:
            chain.insert(0, previous)
        oldest = headers[chain[0]][0]
        if oldest.previous in self._files:
            # That one's header is flipped: what it holds cannot be read any more.
            self.covered = max(self.covered, oldest.next - 1)
        for number in chain:
            self._enter(number, *headers[number])
            if number != chain[-1]:
                self._read()
        return True

    def _enter(self, number: int, header: Header, offset: int) -> None:
        """Go on with this file."""
        if self.incarnation is None:
            self.incarnation = header.incarnation
            self._know(header.snapshot)
        self._vote(header.term, header.vote)
        self._broken = False
        self._number, self._offset = number, offset
        self._seed = records.seed(header.cluster, header.node, number)

    def _following(self) -> tuple[int, Header, int] | None:
        """The file that says it comes behind the end of this one."""
        later = [number for number in self._files if number > self._number]
        for number in sorted(later) if later else ():
            found = self._header(number)
            if found is not None and found[0].previous == self._number:
                return number, *found
        return None

    def _read(self) -> None:
        """Read on in the present file, as far as it goes."""
        image = self._files.get(self._number)
        if image is None:
            return
        # Only sliced and scanned, which bytes that may grow can be as well.
        data, seed = cast(bytes, image.data), self._seed
        while True:
            record = records.decode(data, self._offset, seed)
            if record is not None:
                self._take(*record)
                self._offset += records.OVERHEAD + len(record[1])
            elif not any(data[self._offset : self._offset + _HEAD]):
                self._broken = False
                return
            else:
                again = self._next_marker(data)
                if again is None:
                    self._broken = True
                    return
                self._offset = again

    def _next_marker(self, data: bytes) -> int | None:
        """Where records go on behind one that is damaged."""
        at = self._offset
        while (at := data.find(_SYNCED, at + 1)) >= 0:
            found = at - _HEAD
            if found > self._offset and records.decode(data, found, self._seed) is not None:
                return found
        return None

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == Kind.ENTRY:
            index, term = records.ENTRY_FIELDS.unpack_from(payload)
            self.terms[index] = term
        elif kind == Kind.TRUNCATE:
            self._cut(records.read_number(payload))
        elif kind == Kind.VOTE:
            self._vote(*records.read_vote(payload))
        elif kind == Kind.SNAPSHOT:
            self._know(records.read_snapshot(payload))
        elif kind == Kind.RESET:
            index, term, keep = records.read_reset(payload)
            if not keep or self.terms.get(index) != term:
                self.terms.clear()

    def _cut(self, index: int) -> None:
        for behind in [known for known in self.terms if known >= index]:
            del self.terms[behind]

    def _vote(self, term: int, vote: str | None) -> None:
        if vote is None:
            return
        if self.votes.setdefault(term, vote) != vote:
            text = f"{self.votes[term]} and {vote} have a durable vote of one node in term {term}"
            raise Violation("election safety", text)

    def _know(self, marker: Any) -> None:
        """A snapshot is marked: it counts where all of it is durable under its name."""
        if marker is None:
            return
        inode = self._disk._durable_names.get(f"{self._folder}/snapshots/{marker.name}")
        if inode is not None and inode.durable.size == marker.size:
            self.covered = max(self.covered, marker.index)

    def forget(self, index: int) -> None:
        """Entries up to this one will not be asked for."""
        for known in [known for known in self.terms if known <= index]:
            del self.terms[known]
