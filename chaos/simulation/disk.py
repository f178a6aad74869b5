"""A disk that forgets what was not synced, and can be made to fail.

`SimDisk` stands where `RealDisk` does. It keeps what is on the platter and what is only in the
page cache apart: a killed process loses nothing it wrote; a power cut leaves of each file a
random prefix of the writes since its last sync, the last one of them perhaps torn at 512-byte
sectors, or any of their sectors, and of each folder a random prefix of the creations, renames and
removals since its last sync. After a failed sync the kernel calls the lost pages clean, so a
repeated sync succeeds and the data is gone all the same; so it is here.
"""

import errno
import os
from collections.abc import Callable
from random import Random
from typing import Literal

from chaos.simulation.inodes import Inode, Resize, Write

Moment = Literal["before", "middle", "after"]
Hook = Callable[[int, str, str, Moment], None]
"""Called with the operation's number, name, path and the moment; may raise `Killed`.

"middle" comes only in a write, when half of its bytes are written.
"""
Watch = Callable[[str, str, int], None]
"""Called with name, path and size in bytes (of a write, a truncate, an allocation; else 0) of
each changing operation that was done."""


class Killed(BaseException):
    """The process was killed here. Whatever it still does to the disk raises this again."""


def kill_at(number: int, moment: Moment) -> Hook:
    """A hook that kills the process at one moment of one operation.

    A moment that the operation does not have ("middle" of a sync) is never reached.
    """

    def hook(at: int, operation: str, path: str, now: Moment) -> None:
        if (at, now) == (number, moment):
            raise Killed(f"{now} operation {at}, {operation} of {path}")

    return hook


_FolderChange = Callable[[dict[str, "Inode | None"]], None]
"""Changes the names: path → file, or None for a folder."""


class SimFile:
    """An open file of a `SimDisk`; it dies with its process."""

    def __init__(self, disk: "SimDisk", path: str, inode: Inode) -> None:
        self._disk = disk
        self._life = disk.life
        self._path = path
        self._inode = inode
        self._offset = 0

    def _alive(self) -> Inode:
        if self._life != self._disk.life:
            raise Killed(f"{self._path} was open in a process that is dead")
        return self._inode

    def write(self, data: bytes) -> None:
        """Write at the current offset."""
        inode, offset = self._alive(), self._offset

        def part(end: int) -> Callable[[], object]:
            self._disk.need(inode, offset + end)
            inode.change(Write(offset, bytes(data[:end])))
            return inode.unsynced.pop

        size = len(data)
        self._disk.operate(
            "write", self._path, lambda: part(size), lambda: part(size // 2), size=size
        )
        self._offset = offset + size

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes."""
        inode = self._alive()
        self._disk.check_read(self._path)
        return inode.cached.read(offset, size)

    def write_durable(self, offset: int, data: bytes) -> None:
        """Two operations: the process may be killed between them."""
        self.seek(offset)
        self.write(data)
        self.sync()

    def seek(self, offset: int) -> None:
        """Move the offset of the next write."""
        self._alive()
        self._offset = offset

    def truncate(self, size: int) -> None:
        """Cut or extend."""
        inode = self._alive()
        self._disk.operate(
            "truncate", self._path, lambda: inode.change(Resize(size, False)), size=size
        )

    def allocate(self, size: int) -> None:
        """Reserve; a full disk leaves the file as it was."""
        inode = self._alive()

        def grow() -> None:
            self._disk.need(inode, size)
            inode.change(Resize(size, True))

        self._disk.operate("allocate", self._path, grow, size=size)

    def sync(self) -> None:
        """What was written so far survives a power cut."""
        inode = self._alive()

        def sync() -> None:
            if self._disk.fail_next_sync:
                self._disk.fail_next_sync = False
                inode.unsynced.clear()
                raise OSError(errno.EIO, os.strerror(errno.EIO), self._path)
            inode.sync()

        self._disk.operate("sync", self._path, sync)

    def size(self) -> int:
        """Length in bytes."""
        return self._alive().cached.size

    def close(self) -> None:
        """Nothing is synced by it."""
        self._alive()


class SimDisk:
    """One machine's disk. `crash` ends the process that uses it and starts the next one.

    Attributes:
        operations: how many changing operations were begun.
        hook: called around each of them; it ends with the process.
        watch: told of each of them that was done; it stays.
        capacity: bytes that all files together may take; None for no limit.
        fail_next_sync: let the next file sync raise EIO.
        fail_next: operation of which the next one raises EIO: "write", of which half is done,
            "sync_dir", "create", "rename", "remove" … of which nothing is.
        failing_reads: how many of the next reads raise EIO.
        life: how often it crashed.
    """

    def __init__(self) -> None:
        self.operations = 0
        self.hook: Hook | None = None
        self.watch: Watch | None = None
        self.capacity: int | None = None
        self.fail_next_sync = False
        self.fail_next: str | None = None
        self.failing_reads = 0
        self.life = 0
        self._dead = False
        self._names: dict[str, Inode | None] = {}
        self._durable_names: dict[str, Inode | None] = {}
        self._unsynced: dict[str, list[_FolderChange]] = {}
        self._locks: set[str] = set()

    # What a test does to it.

    def crash(self, rng: Random | None = None, *, power: bool = False) -> None:
        """End the process: kill keeps everything written, a power cut what `rng` leaves of it."""
        self.life += 1
        self._dead = False
        self.hook = None
        self._locks.clear()
        if not power:
            return
        rng = rng or Random(0)
        for changes in self._unsynced.values():
            for change in changes[: rng.randint(0, len(changes))]:
                change(self._durable_names)
        self._unsynced.clear()
        inodes = {id(i): i for i in (*self._names.values(), *self._durable_names.values()) if i}
        for inode in inodes.values():
            inode.lose_power(rng)
        reachable: dict[str, Inode | None] = {}
        for path in sorted(self._durable_names):
            if _is_root(_folder(path)) or _folder(path) in reachable:
                reachable[path] = self._durable_names[path]
        self._durable_names = reachable
        self._names = dict(reachable)

    def flip(self, path: str, offset: int, bit: int = 0) -> None:
        """Damage one bit, in the cache and on the platter."""
        inode = self._inode(path)
        for image in (inode.cached, inode.durable):
            if offset < image.size:
                image.put(offset, bytes([image.read(offset, 1)[0] ^ 1 << bit]))

    def content(self, path: str) -> bytes:
        """What a reader would see."""
        image = self._inode(path).cached
        return image.read(0, image.size)

    def used(self) -> int:
        """Bytes that all files together take."""
        return sum(inode.cached.size for inode in self._names.values() if inode is not None)

    # What its files ask it.

    def check_read(self, path: str) -> None:
        """A file is read; EIO where that is to fail."""
        if self.failing_reads:
            self.failing_reads -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    def need(self, inode: Inode, size: int) -> None:
        """The file wants to be `size` bytes; ENOSPC where they are not there."""
        more = size - inode.cached.size
        if self.capacity is not None and more > 0 and self.used() + more > self.capacity:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def operate(
        self,
        name: str,
        path: str,
        whole: Callable[[], object],
        half: Callable[[], Callable[[], object]] | None = None,
        *,
        size: int = 0,
    ) -> None:
        """Do one counted operation, with the hook around it."""
        if self._dead:
            raise Killed(f"{name} of {path} by a process that is dead")
        self.operations += 1
        if name == self.fail_next:
            self.fail_next = None
            if half is not None:
                half()
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        if self.hook is None:
            whole()
        else:
            self._operate_hooked(self.hook, name, path, whole, half)
        if self.watch is not None:
            self.watch(name, path, size)

    def _operate_hooked(
        self,
        hook: Hook,
        name: str,
        path: str,
        whole: Callable[[], object],
        half: Callable[[], Callable[[], object]] | None,
    ) -> None:
        number, life = self.operations, self.life
        try:
            hook(number, name, path, "before")
            if half is not None:
                forget = half()
                hook(number, name, path, "middle")
                forget()
            whole()
            hook(number, name, path, "after")
        except Killed:
            # A hook may have ended the process itself: then the disk is the next one's already.
            self._dead = self.life == life
            raise

    # Disk, see raftcoord.consensus.edges.

    def open(self, path: str, *, create: bool = False) -> SimFile:
        """Open a file; with `create` make it."""
        if not create:
            return SimFile(self, path, self._inode(path))
        if path in self._names:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        self._check_folder(_folder(path), path)
        inode = Inode()
        self._change("create", path, lambda names: names.update({path: inode}))
        return SimFile(self, path, inode)

    def rename(self, old: str, new: str) -> None:
        """Rename within a folder."""
        inode = self._inode(old)

        def change(names: dict[str, Inode | None]) -> None:
            names.pop(old, None)
            names[new] = inode

        self._change("rename", new, change)

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._inode(path)  # there has to be one

        def change(names: dict[str, Inode | None]) -> None:
            names.pop(path, None)

        self._change("remove", path, change)

    def list(self, path: str) -> list[str]:
        """Names in a folder, sorted."""
        self._check_folder(path or ".", path)
        return sorted(os.path.basename(p) for p in self._names if _folder(p) == path)

    def exists(self, path: str) -> bool:
        """Whether it is there."""
        return path in self._names or _is_root(path)

    def make_dir(self, path: str) -> None:
        """Make a folder and its parents."""
        if self.exists(path):
            return
        self.make_dir(_folder(path))
        self._change("make_dir", path, lambda names: names.update({path: None}))

    def sync_dir(self, path: str) -> None:
        """What changed in the folder survives a power cut."""
        self._check_folder(path or ".", path)

        def sync() -> None:
            for change in self._unsynced.pop(path or ".", []):
                change(self._durable_names)

        self.operate("sync_dir", path, sync)

    def lock(self, path: str) -> bool:
        """Held until the process ends."""
        if path in self._locks:
            return False
        self._locks.add(path)
        return True

    def _change(self, name: str, path: str, change: _FolderChange) -> None:
        def whole() -> None:
            change(self._names)
            self._unsynced.setdefault(_folder(path), []).append(change)

        self.operate(name, path, whole)

    def _inode(self, path: str) -> Inode:
        inode = self._names.get(path)
        if inode is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return inode

    def _check_folder(self, folder: str, path: str) -> None:
        if not _is_root(folder) and (folder not in self._names or self._names[folder] is not None):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


def _folder(path: str) -> str:
    return os.path.dirname(path) or "."


def _is_root(path: str) -> bool:
    return path in ("/", ".")
