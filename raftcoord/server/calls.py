"""One request as a handler reads it: names in the path, the query, the body."""

import asyncio
import re
from typing import Any, Generic, NoReturn, TypeVar
from urllib.parse import parse_qsl

import msgspec
from aiohttp.web import BaseRequest, RequestPayloadError

from raftcoord.errors import BodyTooLarge, Malformed, UnsupportedMedia
from raftcoord.server.answers import is_msgpack

MAX_BODY = 1 << 20
BODY_PATIENCE = 10.0
"""Seconds for a body to arrive."""
MAX_QUERY_FIELDS = 32
SHOWN = 200
"""Characters of a caller's own text that a refusal repeats."""

_T = TypeVar("_T")
_AT = re.compile(r" - at (?:`key` in )?`\$\.?(.*)`$")
_NAMED = re.compile(r"(?:unknown|required) field `([^`]*)`")
_JSON_TYPES = ("application/json", "application/msgpack")


class Body(Generic[_T]):
    """A body of a known shape, as JSON or MessagePack.

    Args:
        allowed: field → what it may be, for the refusals.
    """

    def __init__(self, shape: type[_T], allowed: dict[str, str]) -> None:
        self._allowed = allowed
        self._json = msgspec.json.Decoder(shape)
        self._msgpack = msgspec.msgpack.Decoder(shape)

    def decode(self, data: bytes, *, msgpack: bool) -> _T:
        """The body. Raises Malformed with the field and what is allowed."""
        try:
            if msgpack:
                return self._msgpack.decode(data or b"\x80")
            return self._json.decode(data or b"{}")
        except msgspec.ValidationError as error:
            self._refuse(str(error))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            kind = "MessagePack" if msgpack else "JSON"
            raise Malformed(
                f"the body is not {kind}: {error}", field="body", allowed=f"a {kind} object"
            ) from None
        except RecursionError:
            raise Malformed(
                "the body is nested too deep", field="body", allowed="less nesting"
            ) from None

    def _refuse(self, text: str) -> NoReturn:
        at = _AT.search(text)
        said = _AT.sub("", text)
        # What a caller sent comes back, but not a megabyte of it.
        named = _NAMED.search(said)
        if named is not None:
            field = named[1] if at is None or not at[1] else f"{at[1]}.{named[1]}"
        else:
            field = "body" if at is None or not at[1] else at[1]
        field = field[:SHOWN]
        if "unknown field" in said:
            allowed = ", ".join(self._allowed) or "no fields"
            raise Malformed(f"{field} is no field of this request", field=field, allowed=allowed)
        word = re.split(r"[.\[]", field, maxsplit=1)[0]
        allowed = self._allowed.get(word, "a JSON object with " + ", ".join(self._allowed))
        if "required field" in said:
            raise Malformed(f"{field} is missing", field=field, allowed=allowed)
        raise Malformed(f"{field}: {said[:SHOWN].replace('`', '')}", field=field, allowed=allowed)


class Call:
    """A request and the names in its path."""

    __slots__ = ("names", "query_string", "request")

    def __init__(self, request: BaseRequest, names: list[str], query_string: str) -> None:
        self.request = request
        self.names = names
        self.query_string = query_string

    async def read(self) -> bytes:
        """The body's bytes.

        Raises:
            BodyTooLarge, UnsupportedMedia (a content coding), Malformed (it did not come whole).
        """
        content, headers = self.request.content, self.request.headers
        if "Content-Encoding" in headers and headers["Content-Encoding"] != "identity":
            raise UnsupportedMedia("coded bodies are not read here", allowed=["identity"])
        try:
            if content.is_eof():
                data = content.read_nowait()
                if len(data) > MAX_BODY:
                    raise _too_large()
                return data
            return await self._read_slowly()
        except RequestPayloadError as error:
            raise Malformed(
                f"the body did not come whole: {error}", field="body", allowed="a whole body"
            ) from None

    async def _read_slowly(self) -> bytes:
        request = self.request
        declared = request.content_length
        if declared is not None and declared > MAX_BODY:
            raise _too_large()
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        data = bytearray()
        try:
            async with asyncio.timeout(BODY_PATIENCE):
                while chunk := await request.content.readany():
                    data += chunk
                    if len(data) > MAX_BODY:
                        raise _too_large()
        except TimeoutError:
            raise Malformed(
                f"the body did not come within {BODY_PATIENCE:g} s",
                field="body",
                allowed="a whole body",
            ) from None
        return bytes(data)

    async def body(self, shape: Body[_T]) -> _T:
        """The body in its shape; an empty one counts as an empty object.

        Raises:
            Malformed, UnsupportedMedia, BodyTooLarge.
        """
        data = await self.read()
        media = self.request.headers.get("Content-Type")
        if media is None or media == "application/json":
            return shape.decode(data, msgpack=False)
        if is_msgpack(media):
            return shape.decode(data, msgpack=True)
        if media.partition(";")[0].strip().lower() != "application/json" and data:
            raise UnsupportedMedia(
                f"a body of {media[:100]!r} is not read here; allowed: {', '.join(_JSON_TYPES)}",
                field="Content-Type",
                allowed=list(_JSON_TYPES),
            )
        return shape.decode(data, msgpack=False)

    def query(self, *allowed: str) -> dict[str, str]:
        """The query's fields. Raises Malformed for others than those allowed, and for two."""
        if not self.query_string:
            return {}
        try:
            pairs = parse_qsl(
                self.query_string,
                keep_blank_values=True,
                strict_parsing=True,
                errors="strict",
                max_num_fields=MAX_QUERY_FIELDS,
            )
        except ValueError as error:
            raise Malformed(
                f"the query cannot be read: {error}", field="query", allowed="key=value&…, UTF-8"
            ) from None
        found: dict[str, str] = {}
        for key, value in pairs:
            if key not in allowed:
                raise Malformed(
                    f"{key[:100]} is no field of this query",
                    field=key[:100],
                    allowed=", ".join(allowed) or "no fields",
                )
            if key in found:
                raise Malformed(f"{key} is given twice", field=key, allowed="one value")
            found[key] = value
        return found


def whole_number(
    fields: dict[str, Any], field: str, default: int | None, low: int, high: int
) -> int | None:
    """A whole number of a query. Raises Malformed outside of low .. high."""
    text = fields.get(field)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and low <= int(text) <= high):
        raise Malformed(
            f"{field} is {text[:40]!r}; allowed: {low} to {high}",
            field=field,
            limit=high,
            allowed=f"a whole number, {low} to {high}",
        )
    return int(text)


def _too_large() -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than {MAX_BODY} bytes", field="body", limit=MAX_BODY)
