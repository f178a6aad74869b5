"""/v1/rings: who is responsible for which key."""

from typing import Any, Literal

from msgspec import Struct

from raftcoord.commands import (
    DeleteRing,
    JoinRing,
    LeaveRing,
    PutRing,
    RingChanged,
    RingDeleted,
    bounds,
)
from raftcoord.errors import Malformed
from raftcoord.machine.ring_records import MemberView, RingView
from raftcoord.server import fields
from raftcoord.server.answers import Answer
from raftcoord.server.calls import Body, Call, whole_number
from raftcoord.server.front import (
    MAX_REVISION,
    READ,
    Front,
    page,
    page_size,
    read,
    refuse_conditions,
    settled,
)
from raftcoord.server.router import Route
from raftcoord.server.submissions import Settled

LOOKUP_KEYS = 10_000
ADVICE = "advice"
"""The state of a looked up key: without handoff a ring is advice, it excludes nobody."""


class _Put(Struct, forbid_unknown_fields=True, gc=False):
    virtual_nodes: int = 128
    replicas: int = 1
    hash: Literal["md5"] = "md5"


class _Join(Struct, forbid_unknown_fields=True, gc=False):
    weight: float = 1.0
    address: str | None = None
    meta: dict[str, Any] | None = None
    session: fields.Id | None = None


class _Lookup(Struct, forbid_unknown_fields=True, gc=False):
    keys: list[str]
    n: int | None = None


_PUT = Body(
    _Put,
    {
        "virtual_nodes": f"a whole number, 1 to {bounds.VIRTUAL_NODES}",
        "replicas": f"a whole number, 1 to {bounds.MEMBERS}",
        "hash": "md5",
    },
)
_JOIN = Body(
    _Join,
    {
        "weight": f"a number, {bounds.WEIGHT_MIN} to {bounds.WEIGHT:g}",
        "address": fields.NAME_ALLOWED,
        "meta": "a JSON object of at most 4096 bytes",
        "session": "the id of a session",
    },
)
_LOOKUP = Body(
    _Lookup,
    {
        "keys": f"a list of at most {LOOKUP_KEYS} texts",
        "n": f"a whole number, 1 to {bounds.MEMBERS}",
    },
)


async def put_ring(front: Front, call: Call) -> Answer:
    """PUT /v1/rings/{name} {virtual_nodes?, replicas?, hash?} → {name, version, changed}"""
    call.query()
    refuse_conditions(call)
    name = fields.name("name", call.names[0])
    body = await call.body(_PUT)
    fields.number("virtual_nodes", body.virtual_nodes, 1, bounds.VIRTUAL_NODES)
    fields.number("replicas", body.replicas, 1, bounds.MEMBERS)
    command = PutRing(name, body.virtual_nodes, body.replicas, body.hash)
    return _changed(await front.gateway.submit(command))


async def delete_ring(front: Front, call: Call) -> Answer:
    """DELETE /v1/rings/{name} → {name, version}"""
    call.query()
    refuse_conditions(call)
    command = DeleteRing(fields.name("name", call.names[0]))
    return settled(await front.gateway.submit(command), _deleted)


async def put_member(front: Front, call: Call) -> Answer:
    """PUT /v1/rings/{name}/members/{id} {weight?, address?, meta?, session?}
    → {name, version, changed}"""
    call.query()
    refuse_conditions(call)
    ring, member = (fields.name("name", call.names[0]), fields.name("member", call.names[1]))
    body = await call.body(_JOIN)
    fields.number("weight", body.weight, bounds.WEIGHT_MIN, bounds.WEIGHT)
    address = None if body.address is None else fields.text("address", body.address)
    command = JoinRing(ring, member, body.weight, address, fields.meta(body.meta), body.session)
    return _changed(await front.gateway.submit(command))


async def delete_member(front: Front, call: Call) -> Answer:
    """DELETE /v1/rings/{name}/members/{id} → {name, version, changed}"""
    call.query()
    refuse_conditions(call)
    ring, member = (fields.name("name", call.names[0]), fields.name("member", call.names[1]))
    return _changed(await front.gateway.submit(LeaveRing(ring, member)))


async def get_ring(front: Front, call: Call) -> Answer:
    """GET /v1/rings/{name}?version → the ring; ETag is its version"""
    asked = call.query("version", *READ)
    name = fields.name("name", call.names[0])
    version = whole_number(asked, "version", None, 0, MAX_REVISION)
    found = await read(front, asked, lambda: front.machine.rings.get(name, version))
    ring: RingView = found.value
    headers = found.headers + _tag(ring.version)
    if _knows(call, ring.version):
        return Answer(None, found.revision, status=304, headers=headers)
    return Answer(_view(ring), found.revision, headers=headers)


async def list_rings(front: Front, call: Call) -> Answer:
    """GET /v1/rings?limit&after → {rings, next}"""
    asked = call.query("limit", "after", *READ)
    size = page_size(asked)
    after = fields.name("after", asked["after"]) if "after" in asked else None

    def query() -> dict[str, Any]:
        rows, following = page(front.machine.rings.page(after, size + 1), size, lambda row: row[0])
        rings = [{"name": name, "version": version} for name, version in rows]
        return {"rings": rings, "next": following}

    found = await read(front, asked, query)
    return Answer(found.value, found.revision, headers=found.headers)


async def look_up(front: Front, call: Call) -> Answer:
    """GET /v1/rings/{name}/lookup?key&n → {members, version, state}"""
    asked = call.query("key", "n", *READ)
    name = fields.name("name", call.names[0])
    if "key" not in asked:
        raise Malformed("key is missing", field="key", allowed="any text")
    count = whole_number(asked, "n", None, 1, bounds.MEMBERS)

    def query() -> dict[str, Any]:
        (place,) = front.machine.rings.lookup(name, (asked["key"],), count)
        return {"members": list(place.members), "version": place.version, "state": ADVICE}

    found = await read(front, asked, query)
    return Answer(found.value, found.revision, headers=found.headers)


async def look_up_many(front: Front, call: Call) -> Answer:
    """POST /v1/rings/{name}/lookup {keys, n?} → {members: {key: [..]}, version, state}"""
    asked = call.query(*READ)
    name = fields.name("name", call.names[0])
    body = await call.body(_LOOKUP)
    fields.number("keys", len(body.keys), 1, LOOKUP_KEYS)
    if body.n is not None:
        fields.number("n", body.n, 1, bounds.MEMBERS)

    def query() -> dict[str, Any]:
        places = front.machine.rings.lookup(name, tuple(body.keys), body.n)
        members = {key: list(place.members) for key, place in zip(body.keys, places, strict=True)}
        return {"members": members, "version": places[0].version, "state": ADVICE}

    found = await read(front, asked, query)
    return Answer(found.value, found.revision, headers=found.headers)


def _tag(version: int) -> bytes:
    return b'ETag: "%d"\r\n' % version


def _knows(call: Call, version: int) -> bool:
    """Whether the caller has this version already (RFC 9110 §13.1.2)."""
    condition = call.request.headers.get("If-None-Match", "")
    tags = [tag.strip().removeprefix("W/") for tag in condition.split(",")]
    return "*" in tags or f'"{version}"' in tags


def _changed(ended: Settled) -> Answer:
    tag = _tag(ended.reply.version) if isinstance(ended.reply, RingChanged) else b""
    return settled(ended, _change_view, tag)


def _change_view(reply: RingChanged) -> dict[str, Any]:
    return {"name": reply.name, "version": reply.version, "changed": reply.changed}


def _deleted(reply: RingDeleted) -> dict[str, Any]:
    return {"name": reply.name, "version": reply.version}


def _view(ring: RingView) -> dict[str, Any]:
    return {
        "name": ring.name,
        "version": ring.version,
        "virtual_nodes": ring.virtual_nodes,
        "replicas": ring.replicas,
        "hash": ring.hash,
        "members": [_member(member) for member in ring.members],
    }


def _member(member: MemberView) -> dict[str, Any]:
    view: dict[str, Any] = {"id": member.id, "weight": member.weight}
    if member.address is not None:
        view["address"] = member.address
    if member.session is not None:
        view["session"] = member.session
    if member.meta is not None:
        view["meta"] = member.meta
    return view


ROUTES = (
    Route("GET", "/v1/rings", list_rings),
    Route("GET", "/v1/rings/{name}", get_ring),
    Route("PUT", "/v1/rings/{name}", put_ring),
    Route("DELETE", "/v1/rings/{name}", delete_ring),
    Route("PUT", "/v1/rings/{name}/members/{id}", put_member),
    Route("DELETE", "/v1/rings/{name}/members/{id}", delete_member),
    Route("GET", "/v1/rings/{name}/lookup", look_up),
    Route("POST", "/v1/rings/{name}/lookup", look_up_many),
)
