"""A small shared file through which a nemesis tells a process how its disk and clock are to fail.

The nemesis writes, the process reads: both map the same page, so that asking costs a load from
memory. Two kinds of processes ask: a node that runs under `chaos.nemesis.faulty`, and the file
system of `chaos.nemesis.fuse`.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from pathlib import Path
from typing import Any, Final

JOURNAL: Final = 1
SNAPSHOTS: Final = 2
OTHER: Final = 4
EVERYWHERE: Final = JOURNAL | SNAPSHOTS | OTHER

UNLIMITED: Final = -1
_MAGIC: Final = 0x52434657
_SIZE: Final = 4096


class _Fields(ctypes.Structure):
    _fields_ = (
        ("magic", ctypes.c_uint32),
        ("armed", ctypes.c_uint32),
        ("where", ctypes.c_uint32),
        ("hits", ctypes.c_uint32),
        ("sync_errno", ctypes.c_int32),
        ("sync_times", ctypes.c_int32),
        ("sync_delay", ctypes.c_double),
        ("stalled", ctypes.c_int32),
        ("read_errno", ctypes.c_int32),
        ("flip_times", ctypes.c_int32),
        ("flip_seed", ctypes.c_uint32),
        ("room", ctypes.c_int64),
        ("clock", ctypes.c_uint32),
        ("jumps", ctypes.c_uint32),
        ("rate", ctypes.c_double),
        ("jump", ctypes.c_double),
        ("wall", ctypes.c_double),
    )


def place_of(path: str) -> int:
    """JOURNAL, SNAPSHOTS or OTHER: which of a node's files a path names."""
    name = os.path.basename(path)
    if name.startswith("journal"):
        return JOURNAL
    return SNAPSHOTS if name.startswith("snapshot") else OTHER


class Control:
    """One process's control. With nothing set, the process works as if it were not there.

    Attributes:
        armed: whether any fault of the disk is set; the only thing asked while there is none.
        hits: how many operations were hit since the last `clear`.
    """

    def __init__(self, file: Path, *, create: bool = False) -> None:
        """Map the file. Raises OSError, and ValueError where it is no control."""
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if create else 0)
        descriptor = os.open(file, flags, 0o600)
        try:
            if create:
                os.ftruncate(descriptor, _SIZE)
            if os.fstat(descriptor).st_size != _SIZE:
                raise ValueError(f"{file} is no control of faults")
            self._map = mmap.mmap(descriptor, _SIZE)
        finally:
            os.close(descriptor)
        self.file = file
        self.fields: Any = _Fields.from_buffer(self._map)
        if create:
            self.fields.rate = 1.0
            self.clear()
            self.fields.magic = _MAGIC
        if self.fields.magic != _MAGIC:
            raise ValueError(f"{file} is no control of faults")

    # What a nemesis says.

    def fail_syncs(
        self, error: int = errno.EIO, *, times: int = UNLIMITED, where: int = EVERYWHERE
    ) -> None:
        """Syncs of files in `where` fail, the next `times` of them."""
        self.fields.where = where
        self.fields.sync_times = times
        self.fields.sync_errno = error
        self.fields.armed = 1

    def slow_syncs(self, seconds: float, *, where: int = EVERYWHERE) -> None:
        """Each sync takes that much longer; one that is under way when this ends, ends too."""
        self.fields.where = where
        self.fields.sync_delay = seconds
        self.fields.armed = 1

    def stall_syncs(self, *, where: int = EVERYWHERE) -> None:
        """No sync ends until `clear`."""
        self.fields.where = where
        self.fields.stalled = 1
        self.fields.armed = 1

    def fail_reads(self, error: int = errno.EIO, *, where: int = EVERYWHERE) -> None:
        """Reads fail."""
        self.fields.where = where
        self.fields.read_errno = error
        self.fields.armed = 1

    def flip_reads(self, seed: int, *, times: int = UNLIMITED, where: int = EVERYWHERE) -> None:
        """One bit of what is read is another one, in the next `times` reads that hold something."""
        self.fields.where = where
        self.fields.flip_seed = seed
        self.fields.flip_times = times
        self.fields.armed = 1

    def limit_room(self, room: int) -> None:
        """Files may grow by that many bytes together; then there is no space (ENOSPC)."""
        self.fields.room = room
        self.fields.armed = 1

    def clear(self) -> None:
        """No fault of the disk; what waits for it goes on. The clocks stay as they are."""
        fields = self.fields
        fields.armed = 0
        fields.where = EVERYWHERE
        fields.hits = 0
        fields.sync_errno = fields.sync_times = fields.stalled = fields.read_errno = 0
        fields.flip_times = 0
        fields.sync_delay = 0.0
        fields.room = UNLIMITED

    def set_rate(self, rate: float) -> None:
        """The monotonic clock runs `rate` times as fast from now on; 1 is right."""
        self.fields.rate = rate
        self.fields.clock += 1

    def jump(self, seconds: float) -> None:
        """The monotonic clock goes ahead by that much, once."""
        self.fields.jump = seconds
        self.fields.jumps += 1
        self.fields.clock += 1

    def set_wall(self, seconds: float) -> None:
        """The wall clock is off by that much; below 0 it is late."""
        self.fields.wall = seconds

    # What the process asks, where `armed`.

    @property
    def armed(self) -> bool:
        """Whether any fault of the disk is set."""
        return bool(self.fields.armed)

    @property
    def hits(self) -> int:
        """How many operations were hit since the last `clear`."""
        return int(self.fields.hits)

    def sync_error(self, place: int) -> int:
        """The error number with which a sync of that place fails now; 0 where it does not."""
        fields = self.fields
        if not fields.sync_errno or not fields.where & place or not fields.sync_times:
            return 0
        if fields.sync_times > 0:
            fields.sync_times -= 1
        fields.hits += 1
        return int(fields.sync_errno)

    def sync_delay(self, place: int) -> float:
        """Seconds that a sync of that place takes longer; infinite where it is stalled."""
        fields = self.fields
        if not fields.where & place:
            return 0.0
        delay = float("inf") if fields.stalled else float(fields.sync_delay)
        fields.hits += delay > 0
        return delay

    def read_error(self, place: int) -> int:
        """The error number with which a read of that place fails; 0 where it does not."""
        fields = self.fields
        if not fields.read_errno or not fields.where & place:
            return 0
        fields.hits += 1
        return int(fields.read_errno)

    def flipped(self, place: int, data: bytes) -> bytes:
        """What is read of that place instead of `data`: other by a bit, or the same."""
        fields = self.fields
        written = len(data.rstrip(b"\0"))
        if not fields.flip_times or not fields.where & place or not written:
            return data
        if fields.flip_times > 0:
            fields.flip_times -= 1
        fields.hits += 1
        bit = fields.flip_seed % (written * 8)
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)

    def take_room(self, count: int) -> bool:
        """Use `count` bytes of the room that is left; False where there are not as many."""
        fields = self.fields
        if fields.room == UNLIMITED or count <= 0:
            return True
        if fields.room < count:
            fields.hits += 1
            return False
        fields.room -= count
        return True
