"""/lock and /transaction: the simple protocol, for scripts that know nothing but GET and POST.

Every answer is JSON, is not to be stored, and names the resource under /v1 behind it.
"""

from typing import Any
from urllib.parse import parse_qsl, quote

from msgspec import Struct

from raftcoord.commands import (
    Granted,
    SimpleAnswer,
    SimpleCommit,
    SimpleLock,
    SimplePrepare,
    SimpleRollback,
    SimpleUnlock,
    bounds,
)
from raftcoord.errors import Malformed, RaftcoordError
from raftcoord.server import fields
from raftcoord.server.answers import NO_STORE, Answer
from raftcoord.server.calls import Body, Call
from raftcoord.server.front import Front, seconds
from raftcoord.server.problems import problem
from raftcoord.server.router import Route
from raftcoord.server.submissions import Settled

ROLLBACK = "0"
_FORM = "application/x-www-form-urlencoded"
_EXPIRE = "seconds: 0, or 0.001 to 86400"
_TEXT = "1-256 bytes of UTF-8 without control characters"


class _Transaction(Struct, forbid_unknown_fields=True, gc=False):
    key: str | int
    expire: str | int | float
    value: str | int
    prepared: str | int | None = None


_TRANSACTION = Body(
    _Transaction,
    {"key": fields.NAME_ALLOWED, "expire": _EXPIRE, "value": _TEXT, "prepared": _TEXT},
)


async def lock(front: Front, call: Call) -> Answer:
    """GET /lock?key=K&expire=E&value=V: E > 0 takes the lock, 0 with the same V frees it"""
    resource = "/v1/locks"
    try:
        asked = call.query("key", "expire", "value")
        key = fields.name("key", _given(asked, "key"))
        resource = f"/v1/locks/{quote(key, safe='')}"
        expire = _expire(_given(asked, "expire"))
        value = fields.text("value", _given(asked, "value"))
        if expire:
            ended = await front.gateway.acquire(SimpleLock(key, expire, value))
        else:
            ended = await front.gateway.submit(SimpleUnlock(key, value))
    except RaftcoordError as error:
        return problem(error, headers=NO_STORE, resource=resource)
    return _lock_answer(key, ended, resource)


def _lock_answer(key: str, ended: Settled, resource: str) -> Answer:
    reply = ended.reply
    if isinstance(reply, RaftcoordError):
        return problem(reply, ended.revision, headers=NO_STORE, resource=resource)
    answer: dict[str, Any] = {"key": key, "state": "free", "resource": resource}
    if isinstance(reply, Granted):
        answer["state"] = "locked"
        answer["token"] = reply.token
        answer["expires_in"] = seconds(reply.expires_in)
    return Answer(answer, ended.revision, headers=NO_STORE)


async def transaction(front: Front, call: Call) -> Answer:
    """POST /transaction {key, expire, value, prepared?}: prepare, commit or roll back"""
    try:
        call.query()
        command = _command(await _body(call))
        ended = await front.gateway.submit(command)
    except RaftcoordError as error:
        return problem(error, headers=NO_STORE, resource="/v1/transactions")
    reply = ended.reply
    if isinstance(reply, RaftcoordError):
        resource = _resource(reply.fields.get("transaction"))
        return problem(reply, ended.revision, headers=NO_STORE, resource=resource)
    assert isinstance(reply, SimpleAnswer)
    answer = {
        "key": reply.key,
        "state": reply.state,
        "transaction": reply.transaction,
        "resource": _resource(reply.transaction),
    }
    return Answer(answer, ended.revision, headers=NO_STORE)


def _command(body: _Transaction) -> SimplePrepare | SimpleCommit | SimpleRollback:
    """What the three fields ask for."""
    key = fields.name("key", str(body.key))
    expire = _expire(body.expire)
    value = fields.text("value", str(body.value))
    rolls_back = not expire and value == ROLLBACK
    if body.prepared is not None and not rolls_back:
        raise Malformed(
            "prepared stands in a rollback only",
            field="prepared",
            allowed='with expire 0 and value "0"',
        )
    if rolls_back:
        prepared = None if body.prepared is None else fields.text("prepared", str(body.prepared))
        return SimpleRollback(key, prepared)
    if not expire:
        return SimpleCommit(key, value)
    if value == ROLLBACK:
        raise Malformed(
            'the value "0" stands for rollback and cannot be prepared',
            field="value",
            allowed=f"{_TEXT}, not 0",
        )
    return SimplePrepare(key, expire, value)


async def _body(call: Call) -> _Transaction:
    media = call.request.headers.get("Content-Type", "")
    if media.partition(";")[0].strip().lower() != _FORM:
        return await call.body(_TRANSACTION)
    data = await call.read()
    if data.lstrip()[:1] == b"{":  # JSON from a script that did not say so, as curl -d sends it
        return _TRANSACTION.decode(data, msgpack=False)
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(data.decode(), keep_blank_values=True, errors="strict", max_num_fields=16)
    except ValueError as error:
        raise Malformed(
            f"the form cannot be read: {error}", field="body", allowed="key=value&…, UTF-8"
        ) from None
    for key, value in pairs:
        if key in found or key not in ("key", "expire", "value", "prepared"):
            raise Malformed(
                f"{key[:100]} is given twice, or is no field of this request",
                field=key[:100],
                allowed="key, expire, value, prepared, once each",
            )
        found[key] = value
    return _Transaction(
        _given(found, "key"), _given(found, "expire"), _given(found, "value"), found.get("prepared")
    )


def _given(asked: dict[str, str], field: str) -> str:
    value = asked.get(field)
    if value is None:
        allowed = {"key": fields.NAME_ALLOWED, "expire": _EXPIRE}.get(field, _TEXT)
        raise Malformed(f"{field} is missing", field=field, allowed=allowed)
    return value


def _expire(given: str | float) -> int:
    """Milliseconds; 0 for zero however it is written."""
    if isinstance(given, str):
        return fields.duration("expire", given, 0, bounds.SIMPLE_EXPIRE)
    return fields.milliseconds("expire", given, 0, bounds.SIMPLE_EXPIRE)


def _resource(number: int | None) -> str:
    return "/v1/transactions" if number is None else f"/v1/transactions/{number}"


ROUTES = (
    # Not as a HEAD: this GET changes something.
    Route("GET", "/lock", lock, head=False),
    Route("POST", "/transaction", transaction),
)
