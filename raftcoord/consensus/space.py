"""Room for a journal: its files are made ahead, so that a full disk is met before it matters.

One file more than the journal writes to is always preallocated, in the bulk lane. Where that
fails because the disk is full, `full` says so while the file in use still has room, and the
attempt is repeated until it succeeds. Until a file is ready nothing is written to it; what waits
for it stays in memory.
"""

import errno
from collections import deque
from collections.abc import Callable

from raftcoord.consensus import segments
from raftcoord.consensus.edges import Disk, Edges, File

_FULL = (errno.ENOSPC, errno.EDQUOT)


class Segment:
    """A journal file that is planned, or ready to be written to."""

    __slots__ = ("allocated", "file", "number", "path", "size")

    def __init__(self, folder: str, number: int, size: int) -> None:
        self.number = number
        self.path = f"{folder}/{segments.name(number)}"
        self.size = size
        self.allocated = 0
        self.file: File | None = None

    @property
    def ready(self) -> bool:
        """Whether the file is there, as large as it has to be, and durable in its folder."""
        return self.allocated >= self.size


def prepare(disk: Disk, folder: str, path: str, file: File | None, size: int) -> File:
    """Make the file, or make it larger; blocking. Nothing is left behind where it fails."""
    if file is not None:
        file.allocate(size)
        file.sync()
        return file
    if disk.exists(path):
        disk.remove(path)
    file = disk.open(path, create=True)
    try:
        file.allocate(size)
        file.sync()
        disk.sync_dir(folder)
    except OSError:
        file.close()
        disk.remove(path)
        raise
    return file


class Space:
    """The files ahead of the one in use.

    Args:
        wake: called on the loop when a file became ready.
    """

    def __init__(self, edges: Edges, folder: str, segment_bytes: int, number: int) -> None:
        self._edges = edges
        self._folder = folder
        self.segment_bytes = segment_bytes
        self._spare = Segment(folder, number, segment_bytes)
        self._wanted: deque[Segment] = deque([self._spare])
        self._busy = False
        self.full = False
        self.wake: Callable[[], None] = lambda: None

    @property
    def next_number(self) -> int:
        """The number of the file that `next` would give."""
        return self._spare.number

    @property
    def room(self) -> int:
        """Bytes of the spare file; 0 while there is none."""
        return self._spare.size if self._spare.ready else 0

    def prepare_now(self) -> None:
        """Make the spare, blocking; a full disk only sets `full`."""
        spare = self._spare
        try:
            spare.file = prepare(self._edges.disk, self._folder, spare.path, None, spare.size)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            self.full = True
            return
        spare.allocated = spare.size
        self._wanted.popleft()

    def next(self, needed: int) -> Segment:
        """The next file to write to, at least `needed` bytes; perhaps not ready yet."""
        segment = self._spare
        if segment.size < needed:
            segment.size = needed
            if segment not in self._wanted:
                self._wanted.append(segment)
        self._spare = Segment(self._folder, segment.number + 1, self.segment_bytes)
        self._wanted.append(self._spare)
        self.work()
        return segment

    def work(self) -> None:
        """Start making the next planned file, unless that is under way or nothing is planned."""
        if self._busy or not self._wanted:
            return
        self._busy = True
        segment = self._wanted[0]
        size, file, disk, folder = segment.size, segment.file, self._edges.disk, self._folder

        def done(made: File | None, error: BaseException | None) -> None:
            self._busy = False
            if error is not None:
                self._failed(error)
                return
            segment.file, segment.allocated = made, size
            self.full = False
            if segment.ready:
                self._wanted.popleft()
            self.work()
            self.wake()

        self._edges.run(lambda: prepare(disk, folder, segment.path, file, size), done, lane="bulk")

    def _failed(self, error: BaseException) -> None:
        if not isinstance(error, OSError) or error.errno not in _FULL:
            self._edges.stop(f"a journal file cannot be made: {error}")
        self.full = True

    def close(self) -> None:
        """Close the spare."""
        if self._spare.file is not None:
            self._spare.file.close()
