"""The kernel's structures: include/uapi/linux/fuse.h, version 7.31, little and big endian alike."""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import NamedTuple

VERSION = (7, 31)
ROOT = 1
MAX_WRITE = 256 << 10
BUFFER = MAX_WRITE + 4096

BIG_WRITES = 1 << 5
ATOMIC_O_TRUNC = 1 << 3
MAX_PAGES = 1 << 22
FOPEN_DIRECT_IO = 1 << 0
"""Reads and writes pass the page cache by, so that nothing survives a power cut in it."""
FATTR_MODE, FATTR_UID, FATTR_GID, FATTR_SIZE = 1, 2, 4, 8
FSYNC_DATA = 1 << 0


class Op(IntEnum):
    """The requests that are answered; any other gets ENOSYS."""

    LOOKUP = 1
    FORGET = 2
    GETATTR = 3
    SETATTR = 4
    MKDIR = 9
    UNLINK = 10
    RMDIR = 11
    RENAME = 12
    OPEN = 14
    READ = 15
    WRITE = 16
    STATFS = 17
    RELEASE = 18
    FSYNC = 20
    FLUSH = 25
    INIT = 26
    OPENDIR = 27
    READDIR = 28
    RELEASEDIR = 29
    FSYNCDIR = 30
    ACCESS = 34
    CREATE = 35
    INTERRUPT = 36
    DESTROY = 38
    BATCH_FORGET = 42
    FALLOCATE = 43
    RENAME2 = 45


IN_HEADER = Struct("=IIQQIIIHH")
OUT_HEADER = Struct("=IiQ")
INIT_IN = Struct("=IIII")
INIT_OUT = Struct("=IIIIHHIIHHI28x")
ATTR = Struct("=QQQQQQIIIIIIIIII")
ENTRY_HEAD = Struct("=QQQQII")
ATTR_HEAD = Struct("=QII")
FORGET_IN = Struct("=Q")
BATCH_FORGET_IN = Struct("=II")
FORGET_ONE = Struct("=QQ")
SETATTR_IN = Struct("=IIQQQQQQIIIIIIII")
MKDIR_IN = Struct("=II")
RENAME_IN = Struct("=Q")
RENAME2_IN = Struct("=QII")
OPEN_IN = Struct("=II")
CREATE_IN = Struct("=IIII")
OPEN_OUT = Struct("=QII")
READ_IN = Struct("=QQIIQII")
WRITE_IN = Struct("=QQIIQII")
WRITE_OUT = Struct("=II")
HANDLE_IN = Struct("=Q")
STATFS_OUT = Struct("=QQQQQIIII24x")
FSYNC_IN = Struct("=QII")
FALLOCATE_IN = Struct("=QQQII")
INTERRUPT_IN = Struct("=Q")
DIRENT = Struct("=QQII")


class Request(NamedTuple):
    """What the kernel asks. `body` is what follows the header."""

    opcode: int
    unique: int
    node: int
    uid: int
    gid: int
    body: bytes


def read_request(data: memoryview) -> Request:
    """A request as it was read from the device."""
    length, opcode, unique, node, uid, gid, _, _, _ = IN_HEADER.unpack_from(data)
    return Request(opcode, unique, node, uid, gid, bytes(data[IN_HEADER.size : length]))


def answer(unique: int, body: bytes = b"", error: int = 0) -> bytes:
    """An answer; `error` is an errno, with which nothing else is said."""
    body = b"" if error else body
    return OUT_HEADER.pack(OUT_HEADER.size + len(body), -error, unique) + body


def name_of(data: bytes) -> bytes:
    """The name at the begin of what is left of a request."""
    return data[: data.index(0)]


def directory_entry(number: int, offset: int, kind: int, name: bytes) -> bytes:
    """One entry of a folder's list; `offset`: where the list goes on behind it."""
    entry = DIRENT.pack(number, offset, len(name), kind) + name
    return entry + bytes(-len(entry) % 8)
