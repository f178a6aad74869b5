"""Heads of requests, as far as they can be judged without a parser: which are plain, and where in
a stream of requests the next one begins.

Whatever is not written exactly as nearly all clients write it is not judged here but left to the
parser: what two readers could understand differently is how requests are smuggled (RFC 9112 §11.2).
"""

import re
from collections.abc import Callable
from typing import NamedTuple

END = b"\r\n\r\n"
MAX_BODY = 8_192
"""Bytes of the body of a plain request."""
MAX_LINES = 2_048
"""Bytes of its header lines; much less than any line may have for the parser."""
_REMEMBERED = 512
"""Clients send the same header lines with each request: so many blocks are known again without
reading them (0.1 µs against 5 µs)."""
_FOLLOWED = 16_384

_REQUEST = re.compile(rb"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) [!-~]+ HTTP/1\.1\r\n")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[!-~](?:[ -~]*[!-~])?)?)[ \t]*")
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,17}")
_HARMLESS = frozenset(
    (
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"cache-control",
        b"connection",
        b"content-length",
        b"content-type",
        b"host",
        b"pragma",
        b"user-agent",
    )
)


class Head(NamedTuple):
    """What header lines say.

    length: bytes of the body behind which the next request stands; -1 where only the parser can
        tell, or none follows.
    plain: the request is from a caller with a right Host, who sends JSON and reads it; nothing
        else is said that could mean something.
    """

    length: int
    plain: bool


_ODD = Head(-1, False)


class Heads:
    """Reads header lines, and remembers them. knows: whether a Host is a name of ours."""

    def __init__(self, knows: Callable[[str], bool]) -> None:
        self._knows = knows
        self._remembered: dict[bytes, Head] = {}

    def read(self, block: bytes) -> Head:
        """The header lines of a request.

        Args:
            block: each line ended by CR LF, and the empty line.
        """
        return self._remembered.get(block) or self._judge(block)

    def _judge(self, block: bytes) -> Head:
        fields = _fields(block)
        length = -1 if fields is None else _length(fields)
        if fields is None or length < 0:
            return _ODD
        known = b"host" in fields and self._knows(fields[b"host"].decode())
        short = len(block) <= MAX_LINES
        head = Head(length, known and short and _is_plain(fields, length))
        # A name that is not known now may be known after the first request under it.
        if known and short:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[block] = head
        return head


def _fields(block: bytes) -> dict[bytes, bytes] | None:
    """Values by names in lower case; None where a line is odd or a name comes twice."""
    fields: dict[bytes, bytes] = {}
    for line in block.removesuffix(END).split(b"\r\n"):
        found = _FIELD.fullmatch(line)
        if found is None:
            return None
        name = found[1].lower()
        if name in fields:
            return None
        fields[name] = found[2]
    return fields


def _length(fields: dict[bytes, bytes]) -> int:
    if b"transfer-encoding" in fields:
        return -1
    if fields.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return -1  # it is the last request, or an upgrade
    length = fields.get(b"content-length", b"0")
    return int(length) if _LENGTH.fullmatch(length) else -1


def _is_plain(fields: dict[bytes, bytes], length: int) -> bool:
    media = fields.get(b"content-type", b"application/json")
    return (
        length <= MAX_BODY
        and fields.keys() <= _HARMLESS
        and media.partition(b";")[0].strip().lower() == b"application/json"
        and b"msgpack" not in media
        and b"msgpack" not in fields.get(b"accept", b"")
    )


class Place:
    """Where the bytes that a parser was given end: between two requests, or within one.

    given: requests whose heads were in these bytes.
    lost: something came that is not followed here; nothing is known any more.
    """

    __slots__ = ("_begun", "_heads", "_owed", "given", "lost")

    def __init__(self, heads: Heads) -> None:
        self._heads = heads
        self._owed = 0
        self._begun = b""
        self.given = 0
        self.lost = False

    @property
    def between(self) -> bool:
        """Whether the next byte is the first of a request."""
        return not self._owed and not self._begun and not self.lost

    def feed(self, data: bytes) -> None:
        """The parser gets these bytes."""
        if self.lost:
            return
        if self._begun:
            data = self._begun + data
        while data:
            if self._owed:
                size = min(self._owed, len(data))
                self._owed -= size
                data = data[size:]
                continue
            end = data.find(END)
            if end < 0:
                self.lost = len(data) > _FOLLOWED
                break
            line = _REQUEST.match(data)
            length = -1 if line is None else self._heads.read(data[line.end() : end + 4]).length
            if length < 0:
                self.lost = True
                break
            self.given += 1
            self._owed = length
            data = data[end + 4 :]
        self._begun = b"" if self.lost else data
