"""/v1/locks: one holder each, first come first served."""

from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec import Struct

from raftcoord.commands import (
    AcquireLock,
    Granted,
    Refreshed,
    RefreshLock,
    Released,
    ReleaseLock,
    bounds,
)
from raftcoord.errors import Malformed
from raftcoord.machine.grants import HolderView
from raftcoord.machine.locks import LockView
from raftcoord.server import fields
from raftcoord.server.answers import Answer
from raftcoord.server.calls import Body, Call
from raftcoord.server.front import (
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

_TTL = "seconds, 0.001 to 86400"
_SESSION = "the id of a session"
_TOKEN = "the token of the grant"


class _Acquire(Struct, forbid_unknown_fields=True, gc=False):
    owner: str
    session: fields.Id | None = None
    ttl: float | None = None
    wait: float = 0
    meta: dict[str, Any] | None = None


class _Release(Struct, forbid_unknown_fields=True, gc=False):
    owner: str
    token: fields.Id
    session: fields.Id | None = None


class _Refresh(Struct, forbid_unknown_fields=True, gc=False):
    owner: str
    token: fields.Id
    session: fields.Id | None = None
    ttl: float | None = None


class _Check(Struct, forbid_unknown_fields=True, gc=False):
    token: fields.Id


_ACQUIRE = Body(
    _Acquire,
    {
        "owner": fields.NAME_ALLOWED,
        "session": _SESSION,
        "ttl": _TTL,
        "wait": "seconds, 0, or 0.001 to 3600",
        "meta": "a JSON object of at most 4096 bytes",
    },
)
_RELEASE = Body(_Release, {"owner": fields.NAME_ALLOWED, "token": _TOKEN, "session": _SESSION})
_REFRESH = Body(
    _Refresh, {"owner": fields.NAME_ALLOWED, "token": _TOKEN, "session": _SESSION, "ttl": _TTL}
)
_CHECK = Body(_Check, {"token": _TOKEN})


class Change(NamedTuple):
    """A request that is one command about a lock.

    body: what it brings. command: of the lock's name and that. answer: to the machine's reply.
    """

    body: Body[Any]
    command: Callable[[str, Any], Any]
    answer: Callable[[Any], dict[str, Any]]


async def acquire(front: Front, call: Call) -> Answer:
    """POST /v1/locks/{name}/acquire {owner, session?, ttl?, wait?, meta?}
    → {name, token, holder, expires_in}"""
    command = await _command(ACQUIRE, call)
    return settled(await front.gateway.acquire(command), ACQUIRE.answer)


async def release(front: Front, call: Call) -> Answer:
    """POST /v1/locks/{name}/release {owner, token, session?} → {name, token}"""
    command = await _command(RELEASE, call)
    return settled(await front.gateway.submit(command), RELEASE.answer)


async def _command(change: Change, call: Call) -> Any:
    call.query()
    refuse_conditions(call)
    name = fields.name("name", call.names[0])
    return change.command(name, await call.body(change.body))


def _acquire_command(name: str, body: _Acquire) -> AcquireLock:
    if body.session is None and body.ttl is None:
        raise Malformed("ttl is missing: there is no session", field="ttl", allowed=_TTL)
    return AcquireLock(
        name,
        fields.name("owner", body.owner),
        body.session,
        _ttl(body.ttl),
        fields.milliseconds("wait", body.wait, 0, bounds.WAIT),
        fields.meta(body.meta),
    )


def _release_command(name: str, body: _Release) -> ReleaseLock:
    return ReleaseLock(name, fields.name("owner", body.owner), body.token, body.session)


async def refresh(front: Front, call: Call) -> Answer:
    """POST /v1/locks/{name}/refresh {owner, token, session?, ttl?} → {name, token, expires_in}"""
    call.query()
    refuse_conditions(call)
    name = fields.name("name", call.names[0])
    body = await call.body(_REFRESH)
    owner = fields.name("owner", body.owner)
    command = RefreshLock(name, owner, body.token, body.session, _ttl(body.ttl))
    return settled(await front.gateway.submit(command), _refreshed)


async def check(front: Front, call: Call) -> Answer:
    """POST /v1/locks/{name}/check {token} → {name, token, holds, holder?}"""
    asked = call.query(*READ)
    name = fields.name("name", call.names[0])
    body = await call.body(_CHECK)

    def query() -> dict[str, Any]:
        holder = front.machine.locks.check(name, body.token)
        answer: dict[str, Any] = {"name": name, "token": body.token, "holds": holder is not None}
        if holder is not None:
            answer["holder"] = _holder(front, holder)
        return answer

    found = await read(front, asked, query)
    return Answer(found.value, found.revision, headers=found.headers)


async def get_lock(front: Front, call: Call) -> Answer:
    """GET /v1/locks/{name} → {name, holders, queue}"""
    asked = call.query(*READ)
    name = fields.name("name", call.names[0])
    found = await read(front, asked, lambda: _view(front, front.machine.locks.get(name)))
    return Answer(found.value, found.revision, headers=found.headers)


async def list_locks(front: Front, call: Call) -> Answer:
    """GET /v1/locks?prefix&limit&after → {locks, next}"""
    asked = call.query("prefix", "limit", "after", *READ)
    size = page_size(asked)
    prefix = fields.text("prefix", asked["prefix"]) if asked.get("prefix") else ""
    after = fields.name("after", asked["after"]) if "after" in asked else None

    def query() -> dict[str, Any]:
        rows, following = page(
            front.machine.locks.page(prefix, after, size + 1), size, lambda lock: lock.name
        )
        return {"locks": [_view(front, lock) for lock in rows], "next": following}

    found = await read(front, asked, query)
    return Answer(found.value, found.revision, headers=found.headers)


def _ttl(value: float | None) -> int | None:
    return None if value is None else fields.milliseconds("ttl", value, 1, bounds.LOCK_TTL)


def _granted(reply: Granted) -> dict[str, Any]:
    holder: dict[str, Any] = {"owner": reply.owner}
    if reply.session is not None:
        holder["session"] = reply.session
    return {
        "name": reply.name,
        "token": reply.token,
        "holder": holder,
        "expires_in": seconds(reply.expires_in),
    }


def _released(reply: Released) -> dict[str, Any]:
    return {"name": reply.name, "token": reply.token}


def _refreshed(reply: Refreshed) -> dict[str, Any]:
    return {"name": reply.name, "token": reply.token, "expires_in": seconds(reply.expires_in)}


def _view(front: Front, lock: LockView) -> dict[str, Any]:
    holders = [_holder(front, holder) for holder in lock.holders]
    return {"name": lock.name, "holders": holders, "queue": lock.queue}


def _holder(front: Front, holder: HolderView) -> dict[str, Any]:
    view: dict[str, Any] = {
        "owner": holder.owner,
        "token": holder.token,
        "mode": holder.mode,
        "expires_in": left(front, holder.expires_in),
    }
    if holder.session is not None:
        view["session"] = holder.session
    if holder.meta is not None:
        view["meta"] = holder.meta
    return view


ACQUIRE = Change(_ACQUIRE, _acquire_command, _granted)
RELEASE = Change(_RELEASE, _release_command, _released)

ROUTES = (
    Route("GET", "/v1/locks", list_locks),
    Route("GET", "/v1/locks/{name}", get_lock),
    Route("POST", "/v1/locks/{name}/acquire", acquire),
    Route("POST", "/v1/locks/{name}/release", release),
    Route("POST", "/v1/locks/{name}/refresh", refresh),
    Route("POST", "/v1/locks/{name}/check", check),
)
