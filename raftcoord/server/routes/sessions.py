"""/v1/sessions: leases that carry what a client holds."""

from typing import Any

from msgspec import Struct

from raftcoord.commands import CloseSession, OpenSession, SessionClosed, SessionOpened, bounds
from raftcoord.errors import UnknownSession
from raftcoord.machine.sessions import Session
from raftcoord.server import fields
from raftcoord.server.answers import Answer
from raftcoord.server.calls import Body, Call, whole_number
from raftcoord.server.front import (
    MAX_REVISION,
    READ,
    Front,
    left,
    page,
    page_size,
    read,
    refuse_conditions,
    seconds,
    settled,
)
from raftcoord.server.router import Route

MAX_ID = MAX_REVISION


class _Open(Struct, forbid_unknown_fields=True, gc=False):
    ttl: float
    meta: dict[str, Any] | None = None


class _Nothing(Struct, forbid_unknown_fields=True, gc=False):
    pass


_OPEN = Body(_Open, {"ttl": "seconds, 2 to 86400", "meta": "a JSON object of at most 4096 bytes"})
NOTHING = Body(_Nothing, {})
"""The body of a request that says all in its path."""


async def open_session(front: Front, call: Call) -> Answer:
    """POST /v1/sessions {ttl, meta?} → {id, ttl}"""
    call.query()
    refuse_conditions(call)
    body = await call.body(_OPEN)
    ttl = fields.milliseconds("ttl", body.ttl, bounds.SESSION_TTL_MIN, bounds.SESSION_TTL)
    return settled(await front.gateway.submit(OpenSession(ttl, fields.meta(body.meta))), _opened)


async def keep_alive(front: Front, call: Call) -> Answer:
    """POST /v1/sessions/{id}/keepalive → {expires_in}"""
    call.query()
    await call.body(NOTHING)
    session = session_id(call.names[0])
    expires_in, revision = await front.gateway.keep_alive(session)
    if expires_in is None:
        raise _unknown(call.names[0])
    return Answer({"expires_in": seconds(expires_in)}, revision)


async def close_session(front: Front, call: Call) -> Answer:
    """DELETE /v1/sessions/{id} → {id}"""
    call.query()
    refuse_conditions(call)
    command = CloseSession(session_id(call.names[0]))
    return settled(await front.gateway.submit(command), _closed)


async def get_session(front: Front, call: Call) -> Answer:
    """GET /v1/sessions/{id} → {id, ttl, expires_in, meta?}"""
    asked = call.query(*READ)
    session = session_id(call.names[0])
    found = await read(front, asked, lambda: _view(front, front.machine.sessions.get(session)))
    return Answer(found.value, found.revision, headers=found.headers)


async def list_sessions(front: Front, call: Call) -> Answer:
    """GET /v1/sessions?limit&after → {sessions, next}"""
    asked = call.query("limit", "after", *READ)
    size = page_size(asked)
    after = whole_number(asked, "after", None, 0, MAX_ID)

    def query() -> dict[str, Any]:
        rows, following = page(
            front.machine.sessions.page(after, size + 1), size, lambda session: session.id
        )
        return {"sessions": [_view(front, session) for session in rows], "next": following}

    found = await read(front, asked, query)
    return Answer(found.value, found.revision, headers=found.headers)


def session_id(text: str) -> int:
    """The id in a path. Raises UnknownSession for what is none."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise _unknown(text)
    return int(text)


def _unknown(text: str) -> UnknownSession:
    shown = text[:40]
    return UnknownSession(
        f"there is no session {shown}, or it has ended", id=int(shown) if shown.isdigit() else shown
    )


def _opened(reply: SessionOpened) -> dict[str, Any]:
    return {"id": reply.id, "ttl": seconds(reply.ttl)}


def _closed(reply: SessionClosed) -> dict[str, Any]:
    return {"id": reply.id}


def _view(front: Front, session: Session) -> dict[str, Any]:
    view: dict[str, Any] = {
        "id": session.id,
        "ttl": seconds(session.ttl),
        "expires_in": left(front, front.machine.sessions.expires_in(session)),
    }
    if session.meta is not None:
        view["meta"] = session.meta
    return view


ROUTES = (
    Route("POST", "/v1/sessions", open_session),
    Route("GET", "/v1/sessions", list_sessions),
    Route("GET", "/v1/sessions/{id}", get_session),
    Route("DELETE", "/v1/sessions/{id}", close_session),
    Route("POST", "/v1/sessions/{id}/keepalive", keep_alive),
)
