"""The door: a request in, its handler's answer out, every error as a problem.

It stands on aiohttp's server itself, without its application layer: routes, errors and responses
are ours anyway, and each layer costs a request (39,000/s here, 33,000/s there, empty handlers).
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from aiohttp.web import BaseRequest, RequestHandler, Server, StreamResponse

from raftcoord.errors import InternalError, Malformed, RaftcoordError
from raftcoord.server.answers import NO_STORE, Answer, write
from raftcoord.server.calls import Call
from raftcoord.server.front import Front
from raftcoord.server.hot import Hot, HotConnection, possible
from raftcoord.server.origins import Origins
from raftcoord.server.problems import problem
from raftcoord.server.router import Router

_log = logging.getLogger("raftcoord.door")

_SIMPLE = ("/lock", "/transaction")
KEEP_ALIVE = 600.0
"""Seconds an idle connection stays open."""
LINGER = 2.0
"""Seconds the rest of a body is read and dropped after its answer, so that it can be read."""


class Door:
    """Answers requests.

    Args:
        front: what the handlers get first.
        revision: the applied index now, for answers that carry none of their own.
        incident: names an unexpected error, for the log and the caller.
    """

    def __init__(
        self,
        router: Router,
        origins: Origins,
        front: Front,
        revision: Callable[[], int],
        incident: Callable[[], str],
    ) -> None:
        self._router = router
        self.origins = origins
        self.front = front
        self.revision = revision
        self._incident = incident
        self._active = 0
        self._idle: asyncio.Future[None] | None = None

    async def __call__(self, request: BaseRequest) -> StreamResponse:
        """Answer one request; what goes wrong is an answer too."""
        self.begun()
        try:
            return await self._answer(request)
        finally:
            self.ended()

    def begun(self) -> None:
        """A request more is being answered."""
        self._active += 1

    def ended(self) -> None:
        """One less."""
        self._active -= 1
        if self._idle is not None and not self._active and not self._idle.done():
            self._idle.set_result(None)

    async def drained(self, seconds: float) -> None:
        """Return when no request is being answered, or the time is over."""
        if self._active:
            self._idle = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._idle], timeout=seconds)

    async def _answer(self, request: BaseRequest) -> StreamResponse:
        try:
            self.origins.check(request)
            path, _, query = _target(request).partition("?")
            handler, names = self._router.resolve(request.method, path)
            answer = await handler(self.front, Call(request, names, query))
        except Exception as error:  # noqa: BLE001  # a bug is an answer, and no wedge
            answer = self.failed(error, request.method, request.raw_path)
        if not request.content.is_eof():
            answer.close = True
        return write(answer, request, answer.revision or self.revision())

    def failed(self, error: Exception, method: str, target: str) -> Answer:
        """The answer where a request met an error, or a bug, which the log gets too."""
        if isinstance(error, RaftcoordError):
            # A refusal before the route's handler must not be kept for those that get behind it.
            simple = target.partition("?")[0].endswith(_SIMPLE)
            return problem(error, headers=NO_STORE if simple else b"")
        incident = self._incident()
        _log.error("incident %s: %s %.200s", incident, method, target, exc_info=error)
        return problem(_bug(incident))

    def unreadable(self, request: BaseRequest, status: int, said: str) -> StreamResponse:
        """The answer to what is no HTTP request."""
        detail = f"this is no request that can be read: {said[:300]}"
        error = Malformed(detail, field="request", allowed="HTTP/1.1")
        answer = problem(error, status=status)
        answer.status = status
        answer.close = True
        return write(answer, request, self.revision())


class _Connection(HotConnection):
    """aiohttp's connection, with its own errors as problems."""

    __slots__ = ("_door",)

    def __init__(self, manager: Server, hot: Hot | None, door: Door, **options: Any) -> None:
        super().__init__(manager, hot, **options)
        self._door = door

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> StreamResponse:
        """An error outside of the door: a request that cannot be parsed."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun")
        if status >= 500:
            _log.error("a connection failed", exc_info=exc)
        return self._door.unreadable(request, status, message or "")


class DoorServer(Server):
    """Makes a connection object for each connection.

    Args:
        limit: connections open at once; more are closed at once.
        hot: whether plain requests for locks may go the short way (`hot`).
    """

    def __init__(self, door: Door, limit: int, *, hot: bool = True) -> None:
        # A handler whose caller went away is cancelled: what it acquired is given back.
        super().__init__(door, handler_cancellation=True)
        self.hot = Hot(door) if hot and possible() else None
        self._door = door
        self._limit = limit
        self._open = 0

    def __call__(self) -> RequestHandler:
        return _Connection(
            self,
            self.hot,
            self._door,
            loop=asyncio.get_running_loop(),
            access_log=None,
            keepalive_timeout=KEEP_ALIVE,
            lingering_time=LINGER,
            auto_decompress=False,
        )

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """One more; beyond the limit it is closed, so that files and peers keep descriptors."""
        super().connection_made(handler, transport)
        self._open += 1
        if self._open > self._limit:
            transport.abort()

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """One less."""
        super().connection_lost(handler, exc)
        self._open -= 1


def _bug(incident: str) -> InternalError:
    detail = f"this node met a bug; its log knows it as incident {incident}"
    return InternalError(detail, incident=incident)


def _target(request: BaseRequest) -> str:
    """Path and query as sent; a proxy's absolute form (RFC 9112 §3.2.2) without its host."""
    target = request.raw_path
    return target if target.startswith("/") else request.rel_url.raw_path_qs
