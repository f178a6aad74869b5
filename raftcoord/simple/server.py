"""The other end of a URL of the simple protocol."""

import http.client
import json
import random
import secrets
import time
from collections.abc import Coroutine
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from raftcoord.errors import ERRORS, Malformed, NotReady, OutcomeUnknown, RaftcoordError
from raftcoord.simple.checks import check_text, check_timeout

_T = TypeVar("_T")


def run(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run what asks a server to its end, in this thread: it blocks where it waits."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return ended.value  # type: ignore[no-any-return]
    raise AssertionError("a server blocks and never suspends")


class Server:
    """The server behind a URL (`patience.Peer`); one connection for each request.

    Raises:
        Malformed: it is no URL of http or https, or the timeout is not a positive number.
    """

    def __init__(self, url: str, timeout: float) -> None:
        check_text("url", url)
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), 0
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise Malformed(f"{url!r} is no URL", field="url", allowed="http://host:port/path")
        check_timeout(timeout)
        self._url = url
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = port
        self._path = parts.path or "/"
        self._timeout = timeout

    async def ask(
        self, method: str, fields: dict[str, Any], conflict: type[RaftcoordError]
    ) -> dict[str, Any]:
        """The answer's fields.

        Args:
            conflict: the error of a 409 that does not name its own.

        Raises:
            NotReady: no connection, so nothing was executed. OutcomeUnknown: a connection, but
                no answer. Else the error that the answer names.
        """
        make = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = make(self._host, self._port, timeout=self._timeout)
        try:
            self._connect(connection)
            status, data = self._exchange(connection, method, fields)
        finally:
            connection.close()
        body = _object(data)
        if status == http.client.OK:
            return body
        raise _error(status, body, conflict)

    async def rest(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)  # noqa: ASYNC251 - it blocks, as its callers do

    def now(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    def uniform(self, least: float, most: float) -> float:
        """A number drawn between the two."""
        return random.uniform(least, most)

    def value(self) -> str:
        """128 random bits, as hex."""
        return secrets.token_hex(16)

    def _connect(self, connection: http.client.HTTPConnection) -> None:
        try:
            connection.connect()
        except OSError as error:
            raise NotReady(
                f"{self._url} cannot be reached: {error}", reason="unreachable"
            ) from error

    def _exchange(
        self, connection: http.client.HTTPConnection, method: str, fields: dict[str, Any]
    ) -> tuple[int, bytes]:
        try:
            if method == "GET":
                connection.request("GET", f"{self._path}?{urlencode(fields)}")
            else:
                headers = {"Content-Type": "application/json"}
                connection.request(method, self._path, json.dumps(fields), headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise OutcomeUnknown(
                f"{self._url} gave no answer: {error!r}", reason="no-answer"
            ) from error


def _object(data: bytes) -> dict[str, Any]:
    """The JSON object in a body; an empty one where there is none."""
    try:
        body = json.loads(data)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _error(status: int, body: dict[str, Any], conflict: type[RaftcoordError]) -> RaftcoordError:
    """The error that an answer names (RFC 9457), or the one that its status stands for."""
    detail = str(body.get("detail") or f"the server answered {status}")
    known = ERRORS.get(str(body.get("type")))
    if known is None:
        known = {409: conflict, 503: NotReady, 400: Malformed}.get(status, RaftcoordError)
    fields = {
        key: value
        for key, value in body.items()
        if key not in ("type", "title", "status", "detail", "self")
    }
    return known(detail, **fields)
