"""The edges of a node: time, disk, randomness, blocking jobs, forks and the end of the process.

Everything a node does to the outside world goes through one `Edges` object or through the
running event loop (sockets, timers). The simulation hands in its own edges and its own loop
and runs the rest of the code unchanged.
"""

import asyncio
import ctypes
import errno
import fcntl
import os
import random
import resource
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, NoReturn, Protocol

JobDone = Callable[[Any, BaseException | None], None]


class File(Protocol):
    """An open file. Every method raises OSError as the system does."""

    def write(self, data: bytes) -> None:
        """Write all of `data` at the current offset and move the offset behind it."""

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer only at the end of the file."""

    def seek(self, offset: int) -> None:
        """Move the offset of the next write."""

    def write_durable(self, offset: int, data: bytes) -> None:
        """Write all of `data` at `offset`, and return when it is durable."""

    def truncate(self, size: int) -> None:
        """Cut or extend the file to `size` bytes."""

    def allocate(self, size: int) -> None:
        """Reserve `size` bytes, zero filled, so that writes below it cannot meet a full disk."""

    def sync(self) -> None:
        """Return when the file's data and size are durable (fdatasync)."""

    def size(self) -> int:
        """The file's length in bytes."""

    def close(self) -> None:
        """Close it; nothing is synced by this."""


class Disk(Protocol):
    """A file system. Paths are absolute or relative strings; names in a folder are plain."""

    def open(self, path: str, *, create: bool = False) -> File:
        """Open for reading and writing; with `create` the file must not exist yet."""

    def rename(self, old: str, new: str) -> None:
        """Rename; durable only after `sync_dir` of the folder."""

    def remove(self, path: str) -> None:
        """Remove a file."""

    def list(self, path: str) -> list[str]:
        """The names in a folder, sorted."""

    def exists(self, path: str) -> bool:
        """Whether the file or folder is there."""

    def make_dir(self, path: str) -> None:
        """Make the folder and its parents; no error where it is there already."""

    def sync_dir(self, path: str) -> None:
        """Return when creations, renames and removals in the folder are durable."""

    def lock(self, path: str) -> bool:
        """Take the file as a lock for this process's life; False when another process has it."""


class Edges(Protocol):
    """What a node may touch."""

    @property
    def disk(self) -> Disk:
        """The file system."""

    def monotonic(self) -> float:
        """Seconds of a clock that never falls. Its zero means nothing."""

    def random(self) -> float:
        """A number in [0, 1)."""

    def random_bytes(self, count: int) -> bytes:
        """Unpredictable bytes, for nonces and incarnations."""

    def run(self, job: Callable[[], Any], done: JobDone, *, lane: str = "journal") -> None:
        """Run a blocking job off the loop; `done(result, error)` is called on the loop.

        Jobs of a lane run one at a time, in the order given. Lanes: "journal", "bulk".
        """

    def fork(self, job: Callable[[], None], done: Callable[[int], None]) -> None:
        """Run `job` in a forked child that shares nothing back; `done(exit status)` on the loop."""

    def stop(self, reason: str) -> NoReturn:
        """End the process at once. A wrong answer is worse than none."""


_DURABLE_WRITE: int = getattr(os, "RWF_DSYNC", 0)
"""pwritev2(2): the write is as durable when it returns as with a file opened O_DSYNC."""


class RealFile:
    """A file of the operating system."""

    def __init__(self, path: str, create: bool) -> None:
        flags = os.O_RDWR | os.O_CLOEXEC
        if create:
            flags |= os.O_CREAT | os.O_EXCL
        self._fd = os.open(path, flags, 0o600)

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def read(self, offset: int, size: int) -> bytes:
        parts: list[bytes] = []
        while size > 0:
            part = os.pread(self._fd, size, offset)
            if not part:
                break
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return b"".join(parts)

    def seek(self, offset: int) -> None:
        os.lseek(self._fd, offset, os.SEEK_SET)

    def write_durable(self, offset: int, data: bytes) -> None:
        if not _DURABLE_WRITE:
            os.lseek(self._fd, offset, os.SEEK_SET)
            self.write(data)
            self.sync()
            return
        # One call: each return to Python may have to wait for the interpreter's lock.
        view = memoryview(data)
        while view:
            written = os.pwritev(self._fd, [view], offset, _DURABLE_WRITE)
            view = view[written:]
            offset += written

    def truncate(self, size: int) -> None:
        os.ftruncate(self._fd, size)

    def allocate(self, size: int) -> None:
        os.posix_fallocate(self._fd, 0, size)

    def sync(self) -> None:
        os.fdatasync(self._fd)

    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def close(self) -> None:
        os.close(self._fd)


class RealDisk:
    """The file system of the operating system."""

    def __init__(self) -> None:
        self._locks: list[int] = []

    def open(self, path: str, *, create: bool = False) -> RealFile:
        return RealFile(path, create)

    def rename(self, old: str, new: str) -> None:
        os.rename(old, new)

    def remove(self, path: str) -> None:
        os.remove(path)

    def list(self, path: str) -> list[str]:
        return sorted(os.listdir(path))

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    def make_dir(self, path: str) -> None:
        os.makedirs(path, mode=0o700, exist_ok=True)

    def sync_dir(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def lock(self, path: str) -> bool:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return False
            raise
        self._locks.append(descriptor)
        return True


class _Lane:
    """One thread that runs jobs in order and reports on the loop."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[tuple[asyncio.AbstractEventLoop, Callable[[], Any], JobDone]]
        self._jobs = SimpleQueue()
        threading.Thread(target=self._work, name=f"raftcoord-{name}", daemon=True).start()

    def put(self, job: Callable[[], Any], done: JobDone) -> None:
        self._jobs.put((asyncio.get_running_loop(), job, done))

    def _work(self) -> None:
        while True:
            loop, job, done = self._jobs.get()
            result, failure = None, None
            try:
                result = job()
            except BaseException as error:  # noqa: BLE001  # it is told to whoever asked for the job
                failure = error
            try:
                loop.call_soon_threadsafe(done, result, failure)
            except RuntimeError:
                continue  # the loop was closed: nobody is left to be told


def _leave_alone(parent: int) -> None:
    """Make a forked child hold nothing of its parent's, and die with it.

    Sockets that stayed open here would keep a killed parent's connections alive, and its lock.
    """
    os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG, prctl(2)
    if os.getppid() != parent:
        os._exit(1)


class RealEdges:
    """The edges of a real process."""

    def __init__(self) -> None:
        self.disk: Disk = RealDisk()
        self._lanes: dict[str, _Lane] = {}
        # It spreads election timeouts; what must not be guessed comes from `random_bytes`.
        self._random = random.Random(os.urandom(16))

    def monotonic(self) -> float:
        return time.monotonic()

    def random(self) -> float:
        return self._random.random()

    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)

    def run(self, job: Callable[[], Any], done: JobDone, *, lane: str = "journal") -> None:
        if lane not in self._lanes:
            self._lanes[lane] = _Lane(lane)
        self._lanes[lane].put(job, done)

    def fork(self, job: Callable[[], None], done: Callable[[int], None]) -> None:
        loop = asyncio.get_running_loop()
        parent = os.getpid()
        with warnings.catch_warnings():
            # The threads of the lanes hold nothing that the child uses: it packs and writes.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            status = 1
            try:
                _leave_alone(parent)
                job()
                status = 0
            finally:
                # Nothing of the parent's (loop, buffers, atexit) may run in the child.
                os._exit(status)
        watched = os.pidfd_open(child)

        def ended() -> None:
            loop.remove_reader(watched)
            os.close(watched)
            _, status = os.waitpid(child, 0)
            done(os.waitstatus_to_exitcode(status))

        loop.add_reader(watched, ended)

    def stop(self, reason: str) -> NoReturn:
        sys.stderr.write(f"raftcoord: {reason}\n")
        sys.stderr.flush()
        os._exit(70)
