"""Frames: what members write to each other once they have proved who they are.

    0       4       8      12                                   12 + length
    ├───────┼───────┼───────┼────────────────────────────────────┤
    │length │ check │ CRC-32│ body: a msgpack array of messages  │
    └───────┴───────┴───────┴────────────────────────────────────┘

The numbers are unsigned, big-endian. `check` is the CRC-32 of the length: a damaged length is seen
at once and not when so many bytes have come, which on an idle link takes an hour. The last one is
the CRC-32 of the body. A message is a map with string keys. All messages of one turn of the loop
leave as one frame; the length is checked before anything is buffered, and the decoder reserves no
room for elements that are only announced.
Nothing here touches a socket.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

HEADER = struct.Struct("!III")
_LENGTH = struct.Struct("!I")
MESSAGE_LIMIT = 4 << 20
"""Bytes one message may have, packed."""
MESSAGES_LIMIT = 4096
"""Messages in one frame."""
BODY_LIMIT = MESSAGE_LIMIT + 64
"""Bytes a body may have: the longest message and the head of the array around it."""
BUFFER = 64 << 10
"""Bytes the receiving side holds for frames that are shorter; a longer one gets its own room."""
_COMPACT = 4 << 10

_ENCODER = msgspec.msgpack.Encoder()


class BadFrame(Exception):
    """What came in is no frame. `reason`: "length", "checksum" or "body"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class FrameWriter:
    """Gathers messages until they leave together. `size`: bytes gathered so far."""

    def __init__(self) -> None:
        self.size = 0
        self.frames = 0
        self._bodies: list[list[bytes]] = []
        self._room = 0

    def add(self, message: object) -> bool:
        """Pack a message now; False where it is longer than MESSAGE_LIMIT and was left out.

        Raises TypeError for values that msgpack does not know.
        """
        packed = _ENCODER.encode(message)
        length = len(packed)
        if length > MESSAGE_LIMIT:
            return False
        if length > self._room or len(self._bodies[-1]) >= MESSAGES_LIMIT:
            self._bodies.append([])
            self._room = MESSAGE_LIMIT
        self._bodies[-1].append(packed)
        self._room -= length
        self.size += length
        return True

    def take(self) -> bytes:
        """All that was gathered, framed, for one write."""
        parts: list[bytes] = []
        for body in self._bodies:
            head = _array_head(len(body))
            length, crc = len(head), zlib.crc32(head)
            for packed in body:
                length += len(packed)
                crc = zlib.crc32(packed, crc)
            parts.append(HEADER.pack(length, check(length), crc))
            parts.append(head)
            parts.extend(body)
        self.frames += len(self._bodies)
        self._bodies = []
        self._room = self.size = 0
        return b"".join(parts)


def check(length: int) -> int:
    """What stands beside the length of a body."""
    return zlib.crc32(_LENGTH.pack(length))


def _array_head(count: int) -> bytes:
    """The msgpack head of an array (specification, "array format family")."""
    if count < 16:
        return bytes((0x90 | count,))
    return b"\xdc" + count.to_bytes(2, "big")


class FrameReader:
    """Reads frames out of buffers that the socket fills.

    Args:
        shape: the type of one message for msgspec. With the default, maps with string keys come
            out as dicts and their values are not looked at. A union of tagged structs is checked
            while it is read, and nothing is built that has not its shape.
    """

    def __init__(self, shape: Any = dict[str, Any]) -> None:
        self._decoder = _decoder(shape)
        self._buffer = memoryview(bytearray(BUFFER))
        self._start = 0
        self._end = 0
        self._large: memoryview | None = None
        self._crc = 0

    def buffer(self) -> memoryview:
        """Where the next bytes belong; never empty."""
        if self._large is not None:
            return self._large[self._end :]
        if self._start == self._end:
            self._start = self._end = 0
        elif self._start and BUFFER - self._end < _COMPACT:
            rest = bytes(self._buffer[self._start : self._end])
            self._buffer[: len(rest)] = rest
            self._start, self._end = 0, len(rest)
        return self._buffer[self._end :]

    def received(self, count: int) -> Iterator[list[Any]]:
        """`count` bytes were put into `buffer()`: the messages of each frame that is complete.

        Raises BadFrame; nothing may be read after that.
        """
        self._end += count
        if self._large is not None:
            if self._end < len(self._large):
                return
            body, self._large = self._large, None
            self._start = self._end = 0
            yield self._decode(body, self._crc)
            return
        while self._end - self._start >= HEADER.size:
            length, echo, crc = HEADER.unpack_from(self._buffer, self._start)
            if echo != check(length) or not 0 < length <= BODY_LIMIT:
                raise BadFrame("length")
            begin = self._start + HEADER.size
            if begin + length > self._end:
                if HEADER.size + length > BUFFER:
                    self._begin_large(begin, length, crc)
                return
            self._start = begin + length
            yield self._decode(self._buffer[begin : self._start], crc)

    def _begin_large(self, begin: int, length: int, crc: int) -> None:
        """A frame longer than the buffer is read into room of its own, without copying again."""
        self._large = memoryview(bytearray(length))
        have = self._end - begin
        self._large[:have] = self._buffer[begin : self._end]
        self._start, self._end, self._crc = 0, have, crc

    def _decode(self, body: memoryview, crc: int) -> list[Any]:
        if zlib.crc32(body) != crc:
            raise BadFrame("checksum")
        try:
            messages: list[Any] = self._decoder.decode(body)
        except (ValueError, RecursionError) as error:
            raise BadFrame("body") from error
        return messages


def _decoder(shape: Any) -> msgspec.msgpack.Decoder[Any]:
    count = msgspec.Meta(min_length=1, max_length=MESSAGES_LIMIT)
    return msgspec.msgpack.Decoder(Annotated[list[shape], count])
