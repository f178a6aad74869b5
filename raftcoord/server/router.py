"""Which handler answers a path: a tree of path segments.

A segment in braces takes any text. Names are sent with their `/` as %2F, so a path is split
before it is decoded (RFC 3986 §2.4).
"""

from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote

from raftcoord.errors import Malformed, MethodNotAllowed, NotFound
from raftcoord.server.answers import Answer
from raftcoord.server.calls import Call

Handler = Callable[[Any, Call], Awaitable[Answer]]

_CACHED_LENGTH = 256
"""Characters of a segment whose decoding is remembered: it takes a tenth of a short request."""


class Route(NamedTuple):
    """One thing that can be asked.

    path: like "/v1/locks/{name}/acquire". head: whether a GET may be asked as a HEAD.
    """

    method: str
    path: str
    handler: Handler
    head: bool = True


class _Branch:
    """What may follow a segment: given words, or any text."""

    __slots__ = ("any", "methods", "words")

    def __init__(self) -> None:
        self.words: dict[str, _Branch] = {}
        self.any: _Branch | None = None
        self.methods: dict[str, Handler] = {}


class Router:
    """All routes of a door."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Branch()
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        branch = self._root
        for segment in route.path.split("/")[1:]:
            if segment.startswith("{"):
                assert not branch.words, f"{route.path}: a word and any text in one place"
                branch.any = branch.any or _Branch()
                branch = branch.any
            else:
                assert branch.any is None, f"{route.path}: a word and any text in one place"
                branch = branch.words.setdefault(segment, _Branch())
        assert route.method not in branch.methods, f"{route.method} {route.path} twice"
        branch.methods[route.method] = route.handler
        if route.method == "GET" and route.head:
            branch.methods["HEAD"] = route.handler

    def resolve(self, method: str, path: str) -> tuple[Handler, list[str]]:
        """The handler, and the texts in the places of the braces.

        Args:
            path: as it was sent, without the query.

        Raises:
            NotFound: there is no such route. MethodNotAllowed: the route has other methods.
            Malformed: the path is not UTF-8 in percent encoding.
        """
        segments = path.split("/")
        if "%" in path:
            segments = [decode(segment) for segment in segments]
        branch = self._root
        names = []
        for segment in segments[1:]:
            if branch.any is not None:
                names.append(segment)
                branch = branch.any
                continue
            following = branch.words.get(segment)
            if following is None:
                raise _not_found(path)
            branch = following
        handler = branch.methods.get(method)
        if handler is None:
            if not branch.methods:
                raise _not_found(path)
            allowed = sorted(branch.methods)
            raise MethodNotAllowed(
                f"{path} has no {method}; allowed: {', '.join(allowed)}",
                method=method,
                allowed=allowed,
            )
        return handler, names


def decode(segment: str) -> str:
    """The text of a segment of a path. Raises Malformed where it is not UTF-8."""
    if "%" not in segment:
        return segment
    return _unquote(segment) if len(segment) > _CACHED_LENGTH else _unquote_cached(segment)


def _unquote(segment: str) -> str:
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise Malformed(
            "the path is not UTF-8", field="path", allowed="UTF-8 in percent encoding"
        ) from None


_unquote_cached = lru_cache(maxsize=4_096)(_unquote)


def _not_found(path: str) -> NotFound:
    shown = path if len(path) <= 200 else f"{path[:200]}…"
    return NotFound(f"there is nothing at {shown!r}; a / within a name is sent as %2F", path=shown)
