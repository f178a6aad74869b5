"""Reading a journal at the start: which files count, what they say, whether the end was cut.

Rule: what lies in front of a sync marker was synced, and damage there is refused, with file and
offset. Behind the last marker a write that was not finished is left out; a record that was
finished and is damaged is left out too, but the node must know (`Recovered.cut` = "damaged"),
for somebody may have been told about it. What is left out is never overwritten: the journal goes
on in a new file whose header says where the one before it ends.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from raftcoord.consensus import records, segments
from raftcoord.consensus.contents import Contents, Inconsistent
from raftcoord.consensus.edges import Disk
from raftcoord.consensus.segments import Header
from raftcoord.errors import ConfigInvalid, DataDamaged, DataMissing

Cut = Literal["no", "unfinished", "damaged"]


@dataclass(slots=True)
class Recovered:
    """What was found.

    Args:
        header: of the last file.
        contents: what all records add up to.
        number, end: the last file, and where its records end.
        cut: whether something behind `end` was left out, and of which sort.
        leftovers: files that do not count and can be removed.
        highest: the highest number of any file.
    """

    header: Header
    contents: Contents
    number: int
    end: int
    cut: Cut
    leftovers: list[str]
    highest: int


def recover(disk: Disk, folder: str, cluster: str, node: str) -> Recovered:
    """Read the journal in `folder`.

    Raises:
        DataMissing: there is no journal.
        DataDamaged: a record that was synced is not valid; fields file, offset.
        UnknownFormat: written by a newer version.
        ConfigInvalid: the journal of another node or cluster.
    """
    return _Reader(disk, folder, cluster, node).recover()


def damaged(file: str, offset: int, what: str) -> DataDamaged:
    """The error that names file and offset."""
    return DataDamaged(f"{file} at byte {offset}: {what}", file=file, offset=offset)


class _Reader:
    def __init__(self, disk: Disk, folder: str, cluster: str, node: str) -> None:
        self.disk = disk
        self.folder = folder
        self.cluster = cluster
        self.node = node

    def recover(self) -> Recovered:
        names = self.disk.list(self.folder)
        numbers = sorted(n for n in map(segments.number_of, names) if n is not None)
        if not numbers:
            raise DataMissing(f"there is no journal in {self.folder}", folder=self.folder)
        headers = {n: h for n in numbers if (h := self._header(n)) is not None}
        if not headers:
            raise damaged(self._path(numbers[0]), 0, "the header is damaged")
        last = max(headers)
        chain = self._chain(last, numbers, headers)
        contents = headers[chain[0]][0].contents()
        for number, after in pairwise(chain):
            self._replay_whole(number, headers[after][0], contents, headers[number][1])
        contents.tail_cut = headers[last][0].tail_cut
        data = self._read(last)
        if len(data) < headers[last][0].size:
            raise damaged(self._path(last), len(data), "the file is shorter than it was made")
        end = self._replay(last, data, headers[last][1], len(data), contents)
        cut = self._judge(last, data, end)
        for number in numbers:
            if number > last:
                cut = self._judge_headless(number, cut)
        self._check(contents, headers[chain[0]][0], chain, end)
        kept = {segments.name(number) for number in chain}
        ours = {n: at for n in names if (at := segments.number_of(n.removesuffix(".tmp")))}
        return Recovered(
            header=headers[last][0],
            contents=contents,
            number=last,
            end=end,
            cut=cut,
            leftovers=[f"{self.folder}/{name}" for name in ours if name not in kept],
            highest=max(ours.values()),
        )

    def _path(self, number: int) -> str:
        return f"{self.folder}/{segments.name(number)}"

    def _read(self, number: int, size: int | None = None) -> bytes:
        file = self.disk.open(self._path(number))
        try:
            return file.read(0, file.size() if size is None else size)
        finally:
            file.close()

    def _header(self, number: int) -> tuple[Header, int] | None:
        file = self._path(number)
        found = segments.decode_header(self._read(number, segments.HEADER_LIMIT), number, file)
        if found is None:
            return None
        header = found[0]
        if (header.cluster, header.node) != (self.cluster, self.node):
            raise ConfigInvalid(
                f"{file} is of node {header.node} of cluster {header.cluster}, "
                f"not of {self.node} of {self.cluster}",
                file=file,
                cluster=header.cluster,
                node=header.node,
            )
        return found

    def _chain(
        self, last: int, numbers: list[int], headers: dict[int, tuple[Header, int]]
    ) -> list[int]:
        """From the last valid header back to the oldest file that is still there."""
        chain = [last]
        while (previous := headers[chain[0]][0].previous) in numbers:
            if previous not in headers:
                raise damaged(self._path(previous), 0, "the header is damaged")
            chain.insert(0, previous)
        return chain

    def _replay_whole(self, number: int, after: Header, contents: Contents, offset: int) -> None:
        """Replay a file that was synced to its end, as the next file's header tells."""
        data = self._read(number)
        end = self._replay(number, data, offset, after.previous_end, contents)
        if end != after.previous_end:
            raise damaged(self._path(number), end, "the record is damaged")
        if not after.agrees(contents):
            raise damaged(self._path(number), end, "the next file continues from another state")

    def _replay(self, number: int, data: bytes, offset: int, limit: int, contents: Contents) -> int:
        """Replay records from `offset` on; where the first one begins that is not valid."""
        start = records.seed(self.cluster, self.node, number)
        contents.begin(number)
        while offset < limit and (record := records.decode(data, offset, start)) is not None:
            try:
                contents.replay(*record)
            except Inconsistent as error:
                raise damaged(self._path(number), offset, str(error)) from error
            offset += records.OVERHEAD + len(record[1])
        return offset

    def _judge(self, number: int, data: bytes, end: int) -> Cut:
        """What stands behind the last file's valid records."""
        if segments.is_blank(data, end):
            return "no"
        start = records.seed(self.cluster, self.node, number)
        if records.last_synced(data, end, start) is not None:
            raise damaged(self._path(number), end, "the record is damaged")
        return "unfinished" if segments.is_unfinished(data, end) else "damaged"

    def _judge_headless(self, number: int, cut: Cut) -> Cut:
        """A file behind the last valid header: a spare, a write not finished, or damage."""
        data = self._read(number)
        if segments.is_blank(data, 0):
            return cut
        start = records.seed(self.cluster, self.node, number)
        if records.last_synced(data, 0, start) is not None:
            raise damaged(self._path(number), 0, "the header is damaged")
        if cut == "no" and segments.is_unfinished_header(data):
            return "no"
        # A file is written to only after the one before it was synced: with both of them bad
        # something synced is missing.
        return "damaged"

    def _check(self, contents: Contents, oldest: Header, chain: list[int], end: int) -> None:
        where = self._path(chain[-1])
        covered = contents.snapshot.index if contents.snapshot is not None else -1
        first = contents.entries[0][1] if contents.entries else contents.next
        if contents.commit > max(contents.last, covered):
            raise damaged(
                where, end, f"the log ends at {contents.last}, before its commit {contents.commit}"
            )
        marker = contents.snapshot
        between = first <= covered < contents.commit
        if marker is not None and between and not contents.holds(covered, marker.term):
            raise damaged(where, end, f"the log and the snapshot differ at {covered}")
        if oldest.previous == 0:
            return
        if first > covered + 1 or (not contents.entries and contents.last > covered):
            raise damaged(
                self._path(chain[0]),
                0,
                f"the log begins at {first}, the snapshot ends at {covered}",
            )
