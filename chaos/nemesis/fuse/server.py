"""Answers the kernel's requests out of a tree, and fails as the controls say.

One thread: requests are short, and an answer that is to come late waits in a list while others go
out. Each folder in the root is a disk of its own with a control of its name.
"""

from __future__ import annotations

import errno
import os
import select
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from chaos.nemesis.faulty_control import Control
from chaos.nemesis.fuse import wire
from chaos.nemesis.fuse.answers import Answers
from chaos.nemesis.fuse.tree import File, Folder, Inode, Tree
from chaos.nemesis.fuse.wire import Op, Request

LOOK = 0.005
"""Seconds between two looks at the controls while an answer is held back."""
KEEP_SIZE = 1


@dataclass
class _Late:
    """A sync that is not done yet. `due`: on the monotonic clock; `finish` makes the answer."""

    unique: int
    due: float
    control: Control
    finish: Callable[[], bytes]


class Server(Answers):
    """One file system, on the open device `device`. `controls`: folder of the root → control."""

    def __init__(self, device: int, tree: Tree, controls: Mapping[str, Control]) -> None:
        super().__init__(tree, controls)
        self._device = device
        self._late: list[_Late] = []
        self._buffer = memoryview(bytearray(wire.BUFFER))
        self._answers: dict[int, Callable[[Request], bytes | None]] = {
            Op.INIT: self.init,
            Op.LOOKUP: self.lookup,
            Op.FORGET: self.forget,
            Op.BATCH_FORGET: self.batch_forget,
            Op.GETATTR: lambda asked: self.attributes(self.inode(asked)),
            Op.SETATTR: self.setattr,
            Op.MKDIR: self.mkdir,
            Op.UNLINK: self.unlink,
            Op.RMDIR: self.rmdir,
            Op.RENAME: self.rename,
            Op.RENAME2: self.rename2,
            Op.OPEN: self.open,
            Op.CREATE: self.create,
            Op.READ: self._read,
            Op.WRITE: self._write,
            Op.FALLOCATE: self._fallocate,
            Op.STATFS: self.statfs,
            Op.FSYNC: self._fsync,
            Op.FSYNCDIR: self._fsyncdir,
            Op.OPENDIR: self.opendir,
            Op.READDIR: self.readdir,
            Op.RELEASE: self.release,
            Op.RELEASEDIR: self.release,
            Op.FLUSH: lambda _: b"",
            Op.ACCESS: lambda _: b"",
            Op.DESTROY: lambda _: b"",
            Op.INTERRUPT: self._interrupt,
        }

    def serve(self, commands: int, command: Callable[[], bool]) -> None:
        """Answer until the file system is unmounted, or `command` says False; it is called where
        the descriptor `commands` can be read."""
        poll = select.poll()
        poll.register(self._device, select.POLLIN)
        poll.register(commands, select.POLLIN)
        while True:
            ready = dict(poll.poll(LOOK * 1000 if self._late else None))
            self._finish_late()
            if self._device in ready and not self._answer_next():
                return
            if commands in ready and not command():
                return

    def lose_power(self, disk: str, seed: int) -> int:
        """The machine of a disk loses its power; whatever was open there is not any more."""
        for handle, opened in list(self.opened.items()):
            if opened.inode.disk == disk:
                del self.opened[handle]
        return self.tree.lose_power(disk, Random(seed))

    def _answer_next(self) -> bool:
        try:
            count = os.readv(self._device, [self._buffer])
        except OSError as error:
            # Interrupted before it was read; any other error is the end of the mount.
            return error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN)
        asked = wire.read_request(self._buffer[:count])
        self._say(asked.unique, self._answered(asked))
        return True

    def _answered(self, asked: Request) -> bytes | None:
        answer = self._answers.get(asked.opcode)
        if answer is None:
            return wire.answer(asked.unique, error=errno.ENOSYS)
        try:
            body = answer(asked)
        except OSError as error:
            return wire.answer(asked.unique, error=error.errno or _number(error))
        return None if body is None else wire.answer(asked.unique, body)

    def _say(self, unique: int, answer: bytes | None) -> None:
        if answer is None:
            return
        try:
            os.write(self._device, answer)
        except OSError as error:
            if error.errno != errno.ENOENT:  # nobody waits for it any more
                raise

    # Syncs, which may take long or fail.

    def _sync(
        self, asked: Request, inode: Inode, place: int, done: Callable[[bool], bytes]
    ) -> None:
        """Answer now or later with what `done` makes of whether it may succeed."""
        control = self.control(inode)
        delay = control.sync_delay(place) if control is not None else 0.0

        def finish() -> bytes:
            number = 0
            if control is not None and control.armed:
                number = control.sync_error(place)
            body = done(not number)
            return wire.answer(asked.unique, body, error=number)

        if not delay or control is None:
            self._say(asked.unique, finish())
            return
        self._late.append(_Late(asked.unique, time.monotonic() + delay, control, finish))

    def _finish_late(self) -> None:
        now = time.monotonic()
        for late in [late for late in self._late if late.due <= now or not late.control.armed]:
            self._late.remove(late)
            self._say(late.unique, late.finish())

    def _interrupt(self, asked: Request) -> None:
        """The process that waits was killed; it ends only when it has its answer."""
        (unique,) = wire.INTERRUPT_IN.unpack_from(asked.body)
        for late in [late for late in self._late if late.unique == unique]:
            self._late.remove(late)
            self._say(unique, wire.answer(unique, error=errno.EINTR))

    def _fsync(self, asked: Request) -> None:
        opened = self.handle(asked.body)
        inode = opened.inode
        assert isinstance(inode, File)

        def done(well: bool) -> bytes:
            if well:
                inode.sync()
            else:
                inode.fail_sync()
            return b""

        self._sync(asked, inode, opened.place, done)

    def _fsyncdir(self, asked: Request) -> None:
        opened = self.handle(asked.body)
        inode = opened.inode
        assert isinstance(inode, Folder)

        def done(well: bool) -> bytes:
            if well:
                inode.sync()
            return b""

        self._sync(asked, inode, opened.place, done)

    # Files.

    def _write(self, asked: Request) -> bytes | None:
        handle, offset, size, _, _, flags, _ = wire.WRITE_IN.unpack_from(asked.body)
        opened = self.opened.get(handle)
        if opened is None:
            raise OSError(errno.EIO, "power was lost")
        inode = opened.inode
        assert isinstance(inode, File)
        data = asked.body[wire.WRITE_IN.size : wire.WRITE_IN.size + size]
        self.grow(inode, offset + size)
        inode.write(offset, data)
        written = wire.WRITE_OUT.pack(size, 0)
        if not flags & os.O_DSYNC:
            return written

        def done(well: bool) -> bytes:
            if well:
                inode.sync_range(offset, size)
            else:
                inode.fail_sync()
            return written

        self._sync(asked, inode, opened.place, done)
        return None

    def _read(self, asked: Request) -> bytes:
        handle, offset, size, *_ = wire.READ_IN.unpack_from(asked.body)
        opened = self.opened.get(handle)
        if opened is None or not isinstance(opened.inode, File):
            raise OSError(errno.EIO, "power was lost")
        data = bytes(opened.inode.cached[offset : offset + size])
        control = self.control(opened.inode)
        if control is None:
            return data
        number = control.read_error(opened.place)
        if number:
            raise OSError(number, "reads fail")
        return control.flipped(opened.place, data)

    def _fallocate(self, asked: Request) -> bytes:
        handle, offset, length, mode, _ = wire.FALLOCATE_IN.unpack_from(asked.body)
        if mode & ~KEEP_SIZE:
            raise OSError(errno.EOPNOTSUPP, "holes are not made")
        inode = self.opened[handle].inode if handle in self.opened else None
        if not isinstance(inode, File):
            raise OSError(errno.EIO, "power was lost")
        self.grow(inode, offset + length)
        if offset + length > inode.size and not mode:
            inode.resize(offset + length)
        return b""


def _number(error: OSError) -> int:
    """The errno of an error that was raised by its class alone."""
    if isinstance(error, FileExistsError):
        return errno.EEXIST
    return errno.ENOENT if isinstance(error, FileNotFoundError) else errno.EIO
