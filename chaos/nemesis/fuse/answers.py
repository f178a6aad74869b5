"""What there is to say of names, handles and attributes; reading and writing is the server's."""

from __future__ import annotations

import errno
import math
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass

from chaos.nemesis.faulty_control import Control, place_of
from chaos.nemesis.fuse import wire
from chaos.nemesis.fuse.tree import PAGE, File, Folder, Inode, Tree
from chaos.nemesis.fuse.wire import Request

RENAME_NOREPLACE = 1


@dataclass
class Open:
    """An open file or folder. `listed`: the names, as they were when it was opened."""

    inode: Inode
    place: int
    listed: list[tuple[bytes, Inode]]


class Answers:
    """Bodies of answers, out of `tree`. Each raises OSError where the request fails."""

    def __init__(self, tree: Tree, controls: Mapping[str, Control]) -> None:
        self.tree = tree
        self.controls = controls
        self.opened: dict[int, Open] = {}
        self._last_handle = 0
        self._names: dict[int, str] = {}

    def control(self, inode: Inode) -> Control | None:
        """The control of the disk it lies on, where a fault is set."""
        control = self.controls.get(inode.disk)
        return control if control is not None and control.armed else None

    # Names.

    def lookup(self, asked: Request) -> bytes:
        name = wire.name_of(asked.body)
        inode = self.folder(asked).names.get(name)
        if inode is None:
            raise OSError(errno.ENOENT, "no such name")
        return self._entry(inode, name)

    def mkdir(self, asked: Request) -> bytes:
        mode, umask = wire.MKDIR_IN.unpack_from(asked.body)
        name = wire.name_of(asked.body[wire.MKDIR_IN.size :])
        return self._entry(self._make(asked, name, stat.S_IFDIR | mode & ~umask), name)

    def create(self, asked: Request) -> bytes:
        flags, mode, umask, _ = wire.CREATE_IN.unpack_from(asked.body)
        name = wire.name_of(asked.body[wire.CREATE_IN.size :])
        inode = self.folder(asked).names.get(name)
        if inode is None:
            inode = self._make(asked, name, stat.S_IFREG | stat.S_IMODE(mode & ~umask))
        elif flags & os.O_EXCL:
            raise OSError(errno.EEXIST, "the name is taken")
        entry = self._entry(inode, name)
        return entry + self._opened_as(inode, flags)

    def _make(self, asked: Request, name: bytes, mode: int) -> Inode:
        inode = self.tree.make(self.folder(asked), name, mode)
        inode.uid, inode.gid = asked.uid, asked.gid
        return inode

    def unlink(self, asked: Request) -> bytes:
        self.tree.remove(self.folder(asked), wire.name_of(asked.body))
        return b""

    def rmdir(self, asked: Request) -> bytes:
        folder, name = self.folder(asked), wire.name_of(asked.body)
        found = folder.names.get(name)
        if isinstance(found, Folder) and found.names:
            raise OSError(errno.ENOTEMPTY, "the folder is not empty")
        self.tree.remove(folder, name)
        return b""

    def rename(self, asked: Request) -> bytes:
        (target,) = wire.RENAME_IN.unpack_from(asked.body)
        return self._renamed(asked, target, 0, asked.body[wire.RENAME_IN.size :])

    def rename2(self, asked: Request) -> bytes:
        target, flags, _ = wire.RENAME2_IN.unpack_from(asked.body)
        return self._renamed(asked, target, flags, asked.body[wire.RENAME2_IN.size :])

    def _renamed(self, asked: Request, target: int, flags: int, names: bytes) -> bytes:
        old = wire.name_of(names)
        new = wire.name_of(names[len(old) + 1 :])
        folder = self.tree.known.get(target)
        if not isinstance(folder, Folder):
            raise OSError(errno.ENOENT, "no such folder")
        if flags & ~RENAME_NOREPLACE:
            raise OSError(errno.EINVAL, "names are not exchanged")
        if flags and new in folder.names:
            raise OSError(errno.EEXIST, "the name is taken")
        self.tree.rename(self.folder(asked), old, folder, new)
        moved = folder.names[new]
        self._names[moved.number] = new.decode(errors="replace")
        return b""

    # Handles.

    def open(self, asked: Request) -> bytes:
        flags, _ = wire.OPEN_IN.unpack_from(asked.body)
        return self._opened_as(self.inode(asked), flags)

    def _opened_as(self, inode: Inode, flags: int) -> bytes:
        if flags & os.O_TRUNC and isinstance(inode, File):
            inode.resize(0)
        return wire.OPEN_OUT.pack(self._new_handle(inode), wire.FOPEN_DIRECT_IO, 0)

    def opendir(self, asked: Request) -> bytes:
        folder = self.folder(asked)
        return wire.OPEN_OUT.pack(self._new_handle(folder), 0, 0)

    def _new_handle(self, inode: Inode) -> int:
        self._last_handle += 1
        listed = sorted(inode.names.items()) if isinstance(inode, Folder) else []
        place = place_of(self._names.get(inode.number, ""))
        self.opened[self._last_handle] = Open(inode, place, listed)
        return self._last_handle

    def handle(self, body: bytes) -> Open:
        (handle,) = wire.HANDLE_IN.unpack_from(body)
        opened = self.opened.get(handle)
        if opened is None:
            raise OSError(errno.EIO, "power was lost")
        return opened

    def readdir(self, asked: Request) -> bytes:
        _, offset, size, *_ = wire.READ_IN.unpack_from(asked.body)
        found = b""
        listed = self.handle(asked.body).listed
        for position in range(offset, len(listed)):
            name, inode = listed[position]
            kind = stat.S_IFMT(inode.mode) >> 12
            entry = wire.directory_entry(inode.number, position + 1, kind, name)
            if len(found) + len(entry) > size:
                break
            found += entry
        return found

    def release(self, asked: Request) -> bytes:
        (handle,) = wire.HANDLE_IN.unpack_from(asked.body)
        self.opened.pop(handle, None)
        return b""

    # What the kernel knows.

    def init(self, asked: Request) -> bytes:
        major, _, readahead, offered = wire.INIT_IN.unpack_from(asked.body)
        if major != wire.VERSION[0]:
            raise OSError(errno.EPROTO, f"the kernel speaks version {major}")
        flags = offered & (wire.BIG_WRITES | wire.ATOMIC_O_TRUNC | wire.MAX_PAGES)
        pages = wire.MAX_WRITE // PAGE
        return wire.INIT_OUT.pack(
            *wire.VERSION, readahead, flags, 16, 12, wire.MAX_WRITE, 1, pages, 0, 0
        )

    def inode(self, asked: Request) -> Inode:
        inode = self.tree.known.get(asked.node)
        if inode is None:
            raise OSError(errno.ESTALE, "it is gone")
        return inode

    def folder(self, asked: Request) -> Folder:
        inode = self.inode(asked)
        if not isinstance(inode, Folder):
            raise OSError(errno.ENOTDIR, "it is no folder")
        return inode

    def _entry(self, inode: Inode, name: bytes) -> bytes:
        self.tree.known[inode.number] = inode
        self._names[inode.number] = name.decode(errors="replace")
        inode.lookups += 1
        # Valid for no time: after a power cut the kernel must not go by what was before.
        return wire.ENTRY_HEAD.pack(inode.number, 0, 0, 0, 0, 0) + _packed(inode)

    def attributes(self, inode: Inode) -> bytes:
        return wire.ATTR_HEAD.pack(0, 0, 0) + _packed(inode)

    def forget(self, asked: Request) -> None:
        self._forgotten(asked.node, *wire.FORGET_IN.unpack_from(asked.body))

    def batch_forget(self, asked: Request) -> None:
        count, _ = wire.BATCH_FORGET_IN.unpack_from(asked.body)
        for position in range(count):
            at = wire.BATCH_FORGET_IN.size + position * wire.FORGET_ONE.size
            self._forgotten(*wire.FORGET_ONE.unpack_from(asked.body, at))

    def _forgotten(self, number: int, count: int) -> None:
        inode = self.tree.known.get(number)
        if inode is None or number == wire.ROOT:
            return
        inode.lookups -= count
        if inode.lookups <= 0:
            del self.tree.known[number]
            self._names.pop(number, None)

    def statfs(self, asked: Request) -> bytes:
        control = self.control(self.inode(asked))
        free = max(0, self.tree.capacity - self.tree.used())
        if control is not None and control.fields.room >= 0:
            free = min(free, control.fields.room)
        blocks, left = self.tree.capacity // PAGE, free // PAGE
        return wire.STATFS_OUT.pack(blocks, left, left, 1 << 20, 1 << 20, PAGE, 255, PAGE, 0)

    # Room.

    def grow(self, inode: File, size: int) -> None:
        more = size - inode.size
        if more <= 0:
            return
        control = self.control(inode)
        if control is not None and not control.take_room(more):
            raise OSError(errno.ENOSPC, "the disk is full")
        if self.tree.used() + more > self.tree.capacity:
            raise OSError(errno.ENOSPC, "the file system's memory is used up")

    def setattr(self, asked: Request) -> bytes:
        fields = wire.SETATTR_IN.unpack_from(asked.body)
        valid, size, mode, uid, gid = fields[0], fields[3], fields[11], fields[13], fields[14]
        inode = self.inode(asked)
        if valid & wire.FATTR_SIZE:
            if not isinstance(inode, File):
                raise OSError(errno.EISDIR, "a folder has no size")
            self.grow(inode, size)
            inode.resize(size)
        if valid & wire.FATTR_MODE:
            inode.mode = stat.S_IFMT(inode.mode) | stat.S_IMODE(mode)
        inode.uid = uid if valid & wire.FATTR_UID else inode.uid
        inode.gid = gid if valid & wire.FATTR_GID else inode.gid
        return self.attributes(inode)


def _packed(inode: Inode) -> bytes:
    seconds, nanoseconds = divmod(inode.changed, 1_000_000_000)
    times, parts = (seconds,) * 3, (nanoseconds,) * 3
    blocks = math.ceil(inode.size / 512)
    owner = (inode.uid, inode.gid)
    rest = (inode.mode, inode.links, *owner, 0, PAGE, 0)
    return wire.ATTR.pack(inode.number, inode.size, blocks, *times, *parts, *rest)
