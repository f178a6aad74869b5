"""The journal: everything a node must not forget, in append-only files.

Log entries, term and vote, commit index, snapshot marks and cuts are records of one stream, so
one sync makes all of them durable in the order they happened. The event loop only encodes into
memory; the driver takes what gathered as one job, runs it off the loop, and reports back:

    1. `add`, `setCurrentTerm`, ... append records in memory and raise `position`.
    2. `take` hands out a job that writes and syncs all of it; one job is out at a time.
    3. `taken` says that the job ended; `synced` and `synced_index` move.
    4. A message that rests on a record leaves when `synced` has reached its `position`.
"""

import errno
from typing import Final, overload
from zlib import crc32

import pysyncobj.journal

from raftcoord.consensus import opening, records, segments
from raftcoord.consensus.edges import Edges
from raftcoord.consensus.records import Entry, Kind, SnapshotMarker
from raftcoord.consensus.recovery import recover
from raftcoord.consensus.segments import Owner
from raftcoord.consensus.space import Space
from raftcoord.consensus.stream import Stream

SEGMENT_BYTES: Final = 16 << 20

# Plain integers and bound methods: `add` is the hot path of every write.
_ENTRY: Final = int(Kind.ENTRY)
_FRAME: Final = records.OVERHEAD
_bound = records.BOUND_ENTRY.pack
_head = records.HEAD_ENTRY.pack
_check = records.check
_END: Final = records.END


class Journal(Stream, pysyncobj.journal.Journal):
    """A node's journal. `create` makes one, `open` reads one; see `Stream` for what is durable."""

    @property
    def cluster(self) -> str:
        """The cluster it belongs to."""
        return self._owner.cluster

    @property
    def node(self) -> str:
        """The node it belongs to."""
        return self._owner.node

    @property
    def incarnation(self) -> int:
        """The node's incarnation: a new one with every empty start."""
        return self._owner.incarnation

    @property
    def boot(self) -> int:
        """How often it was opened, this time included; durable before `open` returned."""
        return self._contents.boot

    @property
    def snapshot(self) -> SnapshotMarker | None:
        """The newest snapshot that was marked."""
        return self._contents.snapshot

    @property
    def tail_cut(self) -> bool:
        """Whether something that may have been acknowledged was cut from its end.

        Such a node neither votes nor counts until it holds the leader's commit index.
        """
        return self._contents.tail_cut

    @staticmethod
    def exists(edges: Edges, path: str) -> bool:
        """Whether there is a journal in the folder, damaged or not."""
        disk = edges.disk
        return disk.exists(path) and any(
            segments.number_of(name) is not None for name in disk.list(path)
        )

    @classmethod
    def create(
        cls,
        edges: Edges,
        path: str,
        *,
        cluster: str,
        node: str,
        incarnation: int,
        base: list[Entry],
        commit: int,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> "Journal":
        """Make a journal in a folder that has none, whole and durable, and open it; blocking.

        Args:
            base: the first entries, at least one, with indices that follow each other.
            commit: the commit index, at most the last entry's index.

        Raises:
            FileExistsError: there is a journal already.
            OSError: the disk is full, or fails.
        """
        if cls.exists(edges, path):
            raise FileExistsError(f"there is a journal in {path}")
        owner = Owner(cluster, node, incarnation)
        opening.found(edges.disk, path, owner, base, commit, segment_bytes)
        return cls.open(edges, path, cluster=cluster, node=node, segment_bytes=segment_bytes)

    @classmethod
    def open(
        cls,
        edges: Edges,
        path: str,
        *,
        cluster: str,
        node: str,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> "Journal":
        """Read the journal in a folder and make everything in it durable; blocking.

        Raises:
            DataMissing: there is none.
            DataDamaged: something that was synced is not valid; fields file, offset.
            UnknownFormat: written by a newer version.
            ConfigInvalid: the journal of another node or cluster.
            OSError: the disk is full, or fails.
        """
        found = recover(edges.disk, path, cluster, node)
        segment = opening.reopen(edges.disk, path, found, segment_bytes)
        space = Space(edges, path, segment_bytes, found.highest + 1)
        space.prepare_now()
        journal = cls(edges, path, found, segment, space)
        journal._restart()
        return journal

    def _restart(self) -> None:
        marker, contents = self.snapshot, self._contents
        if marker is not None and not contents.holds(marker.index, marker.term):
            # Ended between a leader's snapshot and the cut of the log (Raft, section 7: what
            # does not hold the snapshot's last entry gives way to it).
            follows = bool(self._entries) and self._entries[0][1] == marker.index + 1
            self._write_reset(marker.index, marker.term, follows)
        elif marker is not None and marker.index > contents.commit:
            self.setRaftCommitIndex(marker.index)  # only what is committed is in a snapshot
        self._append(Kind.BOOT, records.number(contents.boot + 1), guarded=True)
        contents.boot += 1
        job = self.take()
        if job is None:
            raise OSError(errno.ENOSPC, "no room for the journal's next file")
        job()
        self.taken(None)

    # What the library calls: pysyncobj.journal.Journal. A record is appended before the contents
    # change: where it opens a new file, that one's header says what was before it.

    def add(self, command: bytes, idx: int, term: int) -> None:
        """Append one entry; its index follows the last one's."""
        entries = self._entries
        assert idx == entries[-1][1] + 1
        length = len(command) + 16
        size = length + _FRAME
        if self._batch is None or self._offset + size > self._limit:
            self._make_room(size)
        offset = self._offset
        crc = crc32(command, crc32(_bound(offset, length, _ENTRY, idx, term), self._seed))
        self._chunks += (_head(_ENTRY, length, crc, _check(length), idx, term), command, _END)
        self._offset = offset + size
        self.position += 1
        entries.append((command, idx, term))

    def deleteEntriesFrom(self, entryFrom: int) -> None:
        """Cut the entries from that position in the list on; none of them is committed."""
        assert 0 < entryFrom <= len(self._entries)
        if entryFrom == len(self._entries):
            return
        index = self._entries[entryFrom][1]
        assert index > self._contents.commit
        self._append(Kind.TRUNCATE, records.number(index))
        self._contents.truncate(index)
        self._fall(index - 1)

    @overload
    def __getitem__(self, item: int) -> Entry: ...
    @overload
    def __getitem__(self, item: slice) -> list[Entry]: ...
    def __getitem__(self, item: int | slice) -> Entry | list[Entry]:
        return self._entries[item]

    def __len__(self) -> int:
        return len(self._entries)

    def setRaftCommitIndex(self, raftCommitIndex: int) -> None:
        """Note the commit index. It never falls and never passes the log's end."""
        contents = self._contents
        if raftCommitIndex == contents.commit:
            return
        assert contents.commit < raftCommitIndex <= self._entries[-1][1]
        self._append(Kind.COMMIT, records.number(raftCommitIndex), wants_sync=False)
        contents.commit = raftCommitIndex

    def getRaftCommitIndex(self) -> int:
        """The commit index last noted."""
        return self._contents.commit

    def setCurrentTerm(self, term: int, votedForNodeId: str | None) -> None:
        """Note term and vote; durable once `synced` reaches the `position` after this call."""
        contents = self._contents
        if (term, votedForNodeId) == (contents.term, contents.vote):
            return
        assert term >= contents.term
        assert term > contents.term or contents.vote is None, "a vote is given once in a term"
        self._append(Kind.VOTE, records.vote(term, votedForNodeId), guarded=True)
        contents.term, contents.vote = term, votedForNodeId

    def getCurrentTerm(self) -> int:
        """The term last noted."""
        return self._contents.term

    def getVotedForNodeId(self) -> str | None:
        """Whom this node voted for in that term."""
        return self._contents.vote

    def onOneSecondTimer(self) -> None:
        """Nothing: the library's journal stores its commit index here."""

    def clear(self) -> None:
        """Not for use: it loses entries that were acknowledged (`reset` says what takes over)."""
        raise RuntimeError("a journal is not cleared")

    def deleteEntriesTo(self, entryTo: int) -> None:
        """Not for use: it rewrites what is durable (`forget` leaves it in place)."""
        raise RuntimeError("a journal is not rewritten")

    # What the product adds.

    def mark_snapshot(self, marker: SnapshotMarker) -> None:
        """Note a snapshot that is whole and durable on disk."""
        snapshot = self._contents.snapshot
        assert snapshot is None or marker.index >= snapshot.index
        self._append(Kind.SNAPSHOT, records.snapshot(marker), guarded=True)
        self._contents.snapshot = marker

    def reset(self, index: int, term: int, keep_suffix: bool) -> None:
        """After the install of a leader's snapshot (index, term): the log starts over there.

        With `keep_suffix`, and where the log has that entry, the entries behind it stay (Raft,
        section 7). The commit index becomes at least `index`. The snapshot is marked before.
        """
        keep = keep_suffix and self._contents.holds(index, term)
        assert keep or index >= self._contents.commit
        self._write_reset(index, term, keep)

    def _write_reset(self, index: int, term: int, keep: bool) -> None:
        self._append(Kind.RESET, records.reset(index, term, keep), guarded=True)
        self._contents.reset(index, term, keep)
        if not keep:
            self._fall(0)

    def heal(self) -> None:
        """Note that the log holds the leader's commit index again after its end was cut."""
        if self._contents.tail_cut:
            self._append(Kind.HEALED, b"", guarded=True)
            self._contents.tail_cut = False

    def forget(self, index: int) -> list[str]:
        """Entries below `index` leave memory; files that hold nothing else are removed.

        A durable snapshot covers them. The removal runs in the bulk lane.

        Returns:
            The paths of the files that are being removed.
        """
        marker = self._durable_snapshot
        assert marker is not None
        assert marker.index >= index
        first = self._entries[0][1]
        if index > first:
            self._forgotten += self._entries[: index - first]
            del self._entries[: index - first]
        numbers = self._contents.drop_files(index, self._durable_number)
        paths = [f"{self._folder}/{segments.name(number)}" for number in numbers]
        if paths:
            self._edges.run(lambda: self._remove(paths), self._removed, lane="bulk")
        return paths

    def _remove(self, paths: list[str]) -> None:
        for path in paths:  # oldest first: what is left is always one unbroken end
            self._edges.disk.remove(path)
        self._edges.disk.sync_dir(self._folder)

    def _removed(self, _: None, error: BaseException | None) -> None:
        if error is not None:
            self._edges.stop(f"journal files cannot be removed: {error}")

    def _destroy(self) -> None:
        """Close the files. No job is out."""
        self._space.close()
        for segment in (*self._rolled, self._segment):
            if segment.file is not None:
                segment.file.close()
