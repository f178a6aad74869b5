"""The files of a journal: names, headers, and what the end of a file tells.

A file opens with a fixed prefix (magic, format) and a header record: whose it is, which file
came before it and where that one ended, and a checkpoint of everything but the log's entries,
so that the files before it can be deleted. A file's header is written after everything in the
files before it was synced.
"""

from dataclasses import dataclass
from struct import Struct
from typing import Final
from zlib import crc32

import msgspec

from raftcoord.consensus import records
from raftcoord.consensus.contents import Contents
from raftcoord.consensus.records import Kind, SnapshotMarker
from raftcoord.errors import UnknownFormat

FORMAT: Final = 1
SECTOR: Final = 512
HEADER_LIMIT: Final = 64 << 10

_MAGIC: Final = b"RCjrnl\x0d\x0a"
_PREFIX: Final = Struct("<8sII")
_NAME: Final = "journal-"
_END: Final = ".log"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose journal it is."""

    cluster: str
    node: str
    incarnation: int


class Header(msgspec.Struct, frozen=True, array_like=True):
    """What a journal file says about itself and about everything before it.

    Args:
        cluster, node, incarnation: whose journal it is.
        size: length of the file in bytes, as preallocated.
        previous, previous_end: number of the file before it and where its records end; 0, 0 for
            a journal's first file.
        next: index of the entry that would be added next.
        boot, term, vote, commit, snapshot, tail_cut: as in `Contents`.
    """

    cluster: str
    node: str
    incarnation: int
    size: int
    previous: int
    previous_end: int
    next: int
    boot: int
    term: int
    vote: str | None
    commit: int
    snapshot: SnapshotMarker | None
    tail_cut: bool

    @classmethod
    def of(cls, contents: Contents, owner: Owner, previous: tuple[int, int], size: int) -> "Header":
        """The header of a file that starts where `contents` stand."""
        return cls(
            cluster=owner.cluster,
            node=owner.node,
            incarnation=owner.incarnation,
            size=size,
            previous=previous[0],
            previous_end=previous[1],
            next=contents.next,
            boot=contents.boot,
            term=contents.term,
            vote=contents.vote,
            commit=contents.commit,
            snapshot=contents.snapshot,
            tail_cut=contents.tail_cut,
        )

    @property
    def owner(self) -> Owner:
        """Whose journal it is."""
        return Owner(self.cluster, self.node, self.incarnation)

    def contents(self) -> Contents:
        """The checkpoint, with a log that is empty up to `next`."""
        contents = Contents(self.next)
        contents.boot = self.boot
        contents.term, contents.vote = self.term, self.vote
        contents.commit, contents.snapshot = self.commit, self.snapshot
        contents.tail_cut = self.tail_cut
        return contents

    def agrees(self, contents: Contents) -> bool:
        """Whether replaying the files before this one led to this checkpoint."""
        return (
            self.next == contents.next
            and self.boot == contents.boot
            and (self.term, self.vote) == (contents.term, contents.vote)
            and self.commit == contents.commit
            and self.snapshot == contents.snapshot
            and (self.tail_cut or not contents.tail_cut)
        )


def name(number: int) -> str:
    """File name of the journal file `number`."""
    return f"{_NAME}{number:08d}{_END}"


def number_of(file: str) -> int | None:
    """The number in a journal file's name; None for any other file."""
    digits = file.removeprefix(_NAME).removesuffix(_END)
    if digits.isdecimal() and digits.isascii() and file == name(int(digits)):
        return int(digits)
    return None


def encode_header(header: Header, number: int) -> bytes:
    """The first bytes of the file `number`."""
    start = crc32(_MAGIC + FORMAT.to_bytes(4, "little"))
    prefix = _PREFIX.pack(_MAGIC, FORMAT, start)
    payload = msgspec.msgpack.encode(header)
    return prefix + records.encode(Kind.HEADER, payload, len(prefix), _header_seed(number))


def first_bytes(
    contents: Contents,
    owner: Owner,
    previous: tuple[int, int],
    number: int,
    needed: int,
    usual: int,
) -> tuple[bytes, int]:
    """Header of the file `number`, and how large the file has to be to take `needed` more bytes.

    A sync marker fits behind whatever else is written, so that a batch can always be closed.
    """
    longest = encode_header(Header.of(contents, owner, previous, 1 << 62), number)
    size = max(usual, len(longest) + needed + records.SYNCED_SIZE)
    return encode_header(Header.of(contents, owner, previous, size), number), size


def decode_header(data: bytes, number: int, file: str) -> tuple[Header, int] | None:
    """Header and where it ends; None where the file's header is not there or damaged.

    Raises:
        UnknownFormat: it was written by a newer version of the product.
    """
    if len(data) < _PREFIX.size:
        return None
    magic, version, crc = _PREFIX.unpack_from(data)
    if magic != _MAGIC or crc != crc32(data[:12]):
        return None
    if version != FORMAT:
        raise UnknownFormat(
            f"{file} has the journal format {version}, this version reads {FORMAT}",
            file=file,
            format=version,
        )
    record = records.decode(data, _PREFIX.size, _header_seed(number))
    if record is None or record[0] != Kind.HEADER:
        return None
    try:
        header = msgspec.msgpack.decode(record[1], type=Header)
    except msgspec.MsgspecError:
        return None
    return header, _PREFIX.size + records.OVERHEAD + len(record[1])


def _header_seed(number: int) -> int:
    # Without cluster and node: a header of another node must be readable to be refused as such.
    return records.seed("", "", number)


def is_blank(data: bytes, offset: int) -> bool:
    """Whether nothing was written from `offset` on: preallocated files are zero filled."""
    return len(data.rstrip(b"\0")) <= offset


def is_unfinished(data: bytes, offset: int) -> bool:
    """Whether the bad record at `offset`, behind the last sync marker, was not written whole.

    Killed while writing, a process leaves a prefix; a power cut leaves some sectors written and
    others as they were, zero. Either way a piece of the record is zero where a record never is.
    Such a write was never synced, so nothing rests on it. Otherwise the record was there once and
    was damaged, and somebody may have been told about it.
    """
    written = len(data.rstrip(b"\0"))
    head = offset + records.HEAD.size
    if written < head or _has_blank_piece(data, offset, head):
        return True
    _, length, _, echo = records.HEAD.unpack_from(data, offset)
    if echo != records.check(length):
        return False
    end = head + length + len(records.END)
    return written < end or _has_blank_piece(data, offset, end)


def is_unfinished_header(data: bytes) -> bool:
    """The same for the start of a file whose header is not valid."""
    return len(data.rstrip(b"\0")) < _PREFIX.size or is_unfinished(data, _PREFIX.size)


def _has_blank_piece(data: bytes, offset: int, end: int) -> bool:
    while offset < end:
        border = min(end, (offset // SECTOR + 1) * SECTOR)
        if not any(data[offset:border]):
            return True
        offset = border
    return False
