"""The writing half of a journal: from records in memory to durable bytes.

Records get their place (file and offset) when they are appended, gather in a batch, and leave as
one job: write, sync, for each file that the batch touches. A batch opens with a sync marker. A
guarded one (vote, boot, snapshot mark) is closed by one that is synced too, so that damage to it
can never be taken for a write that was not finished.
"""

from collections.abc import Callable

from raftcoord.consensus import records, segments
from raftcoord.consensus.edges import Edges
from raftcoord.consensus.records import Entry, Kind, SnapshotMarker
from raftcoord.consensus.recovery import Recovered
from raftcoord.consensus.space import Segment, Space

_FREED_AT_ONCE = 4096


class _Batch:
    """Records that follow each other in one file and are written together.

    `position`, `last` and `snapshot` are the journal's when the batch was closed; `last` falls
    when entries are cut before the batch is durable.
    """

    __slots__ = (
        "chunks",
        "closing",
        "guarded",
        "last",
        "offset",
        "position",
        "segment",
        "snapshot",
    )

    def __init__(self, segment: Segment, offset: int) -> None:
        self.segment = segment
        self.offset = offset
        self.chunks: list[bytes] = []
        self.closing = b""
        self.guarded = False
        self.position = 0
        self.last = 0
        self.snapshot: SnapshotMarker | None = None


class Stream:
    """Appends records and says how far they are durable.

    Attributes:
        position: count of records appended that want a sync. Commit records and markers are not
            counted: they travel with the next batch, so an idle cluster writes nothing.
        synced: every record up to this position is durable.
        synced_index: the highest log index such that its record and those of all entries below
            are durable.
    """

    def __init__(
        self, edges: Edges, folder: str, found: Recovered, segment: Segment, space: Space
    ) -> None:
        """Go on behind what was found, in `segment`."""
        self.position = 0
        self.synced = 0
        self.synced_index = found.contents.last
        self._edges = edges
        self._folder = folder
        self._owner = found.header.owner
        self._space = space
        self._contents = found.contents
        self._entries = found.contents.entries
        self._forgotten: list[Entry] = []
        self._durable_snapshot = found.contents.snapshot
        self._durable_number = segment.number
        self._rolled: list[Segment] = []
        self._batches: list[_Batch] = []
        self._job: list[_Batch] = []
        self._covered = 0
        self._use(segment, found.end)

    def _use(self, segment: Segment, offset: int) -> None:
        self._segment = segment
        self._offset = offset
        self._limit = segment.size - records.SYNCED_SIZE
        self._seed = records.seed(self._owner.cluster, self._owner.node, segment.number)
        self._batch: _Batch | None = None
        self._chunks: list[bytes] = []

    @property
    def dirty(self) -> bool:
        """Whether something waits for a sync that no job covers yet."""
        return self.position > self._covered

    @property
    def full(self) -> bool:
        """Whether the disk had no room for the next file, while this one still has."""
        return self._space.full

    @property
    def room(self) -> int:
        """Bytes that can be written without needing anything more of the disk."""
        left = self._limit - self._offset if self._segment.ready else 0
        return max(0, left) + self._space.room

    @property
    def wake(self) -> Callable[[], None]:
        """Set by the driver: called on the loop when `take` may succeed where it gave None."""
        return self._space.wake

    @wake.setter
    def wake(self, wake: Callable[[], None]) -> None:
        self._space.wake = wake

    def retry_space(self) -> None:
        """Try again to make the next file, where that failed; called by the driver's timer."""
        self._space.work()

    def _append(
        self, kind: Kind, payload: bytes, *, guarded: bool = False, wants_sync: bool = True
    ) -> None:
        size = records.OVERHEAD + len(payload)
        if self._batch is None or self._offset + size > self._limit:
            self._make_room(size)
        assert self._batch is not None
        self._chunks.append(records.encode(kind, payload, self._offset, self._seed))
        self._offset += size
        self.position += wants_sync
        self._batch.guarded |= guarded

    def _make_room(self, size: int) -> None:
        """Open a batch in which a record of `size` bytes fits, in the next file if it must be."""
        opening = records.SYNCED_SIZE if self._batch is None else 0
        if self._offset + opening + size > self._limit:
            self._roll(size)
            return
        self._start_batch(records.synced(self._offset, self._seed))

    def _start_batch(self, first: bytes) -> None:
        self._batch = _Batch(self._segment, self._offset)
        self._chunks = self._batch.chunks
        self._chunks.append(first)
        self._offset += len(first)
        self._batches.append(self._batch)

    def _roll(self, size: int) -> None:
        self._close_batch()
        previous = self._segment.number, self._offset
        number = self._space.next_number
        header, needed = segments.first_bytes(
            self._contents, self._owner, previous, number, size, self._space.segment_bytes
        )
        self._rolled.append(self._segment)
        self._use(self._space.next(needed), 0)
        self._contents.begin(number)
        self._start_batch(header)

    def _close_batch(self) -> None:
        if self._batch is not None:
            self._batch.position = self.position
            self._batch.last = self._contents.last
            self._batch.snapshot = self._contents.snapshot
            self._batch = None

    def _fall(self, index: int) -> None:
        """Entries behind `index` are no longer those that were written, or are being written."""
        self.synced_index = min(self.synced_index, index)
        for batch in (*self._job, *self._batches):
            batch.last = min(batch.last, index)

    def take(self) -> Callable[[], None] | None:
        """Everything that gathered, as one job to run off the loop: it writes and syncs.

        None where nothing gathered, where a job is out, or where the next file is not there yet.
        Every job must be reported to `taken` before the next one is taken.
        """
        if self._forgotten:
            # Freeing half a million entries at once would stall the loop for 60 ms.
            del self._forgotten[-_FREED_AT_ONCE:]
        if self._job:
            return None
        ready = 0
        while ready < len(self._batches) and self._batches[ready].segment.ready:
            ready += 1
        if not ready:
            return None
        job, self._batches = self._batches[:ready], self._batches[ready:]
        last = job[-1]
        if last.guarded:
            self._guard(last)
        if last is self._batch:
            self._close_batch()
        self._job = job
        self._covered = last.position
        return lambda: _write(job)

    def _guard(self, batch: _Batch) -> None:
        # A batch that is not the open one was closed by the next file's beginning; that file
        # says it begins here, and what follows in this one counts only while it is not there.
        end = batch.offset + sum(map(len, batch.chunks))
        seed = records.seed(self._owner.cluster, self._owner.node, batch.segment.number)
        batch.closing = records.synced(end, seed)
        if batch is self._batch:
            self._offset += len(batch.closing)

    def taken(self, error: BaseException | None) -> None:
        """The job that was out has ended.

        Raises:
            BaseException: `error`. What was written is then unknown, so the node must end; a
                failed sync is never retried.
        """
        if error is not None:
            raise error
        last = self._job[-1]
        self._job = []
        self.synced = last.position
        self.synced_index = max(self.synced_index, last.last)
        self._durable_number = last.segment.number
        self._durable_snapshot = last.snapshot
        if self._rolled:
            self._close_rolled()

    def _close_rolled(self) -> None:
        waiting = {batch.segment.number for batch in self._batches}
        for segment in self._rolled:
            if segment.number not in waiting and segment.file is not None:
                segment.file.close()
        self._rolled = [segment for segment in self._rolled if segment.number in waiting]


def _write(job: list[_Batch]) -> None:
    for batch in job:
        file = batch.segment.file
        assert file is not None
        data = b"".join(batch.chunks)
        # Before the next file's header: that one says that everything before it was synced.
        file.write_durable(batch.offset, data)
        if batch.closing:
            file.write_durable(batch.offset + len(data), batch.closing)
