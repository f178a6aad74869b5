"""Errors on the wire: problem details as JSON (RFC 9457)."""

from math import ceil
from typing import Any

from raftcoord.errors import LimitReached, MethodNotAllowed, RaftcoordError
from raftcoord.server.answers import Answer

_TITLES: dict[str, str] = {}


def problem(
    error: RaftcoordError, revision: int = 0, *, headers: bytes = b"", **fields: Any
) -> Answer:
    """The answer for an error.

    Args:
        revision: as in `Answer`; the error's own where it is 0.
        **fields: named fields beside the error's own.
    """
    value = {
        "type": error.slug,
        "title": _title(error.slug),
        "status": error.status,
        "detail": error.detail,
        **error.fields,
        **fields,
    }
    if error.status == 503 or isinstance(error, LimitReached):
        wait = error.fields.get("retry_after", 1)
        headers += b"Retry-After: %d\r\n" % max(1, ceil(wait))
    if isinstance(error, MethodNotAllowed):
        headers += f"Allow: {', '.join(error.fields['allowed'])}\r\n".encode()
    revision = revision or error.revision
    return Answer(value, revision, status=error.status, headers=headers, problem=True)


def _title(slug: str) -> str:
    title = _TITLES.get(slug)
    if title is None:
        title = _TITLES[slug] = slug.replace("-", " ").capitalize()
    return title
