"""What is inside a snapshot file.

    prefix  magic | u32 format | u32 crc of both
    head    u32 length | u32 crc | msgpack of SnapshotMeta
    chunk   u32 length | u32 crc | bytes          as many as there are
    end     u32 0 | u32 number of chunks | u64 length of the file | u32 crc of all before

All numbers are little-endian. Every chunk is verified before it is handed on, and a file without
its end, or with anything behind it, is damaged.
"""

from collections.abc import Callable, Iterable, Iterator
from struct import Struct
from typing import Final
from zlib import crc32

import msgspec

from raftcoord.consensus.edges import File
from raftcoord.errors import ConfigInvalid, DataDamaged, DataMissing, UnknownFormat

FORMAT: Final = 1

_MAGIC: Final = b"RCsnap\x0d\x0a"
_PREFIX: Final = Struct("<8sII")
_PIECE: Final = Struct("<II")
_END: Final = Struct("<IIQI")
_TAIL: Final = Struct("<QI")
_PREFIX_CRC: Final = crc32(_MAGIC + FORMAT.to_bytes(4, "little"))
_BLOCK: Final = 1 << 20
_PIECE_LIMIT: Final = 64 << 20


class SnapshotMeta(msgspec.Struct, frozen=True, array_like=True):
    """What a snapshot says about itself.

    Args:
        cluster: the cluster whose state it holds.
        index, term: the last log entry it contains.
        configuration: the membership as of that entry, encoded.
        clock: cluster time in ms as of that entry.
    """

    cluster: str
    index: int
    term: int
    configuration: bytes
    clock: int


def damaged(file: str, offset: int, what: str) -> DataDamaged:
    """The error that names file and offset."""
    return DataDamaged(f"{file} at byte {offset}: {what}", file=file, offset=offset)


def _piece_crc(offset: int, data: bytes) -> int:
    return crc32(data, offset & 0xFFFFFFFF)


def write_all(file: File, meta: SnapshotMeta, chunks: Iterable[bytes]) -> tuple[int, int]:
    """Write all of it; size and crc of the file."""
    size, crc, count = 0, 0, 0
    block: list[bytes] = []
    gathered = 0

    def put(data: bytes) -> None:
        nonlocal size, crc, gathered
        block.append(data)
        size += len(data)
        crc = crc32(data, crc)
        gathered += len(data)
        if gathered >= _BLOCK:
            flush()

    def flush() -> None:
        nonlocal gathered
        file.write(b"".join(block))
        block.clear()
        gathered = 0

    def piece(data: bytes) -> None:
        put(_PIECE.pack(len(data), _piece_crc(size, data)) + data)

    put(_PREFIX.pack(_MAGIC, FORMAT, _PREFIX_CRC))
    piece(msgspec.msgpack.encode(meta))
    for chunk in chunks:
        if chunk:  # an empty one would read as the end
            piece(chunk)
            count += 1
    put(_END.pack(0, count, size + _END.size, crc))
    flush()
    return size, crc


class Reader:
    """Reads a file front to back and verifies every piece."""

    def __init__(self, opened: Callable[[str], File], path: str) -> None:
        self.path = path
        self.offset = 0
        self.crc = 0
        try:
            self._file = opened(path)
        except FileNotFoundError as error:
            raise DataMissing(f"the snapshot {path} is gone", file=path) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _take(self, count: int, at: int) -> bytes:
        data = self._file.read(self.offset, count)
        if len(data) < count:
            raise damaged(self.path, at, "the file ends before its end mark")
        self.offset += count
        self.crc = crc32(data, self.crc)
        return data

    def _piece(self, length: int, crc: int, at: int) -> bytes:
        if length > _PIECE_LIMIT:
            raise damaged(self.path, at, "the length of a piece is damaged")
        data = self._take(length, at)
        if _piece_crc(at, data) != crc:
            raise damaged(self.path, at, "the piece is damaged")
        return data

    def meta(self, cluster: str) -> SnapshotMeta:
        """The head; to be read first.

        Raises:
            DataDamaged, UnknownFormat, ConfigInvalid: as `Snapshots.load`.
        """
        prefix = self._take(_PREFIX.size, 0)
        magic, version, crc = _PREFIX.unpack(prefix)
        if magic != _MAGIC or crc != crc32(prefix[:12]):
            raise damaged(self.path, 0, "it does not begin as a snapshot does")
        if version != FORMAT:
            raise UnknownFormat(
                f"{self.path} has the snapshot format {version}, this version reads {FORMAT}",
                file=self.path,
                format=version,
            )
        at = self.offset
        length, crc = _PIECE.unpack(self._take(_PIECE.size, at))
        head = self._piece(length, crc, at)
        try:
            meta = msgspec.msgpack.decode(head, type=SnapshotMeta)
        except msgspec.MsgspecError as error:
            raise damaged(self.path, at, "its head is damaged") from error
        if meta.cluster != cluster:
            raise ConfigInvalid(
                f"{self.path} is a snapshot of cluster {meta.cluster}, not of {cluster}",
                file=self.path,
                cluster=meta.cluster,
            )
        return meta

    def chunks(self) -> Iterator[bytes]:
        """The chunks, each verified, to the end of the file.

        Raises:
            DataDamaged: at the first piece that is not what was written; fields file, offset.
        """
        count = 0
        while True:
            at, crc_before = self.offset, self.crc
            length, second = _PIECE.unpack(self._take(_PIECE.size, at))
            if length == 0:
                break
            yield self._piece(length, second, at)
            count += 1
        size, crc = _TAIL.unpack(self._take(_TAIL.size, at))
        if (second, size, crc) != (count, self.offset, crc_before):
            raise damaged(self.path, at, "the end mark is damaged")
        if self._file.size() != self.offset:
            raise damaged(self.path, self.offset, "something follows the end mark")
