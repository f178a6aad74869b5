"""Files and folders in memory: each as the node sees it, and as a power cut would leave it.

What is durable is what was synced, and no more than the manuals promise (fsync(2)): a file's sync
makes its bytes and its length durable, not its name; names are durable when their folder was
synced. What a sync failed for counts as clean from then on, as on Linux's file systems (Rebello et
al., "Can Applications Recover from fsync Failures?", ATC 2020): no later sync makes it durable.

The folders in the root are exempt: they stand for a machine's disks, and are there at once.
"""

from __future__ import annotations

import os
import stat
import time
from abc import ABC, abstractmethod
from random import Random
from typing import Literal

PAGE = 4096
Left = Literal["none", "first", "some"]
"""What the disk has of the pages that nobody synced: none, those that were written first, any."""
LEFT: tuple[Left, ...] = ("none", "first", "some")


class Inode(ABC):
    """A file or a folder, whatever its name is. `disk`: the folder of the root in which it lies."""

    def __init__(self, number: int, mode: int, disk: str) -> None:
        self.number = number
        self.mode = mode
        self.disk = disk
        self.uid = self.gid = 0
        self.lookups = 0
        self.links = 1
        self.changed = time.time_ns()

    @property
    def size(self) -> int:
        """Bytes, as the node sees it."""
        return 0

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return stat.S_ISDIR(self.mode)

    @abstractmethod
    def lose_power(self, random: Random, left: Left) -> int:
        """Be what a power cut leaves; how many pages and names were lost."""


class File(Inode):
    """A file: what the operating system holds of it, and what the disk holds."""

    def __init__(self, number: int, mode: int, disk: str) -> None:
        super().__init__(number, mode, disk)
        self.cached = bytearray()
        self.durable = bytearray()
        self._dirty: dict[int, None] = {}
        self._resized = False

    @property
    def size(self) -> int:
        return len(self.cached)

    def write(self, offset: int, data: bytes) -> None:
        """Write; durable with the next sync."""
        end = offset + len(data)
        if offset > len(self.cached):
            self.resize(offset)
        self._resized |= end > len(self.cached)
        self.cached[offset:end] = data
        self._dirty.update(dict.fromkeys(range(offset // PAGE, (end + PAGE - 1) // PAGE)))
        self.changed = time.time_ns()

    def resize(self, size: int) -> None:
        """Cut it, or extend it with zeros."""
        if size < len(self.cached):
            del self.cached[size:]
        else:
            self.cached.extend(bytes(size - len(self.cached)))
        self._resized = True
        self.changed = time.time_ns()

    def sync(self) -> None:
        """Everything is durable."""
        self._settle_size()
        for page in self._dirty:
            self._put(page)
        self._dirty.clear()

    def sync_range(self, offset: int, size: int) -> None:
        """The pages of a range are durable, and the length that they need."""
        self._settle_size()
        pages = range(offset // PAGE, (offset + size + PAGE - 1) // PAGE)
        for page in pages:
            self._put(page)
            self._dirty.pop(page, None)

    def fail_sync(self) -> None:
        """A sync failed: what it was for counts as clean, and is not durable."""
        self._dirty.clear()

    def lose_power(self, random: Random, left: Left) -> int:
        pages = list(self._dirty)
        first = random.randint(0, len(pages)) if left == "first" else 0
        lost = 0
        for position, page in enumerate(pages):
            kept = position < first or (left == "some" and random.random() < 0.5)
            if kept and page * PAGE < len(self.durable):
                self._put(page)
            else:
                lost += 1
        self.cached = bytearray(self.durable)
        self._dirty.clear()
        self._resized = False
        return lost

    def _settle_size(self) -> None:
        if not self._resized:
            return
        size = len(self.cached)
        if size < len(self.durable):
            del self.durable[size:]
        else:
            self.durable.extend(bytes(size - len(self.durable)))
        self._resized = False

    def _put(self, page: int) -> None:
        begin = page * PAGE
        end = min(begin + PAGE, len(self.durable), len(self.cached))
        if begin < end:
            self.durable[begin:end] = self.cached[begin:end]


class Folder(Inode):
    """A folder: names as they are, and as they are on the disk."""

    def __init__(self, number: int, mode: int, disk: str) -> None:
        super().__init__(number, mode, disk)
        self.names: dict[bytes, Inode] = {}
        self.durable: dict[bytes, Inode] = {}

    def sync(self) -> None:
        """Its names are durable."""
        self.durable = dict(self.names)

    def lose_power(self, random: Random, left: Left) -> int:
        lost = set(self.names.items()) ^ set(self.durable.items())
        if not lost or (left != "none" and random.random() < 0.5):
            self.sync()  # the file system wrote its own journal just before
            return 0
        self.names = dict(self.durable)
        return len(lost)


class Tree:
    """All of it. `capacity`: bytes that its files may have together."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.root = Folder(1, stat.S_IFDIR | 0o755, "")
        self.root.uid, self.root.gid = os.getuid(), os.getgid()
        self.known: dict[int, Inode] = {1: self.root}
        self._last = 1

    def make(self, parent: Folder, name: bytes, mode: int) -> Inode:
        """A new file or folder of that name. Raises FileExistsError."""
        if name in parent.names:
            raise FileExistsError
        self._last += 1
        disk = parent.disk or name.decode(errors="replace")
        kind = Folder if stat.S_ISDIR(mode) else File
        made = kind(self._last, mode, disk)
        parent.names[name] = made
        self._changed(parent)
        return made

    def remove(self, parent: Folder, name: bytes) -> None:
        """Take a name away. Raises FileNotFoundError."""
        if name not in parent.names:
            raise FileNotFoundError
        parent.names.pop(name).links = 0
        self._changed(parent)

    def rename(self, parent: Folder, name: bytes, target: Folder, new: bytes) -> None:
        """Rename, in place of what had the name. Raises FileNotFoundError."""
        if name not in parent.names:
            raise FileNotFoundError
        moved = parent.names.pop(name)
        if new in target.names:
            target.names[new].links = 0
        target.names[new] = moved
        self._changed(parent)
        self._changed(target)

    def used(self) -> int:
        """Bytes of all files."""
        return sum(inode.size for inode in self.reached(self.root))

    def lose_power(self, disk: str, random: Random) -> int:
        """What is not durable on a disk is gone, or most of it; how much that was."""
        folder = self.root.names.get(disk.encode())
        left, lost = random.choice(LEFT), 0
        # Folders first: what then has no name any more is nobody's.
        for inode in list(self.reached(folder)) if isinstance(folder, Folder) else []:
            lost += inode.lose_power(random, left) if inode.is_folder else 0
        for inode in list(self.reached(folder)) if isinstance(folder, Folder) else []:
            lost += 0 if inode.is_folder else inode.lose_power(random, left)
        return lost

    def reached(self, folder: Folder) -> list[Inode]:
        """The folder, and all that lies in it, in a fixed order."""
        found: list[Inode] = [folder]
        for _, inode in sorted(folder.names.items()):
            found += self.reached(inode) if isinstance(inode, Folder) else [inode]
        return found

    def _changed(self, folder: Folder) -> None:
        folder.changed = time.time_ns()
        if folder is self.root:
            folder.sync()
