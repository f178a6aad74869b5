"""How one journal record looks on disk.

    type u8 | length u32 | crc32 u32 | check u32 | payload (length bytes) | end u8

All numbers are little-endian. The crc covers the record's own place (file number and offset,
64 bits), the cluster and the node, then type, length and payload: a stale record, one of another
node, or one that was written to the wrong place does not pass. `check` repeats the length, so
that a flipped bit in it is told apart from a record that was not written to its end. The first
and the last byte of a record, and the last byte of its head, are never zero: in a file
preallocated with zeros a record that was written whole therefore shows on every disk sector it
touches at its ends.
"""

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Final
from zlib import crc32

Entry = tuple[bytes, int, int]
"""One log entry: command (type byte, cluster time, payload), index, term."""


class Kind(IntEnum):
    """Record types. Several bits each: one flipped bit makes none into another or into zero."""

    HEADER = 0xC3
    SYNCED = 0xA6
    ENTRY = 0x9A
    TRUNCATE = 0x95
    VOTE = 0xE8
    COMMIT = 0xD1
    SNAPSHOT = 0x78
    RESET = 0x6D
    HEALED = 0x5B
    BOOT = 0x3E


@dataclass(frozen=True, slots=True)
class SnapshotMarker:
    """A snapshot that is whole and durable on disk.

    Args:
        index: the last log entry the snapshot contains.
        term: that entry's term.
        name: file name inside the snapshot folder.
        size: length of the file in bytes.
        crc: CRC-32 of the whole file.
    """

    index: int
    term: int
    name: str
    size: int
    crc: int


HEAD: Final = Struct("<BIII")
END: Final = b"\xe7"
OVERHEAD: Final = HEAD.size + len(END)

# What the crc covers ahead of the payload, and the same with an entry's first two fields in one
# go: adding an entry is the hot path of every write.
BOUND: Final = Struct("<QIB")
BOUND_ENTRY: Final = Struct("<QIBQQ")
HEAD_ENTRY: Final = Struct("<BIIIQQ")
ENTRY_FIELDS: Final = Struct("<QQ")

_SYNCED_SIGN: Final = b"\x0esynced\xf1"
_NUMBER: Final = Struct("<Q")
_VOTE: Final = Struct("<QB")
_RESET: Final = Struct("<QQB")
_SNAPSHOT: Final = Struct("<QQQI")
SYNCED_SIZE: Final = OVERHEAD + len(_SYNCED_SIGN)


def seed(cluster: str, node: str, number: int) -> int:
    """Where the crc of every record of a file starts: it belongs to this cluster, node, file."""
    return crc32(f"{cluster}\0{node}\0".encode(), crc32(_NUMBER.pack(number)))


def check(length: int) -> int:
    """The head's own check of `length`; its highest bit is set."""
    return (length ^ 0x5A69C33C) | 0x80000000


def encode(kind: Kind, payload: bytes, offset: int, start: int) -> bytes:
    """One record for `offset` of the file whose crc starts at `start`."""
    length = len(payload)
    crc = crc32(payload, crc32(BOUND.pack(offset, length, kind), start))
    return HEAD.pack(kind, length, crc, check(length)) + payload + END


def decode(data: bytes, offset: int, start: int) -> tuple[int, bytes] | None:
    """Type and payload of the record at `offset` of a whole file; None where none is valid."""
    if offset + OVERHEAD > len(data):
        return None
    kind, length, crc, echo = HEAD.unpack_from(data, offset)
    begin = offset + HEAD.size
    end = begin + length
    if echo != check(length) or end >= len(data) or data[end : end + 1] != END:
        return None
    payload = data[begin:end]
    if crc32(payload, crc32(BOUND.pack(offset, length, kind), start)) != crc:
        return None
    return kind, payload


def synced(offset: int, start: int) -> bytes:
    """The sync marker: everything in front of it was durable before it was written."""
    return encode(Kind.SYNCED, _SYNCED_SIGN, offset, start)


def last_synced(data: bytes, offset: int, start: int) -> int | None:
    """Offset of the last valid sync marker at or behind `offset`, however bad the bytes between."""
    at = len(data)
    while (at := data.rfind(_SYNCED_SIGN, offset, at)) >= 0:
        found = at - HEAD.size
        if found >= offset and decode(data, found, start) == (Kind.SYNCED, _SYNCED_SIGN):
            return found
        at += len(_SYNCED_SIGN) - 1
    return None


def entry(command: bytes, index: int, term: int) -> bytes:
    """Payload of an entry record."""
    return ENTRY_FIELDS.pack(index, term) + command


def number(value: int) -> bytes:
    """Payload of a record that holds one number: truncate (from index), commit (index), boot."""
    return _NUMBER.pack(value)


def read_number(payload: bytes) -> int:
    """The number of a truncate, commit or boot record."""
    value: int = _NUMBER.unpack(payload)[0]
    return value


def vote(term: int, voted: str | None) -> bytes:
    """Payload of a vote record: the current term and whom this node voted for in it."""
    return _VOTE.pack(term, voted is not None) + (voted or "").encode()


def read_vote(payload: bytes) -> tuple[int, str | None]:
    """Term and vote."""
    term, given = _VOTE.unpack_from(payload)
    return term, payload[_VOTE.size :].decode() if given else None


def reset(index: int, term: int, keep: bool) -> bytes:
    """Payload of a reset record: the log starts over at (index, term)."""
    return _RESET.pack(index, term, keep)


def read_reset(payload: bytes) -> tuple[int, int, bool]:
    """Index, term, and whether the entries behind it stay."""
    index, term, keep = _RESET.unpack(payload)
    return index, term, bool(keep)


def snapshot(marker: SnapshotMarker) -> bytes:
    """Payload of a snapshot record."""
    head = _SNAPSHOT.pack(marker.index, marker.term, marker.size, marker.crc)
    return head + marker.name.encode()


def read_snapshot(payload: bytes) -> SnapshotMarker:
    """The marker of a snapshot record."""
    index, term, size, crc = _SNAPSHOT.unpack_from(payload)
    return SnapshotMarker(index, term, payload[_SNAPSHOT.size :].decode(), size, crc)
