"""One keep-alive HTTP/1.1 connection that costs its process as little as Python allows.

One request is in flight at a time; the answer arrives by a plain call, so that no task, future or
parser object stands between the socket and the stopwatch. It reads what the measured systems
send: a status line, a header with Content-Length (RFC 9112 §6.2), a body. Anything else ends the
connection as "unreadable", which the caller counts as an error.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_END = b"\r\n\r\n"
_MAX_HEAD = 16384
"""Bytes; a longer header is unreadable."""

OnAnswer = Callable[[int, bytes], None]
OnLost = Callable[[str], None]


def post(host: str, path: str, body: bytes) -> bytes:
    """The bytes of a POST with a JSON body."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Connection(asyncio.Protocol):
    """A connection that reports each answer.

    Args:
        on_answer: called with (status, body) for each answer.
        on_lost: called once, with the reason, when the connection ends; not after `close`.
    """

    __slots__ = ("_buffer", "_on_answer", "_on_lost", "_transport")

    def __init__(self, on_answer: OnAnswer, on_lost: OnLost) -> None:
        self._on_answer = on_answer
        self._on_lost: OnLost | None = on_lost
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def send(self, request: bytes) -> None:
        """Write a prebuilt request; the connection must be open and idle."""
        if self._transport is not None:
            self._transport.write(request)

    def close(self) -> None:
        """End it without a report."""
        self._on_lost = None
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(f"connection lost: {exc}" if exc else "connection closed by the server")

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        end = data.find(_END)
        if end < 0:
            if len(data) > _MAX_HEAD:
                self._lose("unreadable answer: header too long")
                return
            self._buffer = data
            return
        length = _LENGTH.search(data, 0, end)
        if length is None or not data.startswith(b"HTTP/1."):
            self._lose("unreadable answer: no content length")
            return
        start = end + 4
        missing = start + int(length[1]) - len(data)
        if missing > 0:
            self._buffer = data
            return
        if missing < 0:
            self._lose("unreadable answer: more than was asked for")
            return
        self._buffer = b""
        status = data[9:12]
        self._on_answer(int(status) if status.isdigit() else 0, data[start:])

    def _lose(self, reason: str) -> None:
        report, self._on_lost = self._on_lost, None
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        if report is not None:
            report(reason)
