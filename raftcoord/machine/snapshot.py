"""The whole state as bytes, and back.

A stream of frames, cut into chunks without regard to them. A frame is its length and the CRC-32
of its body (4 bytes each, big-endian) and the body, MessagePack:

    first   ["raftcoord-machine", format, clock, applied index, digest, {counter: value}]
    rows    [table, [[key, record], …]]      tables in a fixed order, rows in the table's order
    armed   ["deadlines", [[kind, id, deadline, sequence], …]]
    last    ["end", how many rows and deadlines there were]

The same state gives the same bytes. Format 1.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any
from zlib import crc32

import msgspec

from raftcoord.errors import DataDamaged, UnknownFormat
from raftcoord.machine.deadlines import Entry, Key
from raftcoord.machine.ledger import Table

MAGIC = "raftcoord-machine"
FORMAT = 2
CHUNK = 64 * 1024
ROWS_PER_FRAME = 64
FRAME_LIMIT = 64 << 20

_encode = msgspec.msgpack.Encoder().encode
_named = msgspec.msgpack.Decoder(tuple[str, msgspec.Raw])
_armed = msgspec.msgpack.Decoder(list[tuple[str, int | str, int, int]])
_anything = msgspec.msgpack.Decoder(list[Any])


class Head(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What stands first."""

    magic: str
    format: int
    clock: int
    applied: int
    digest: int
    counters: dict[str, int]


_head = msgspec.msgpack.Decoder(Head)


def pack(
    clock: int,
    applied: int,
    digest: int,
    counters: dict[str, int],
    tables: Sequence[Table[Any, Any]],
    armed: dict[Key, Entry],
) -> Iterator[bytes]:
    """The state in chunks of at most 64 KiB."""
    buffer = bytearray()
    for body in _bodies(clock, applied, digest, counters, tables, armed):
        buffer += len(body).to_bytes(4) + crc32(body).to_bytes(4) + body
        while len(buffer) >= CHUNK:
            yield bytes(buffer[:CHUNK])
            del buffer[:CHUNK]
    yield bytes(buffer)


def _bodies(
    clock: int,
    applied: int,
    digest: int,
    counters: dict[str, int],
    tables: Sequence[Table[Any, Any]],
    armed: dict[Key, Entry],
) -> Iterator[bytes]:
    yield _encode(Head(MAGIC, FORMAT, clock, applied, digest, counters))
    count = 0
    for table in tables:
        rows = iter(table.rows.items())
        while batch := list(islice(rows, ROWS_PER_FRAME)):
            count += len(batch)
            yield _encode((table.name, batch))
    entries = iter(armed.values())
    while due := list(islice(entries, ROWS_PER_FRAME)):
        count += len(due)
        flat = [(kind, which, deadline, sequence) for deadline, sequence, (kind, which) in due]
        yield _encode(("deadlines", flat))
    yield _encode(("end", count))


class Contents:
    """What a snapshot holds, read and checked, not yet anybody's state."""

    def __init__(self, tables: Sequence[Table[Any, Any]]) -> None:
        self.rows: dict[str, dict[Any, Any]] = {table.name: {} for table in tables}
        self.armed: dict[Key, Entry] = {}
        self._decoders = {table.name: table.decoder for table in tables}
        self.head = Head(MAGIC, FORMAT, 0, 0, 0, {})
        self._count = 0
        self._complete = False

    def read(self, chunks: Iterable[bytes]) -> None:
        """Read a whole snapshot.

        Raises:
            DataDamaged: bytes are missing, changed, or too many; names the offset.
            UnknownFormat: it was written by a newer version, or is no snapshot of a machine.
        """
        offset = 0
        for number, (at, body) in enumerate(_frames(chunks)):
            offset = at
            try:
                self._take(number, body)
            except (msgspec.DecodeError, TypeError) as error:
                raise _damaged(f"a frame cannot be read ({error})", at) from error
            except _Broken as error:
                raise _damaged(str(error), at) from error
        if not self._complete:
            raise _damaged("it ends too early", offset)

    def _take(self, number: int, body: bytes) -> None:
        if number == 0:
            self._take_head(body)
            return
        if self._complete:
            raise _Broken("something follows its end")
        name, raw = _named.decode(body)
        if name == "end":
            if msgspec.msgpack.decode(raw, type=int) != self._count:
                raise _Broken("rows are missing")
            self._complete = True
        elif name == "deadlines":
            for kind, which, deadline, sequence in _armed.decode(raw):
                self.armed[kind, which] = (deadline, sequence, (kind, which))
                self._count += 1
        elif name in self.rows:
            batch = self._decoders[name].decode(raw)
            self.rows[name].update(batch)
            self._count += len(batch)
        else:
            raise _Broken(f"the table {name} is unknown")

    def _take_head(self, body: bytes) -> None:
        start = _anything.decode(body)
        if start[:1] != [MAGIC] or len(start) < 2:
            raise UnknownFormat("this is no snapshot of a machine", format=None, known=FORMAT)
        if start[1] != FORMAT:
            raise UnknownFormat(
                f"the snapshot has format {start[1]}; this version reads format {FORMAT}",
                format=start[1],
                known=FORMAT,
            )
        self.head = _head.decode(body)


class _Broken(Exception):
    """What is wrong with a frame."""


def _damaged(what: str, offset: int) -> DataDamaged:
    return DataDamaged(f"the snapshot is damaged at byte {offset}: {what}", offset=offset)


def _frames(chunks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Every frame's offset and body, checked against its length and CRC."""
    buffer, offset = bytearray(), 0
    for chunk in chunks:
        buffer += chunk
        start = 0
        while len(buffer) - start >= 8:
            length = int.from_bytes(buffer[start : start + 4])
            if length > FRAME_LIMIT:
                raise _damaged("a frame is longer than any can be", offset)
            end = start + 8 + length
            if len(buffer) < end:
                break
            body = bytes(buffer[start + 8 : end])
            if crc32(body) != int.from_bytes(buffer[start + 4 : start + 8]):
                raise _damaged("the checksum of a frame is wrong", offset)
            yield offset, body
            offset += end - start
            start = end
        del buffer[:start]
    if buffer:
        raise _damaged("it ends within a frame", offset)
