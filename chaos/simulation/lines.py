"""A simulated client's end of a connection to a member, below HTTP or in HTTP.

One request is under way at a time. Whatever breaks the connection ends it with an unknown outcome:
from the first byte on nobody can say how far it went.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import cast

from chaos.simulation.ask import answer_of, frame
from chaos.workloads.heard import Heard, hear
from chaos.workloads.requests import Request

_END = b"\r\n\r\n"


class Line(asyncio.Protocol):
    """A connection. `open`: it may be used for another request."""

    def __init__(self, port: int) -> None:
        self.open = True
        self._port = port
        self._buffer = b""
        self._waiting: asyncio.Future[Heard] | None = None
        self._transport: asyncio.Transport | None = None

    async def ask(self, request: Request, patience: float) -> Heard:
        """Send a request and wait for its answer, at most `patience` seconds; then hang up."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[Heard] = loop.create_future()
        self._waiting = waiting
        timer = loop.call_later(patience, self._give_up, patience)
        assert self._transport is not None
        self._transport.write(self._bytes(request))
        try:
            return await waiting
        finally:
            timer.cancel()
            self._waiting = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        heard = self._whole(self._buffer)
        if heard is not None:
            self._buffer = b""
            self._tell(heard)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        why = "the connection was closed" if exc is None else f"{type(exc).__name__}: {exc}"
        self._tell(Heard("unknown", why=why))

    def close(self) -> None:
        """Hang up."""
        self.open = False
        if self._transport is not None:
            self._transport.close()

    def _give_up(self, patience: float) -> None:
        self.close()
        self._tell(Heard("unknown", why=f"no answer within {patience:.3f} s"))

    def _tell(self, heard: Heard) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(heard)

    @abstractmethod
    def _bytes(self, request: Request) -> bytes:
        """A request on the wire."""

    @abstractmethod
    def _whole(self, buffer: bytes) -> Heard | None:
        """The answer, once all of it is there."""


class DeskLine(Line):
    """To a member's desk (`chaos.simulation.ask`)."""

    def _bytes(self, request: Request) -> bytes:
        return frame((request.method, request.path, request.body))

    def _whole(self, buffer: bytes) -> Heard | None:
        answer = answer_of(buffer)
        if answer is None:
            return None
        status, revision, body = answer
        return hear(status, str(revision), body)


class HttpLine(Line):
    """To a member's door, in HTTP/1.1 (RFC 9112), kept alive between requests."""

    def _bytes(self, request: Request) -> bytes:
        content = "Content-Type: application/json\r\n" if request.body else ""
        head = (
            f"{request.method} {request.path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
            f"{content}Content-Length: {len(request.body)}\r\n\r\n"
        )
        return head.encode() + request.body

    def _whole(self, buffer: bytes) -> Heard | None:
        end = buffer.find(_END)
        if end < 0:
            return None
        first, *lines = buffer[:end].decode("latin-1").split("\r\n")
        fields = {
            name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)
        }
        begin = end + len(_END)
        size = int(fields.get("content-length", "0"))
        if len(buffer) < begin + size:
            return None
        if fields.get("connection", "").lower() == "close":
            self.close()
        status = int(first.split(" ")[1])
        return hear(status, fields.get("raftcoord-revision"), buffer[begin : begin + size])
