"""The requests that most traffic consists of, without a task, a future and a request object each:
`POST /v1/locks/{name}/acquire` and `…/release`.

They mean what `routes.locks` says: its bodies, checks, commands and answers are used here too.
Left out is what stands between them and the socket, for requests that are so plain that nothing
there has a choice (`heads`). All others go to aiohttp, untouched: a connection's bytes are given
to one of the two at a time, in their order, and only between two requests to the other one.

One request of a connection is open at a time; what comes meanwhile is kept, up to a bound.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from aiohttp.web import RequestHandler, Server

from raftcoord.commands import AcquireLock
from raftcoord.errors import RaftcoordError
from raftcoord.server import fields
from raftcoord.server.answers import Answer, plain
from raftcoord.server.front import Front, settled
from raftcoord.server.heads import END, Heads, Place
from raftcoord.server.origins import Origins
from raftcoord.server.router import decode
from raftcoord.server.routes import locks
from raftcoord.server.submissions import Ended
from raftcoord.server.waits import AcquireWait

_log = logging.getLogger("raftcoord.hot")

PATIENCE = 0.1
"""Seconds for a body that comes by itself, as http.client sends it; then aiohttp waits for it."""
MAX_KEPT = 16_384
MAX_PIECES = 64
"""Bytes and pieces kept of what comes while a request is open; then the connection is not read."""

_LINE = re.compile(
    rb"POST /v1/locks/([\w.~%:@+,;=!$&'()*-]{1,768})/(acquire|release) HTTP/1\.1\r\n"
)
_CHANGES = {b"acquire": locks.ACQUIRE, b"release": locks.RELEASE}

_NEEDED = (
    "_close",
    "_force_close",
    "_next_keepalive_close_time",
    "_process_keepalive",
    "_request_count",
    "_waiter",
)


class Desk(Protocol):
    """What is needed of the door; it says what these are."""

    front: Front
    origins: Origins
    revision: Callable[[], int]

    def begun(self) -> None: ...
    def ended(self) -> None: ...
    def failed(self, error: Exception, method: str, target: str) -> Answer: ...


def possible() -> bool:
    """Whether this release of aiohttp has the parts that are looked at here."""
    missing = [name for name in _NEEDED if not hasattr(RequestHandler, name)]
    if missing:
        _log.warning("aiohttp has no %s: all requests go the long way", ", ".join(missing))
    return not missing


class Hot:
    """What all connections of a door share. taken: requests that went this way."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.heads = Heads(desk.origins.knows)
        self.taken = 0
        self.loop = asyncio.get_running_loop()
        self._told: list[tuple[_Asked, Ended]] = []

    def answer_soon(self, asked: "_Asked", ended: Ended) -> None:
        """Not at once: the turn of consensus that brings the outcomes sends what it has for its
        peers first (9 % more cycles/s at 64 connections), and meets no bug of an answer."""
        if not self._told:
            self.loop.call_soon(self._answer)
        self._told.append((asked, ended))

    def _answer(self) -> None:
        told, self._told = self._told, []
        for asked, ended in told:
            asked.connection.answer(asked, ended)


class _Asked:
    """A request without an answer. wait: where it is an acquire that was sent."""

    __slots__ = ("change", "connection", "hot", "line", "wait")

    def __init__(self, hot: Hot, connection: "HotConnection", line: re.Match[bytes]) -> None:
        self.hot = hot
        self.connection = connection
        self.line = line
        self.change = _CHANGES[line[2]]
        self.wait: AcquireWait | None = None

    def send(self, body: bytes) -> None:
        """Make it a command, and send that off. Raises what a handler would."""
        name = _name(self.line)
        command = self.change.command(name, self.change.body.decode(body, msgpack=False))
        gateway = self.hot.desk.front.gateway
        told = partial(self.hot.answer_soon, self)
        if isinstance(command, AcquireLock):
            self.wait = gateway.send_acquire(command, told)
        else:
            gateway.send(command, told)

    def answer(self, ended: Ended) -> bytes:
        """What is written when it ended."""
        if isinstance(ended, RaftcoordError):
            return self.failed(ended)
        try:
            return self._bytes(settled(ended, self.change.answer))
        except Exception as bug:  # noqa: BLE001  # an answer, and no wedge
            return self.failed(bug)

    def failed(self, error: Exception) -> bytes:
        """What is written where it met an error, or a bug."""
        target = self.line[0].split(b" ")[1].decode()
        return self._bytes(self.hot.desk.failed(error, "POST", target))

    def _bytes(self, answer: Answer) -> bytes:
        return plain(answer, answer.revision or self.hot.desk.revision())

    def over(self, *, read: bool) -> None:
        """Its answer was written, or nobody reads it any more."""
        wait, self.wait = self.wait, None  # they know each other: leave the collector nothing
        if wait is not None and not read:
            self.hot.desk.front.gateway.acquires.abandon(wait)
        self.hot.desk.ended()


def _name(line: re.Match[bytes]) -> str:
    return fields.name("name", decode(line[1].decode()))


class HotConnection(RequestHandler):
    """A connection of the door. hot: None where all goes to aiohttp."""

    __slots__ = ("_asked", "_begun", "_hot", "_kept", "_patience", "_place", "_stopped")

    def __init__(self, manager: Server, hot: Hot | None, **options: Any) -> None:
        super().__init__(manager, **options)
        self._hot = hot
        if hot is not None:
            self._place = Place(hot.heads)
        self._asked: _Asked | None = None
        self._begun: list[bytes] = []
        self._kept: list[bytes] = []
        self._patience: asyncio.TimerHandle | None = None
        self._stopped = False

    def data_received(self, data: bytes) -> None:
        """Bytes of the caller."""
        if self._hot is None or not data:  # without any, aiohttp tells itself to go on
            super().data_received(data)
        elif self._asked is not None:
            self._keep(data)
        elif not self._begun:
            if not self._take(self._hot, data):
                self._pass_on(data)
        else:
            self._begun.append(data)
            if not self._take(self._hot, b"".join(self._begun)):
                self._run_out()

    def _keep(self, data: bytes) -> None:
        """Let it wait for the answer. A piece stays a piece: aiohttp forgets the good requests in
        one that has a bad request too."""
        self._kept.append(data)
        much = len(self._kept) >= MAX_PIECES or sum(map(len, self._kept)) > MAX_KEPT
        if much and not self._stopped and self.transport is not None:
            self._stopped = True
            self.transport.pause_reading()

    def _take(self, hot: Hot, data: bytes) -> bool:
        """Begin with `data` where it is one plain request, whole or not; else False."""
        line = _LINE.match(data)
        if line is None or not self._is_idle():
            return False
        end = data.find(END, line.end() - 2) + len(END)
        if end < len(END):
            return False
        head = hot.heads.read(data[line.end() : end])
        if not head.plain or len(data) > end + head.length:
            return False
        if len(data) < end + head.length:
            return self._wait_for_more(hot, line, data)
        self._begin(hot, line, data[end:])
        return True

    def _wait_for_more(self, hot: Hot, line: re.Match[bytes], data: bytes) -> bool:
        try:
            _name(line)
        except RaftcoordError:
            return False  # it is refused before its body comes
        if self._patience is None:
            self._begun.append(data)
            self._patience = hot.loop.call_later(PATIENCE, self._run_out)
        return True

    def _is_idle(self) -> bool:
        """Whether aiohttp has answered all that it was given, and waits for a request."""
        if self._waiter is not None:
            waits = not self._waiter.done()
        else:  # the first bytes may come before its task ran for the first time
            waits = not (self._request_count or self._close or self._force_close)
        return (
            waits
            and self._place.between
            and self._place.given == self._request_count
            and not self.writing_paused
        )

    def _pass_on(self, data: bytes) -> None:
        self._place.feed(data)
        super().data_received(data)

    def _run_out(self) -> None:
        """What is there of a request is for aiohttp after all."""
        for data in self._forget():
            self._pass_on(data)

    def _forget(self) -> list[bytes]:
        begun, self._begun = self._begun, []
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        return begun

    def _begin(self, hot: Hot, line: re.Match[bytes], body: bytes) -> None:
        self._forget()
        asked = self._asked = _Asked(hot, self, line)
        hot.taken += 1
        hot.desk.begun()
        try:
            asked.send(body)
        except Exception as error:  # noqa: BLE001  # what goes wrong is an answer too
            self._write(asked, asked.failed(error))

    def answer(self, asked: _Asked, ended: Ended) -> None:
        """Write how a request ended, and go on with what came meanwhile."""
        if self._asked is not asked:  # who asked went away
            return
        self._write(asked, asked.answer(ended))
        self._go_on()

    def _go_on(self) -> None:
        while self._kept and self._asked is None:
            data = self._kept.pop(0)
            if self._stopped and not self._kept and self.transport is not None:
                self._stopped = False
                self.transport.resume_reading()
            self.data_received(data)

    def _write(self, asked: _Asked, data: bytes) -> None:
        transport = self.transport
        if transport is None or transport.is_closing():
            self._go_away(asked)
            return
        self._asked = None
        transport.write(data)
        self._next_keepalive_close_time = asked.hot.loop.time() + self.keepalive_timeout
        asked.over(read=True)
        if self._close:
            self._kept.clear()
            transport.close()

    def _go_away(self, asked: _Asked) -> None:
        self._asked = None
        self._kept.clear()
        asked.over(read=False)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The caller went away, or was sent away."""
        self._forget()
        if self._asked is not None:
            self._go_away(self._asked)
        super().connection_lost(exc)

    def _process_keepalive(self) -> None:
        """The connection has been idle for long, as far as aiohttp knows."""
        if self._asked is not None:
            self._next_keepalive_close_time = self._loop.time() + self.keepalive_timeout
        super()._process_keepalive()
