"""Requests below HTTP: the same routes, handlers and gateway, without a byte of HTTP around them.

A connection of the simulated network carries one request at a time, as most clients use HTTP. A
frame is four bytes of length and MessagePack: [method, target, body] there, [status, revision,
body] back. What happens to a connection means the same as with HTTP: one that closes cancels the
handler, as the door does.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec
from aiohttp.web import BaseRequest

from raftcoord.server.answers import Answer
from raftcoord.server.calls import Call
from raftcoord.server.door import Door

_HEADERS = {"Content-Type": "application/json"}
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[str, str, bytes]).decode
_decode_answer = msgspec.msgpack.Decoder(tuple[int, int, bytes]).decode
_to_json = msgspec.json.Encoder().encode
_NO_BODY = frozenset((204, 304))


def frame(value: Any) -> bytes:
    """A value on the wire."""
    data = _encode(value)
    return len(data).to_bytes(4, "big") + data


def unframe(buffer: bytes) -> bytes | None:
    """What the frame at the begin of a buffer holds; None where it is not whole."""
    end = 4 + int.from_bytes(buffer[:4], "big")
    return buffer[4:end] if len(buffer) >= max(end, 4) else None


def answer_of(buffer: bytes) -> tuple[int, int, bytes] | None:
    """Status, revision and body, once all of the answer is here."""
    data = unframe(buffer)
    return None if data is None else _decode_answer(data)


class _Request:
    """As much of a request as handlers look at: its body and headers."""

    __slots__ = ("_body", "headers", "method")

    def __init__(self, method: str, body: bytes) -> None:
        self.method = method
        self.headers = _HEADERS if body else {}
        self._body = body

    @property
    def content(self) -> _Request:
        """Its own stream, which has ended."""
        return self

    @property
    def content_length(self) -> int:
        """Bytes of the body."""
        return len(self._body)

    def is_eof(self) -> bool:
        """All of it is here."""
        return True

    def read_nowait(self) -> bytes:
        """All of it."""
        return self._body


class Desk(asyncio.Protocol):
    """A member's end of a connection."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._buffer = b""
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        request = unframe(self._buffer)
        if request is not None:
            self._buffer = b""
            method, target, body = _decode(request)
            self._task = asyncio.get_running_loop().create_task(self._serve(method, target, body))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._task is not None:
            self._task.cancel()

    async def _serve(self, method: str, target: str, body: bytes) -> None:
        door = self._door
        door.begun()
        try:
            answer = await _answer(door, method, target, body)
        finally:
            door.ended()
            self._task = None
        data = b"" if answer.status in _NO_BODY else _to_json(answer.value)
        if self._transport is not None:
            revision = answer.revision or door.revision()
            self._transport.write(frame((answer.status, revision, data)))


async def _answer(door: Door, method: str, target: str, body: bytes) -> Answer:
    """What `Door` makes of a request."""
    try:
        path, _, query = target.partition("?")
        handler, names = door._router.resolve(method, path)
        request = cast(BaseRequest, _Request(method, body))
        return await handler(door.front, Call(request, names, query))
    except Exception as error:  # noqa: BLE001 - a bug is an answer, as in the door
        return door.failed(error, method, target)
