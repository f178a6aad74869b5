"""What each kind of operation sends: the one place of the load that knows the API's routes.

Arguments are named as in the API; durations are seconds.

| kind | arguments |
|---|---|
| lock.acquire | name, owner, session?, ttl?, wait? |
| lock.release, lock.refresh | name, owner, token, session?; refresh: ttl? |
| lock.check | name, token |
| lock.read; locks.list | name; limit |
| session.open; .keepalive, .close, .read | ttl; id |
| sessions.list | limit, after? |
| ring.put, ring.delete | ring; put: virtual_nodes? |
| ring.join, ring.leave | ring, member; join: weight?, session? |
| ring.read; ring.lookup; rings.list | ring; ring, key, n; limit |
| lock.peek; ring.peek | name; ring: as read, with consistency=stale; min_revision? |
| transaction.begin | participants, timeout, decide, session? |
| transaction.vote | id, participant, vote |
| transaction.commit, .rollback; .ack | id; id, participant |
| transaction.read; transactions.list | id, wait?; limit, after? |
| simple.lock, simple.prepare | key, expire, value |
| simple.unlock, simple.commit | key, value |
| simple.rollback | key, prepared? |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

Arguments = dict[str, Any]

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Request:
    """An HTTP request. `body` is JSON, or empty."""

    method: str
    path: str
    body: bytes = b""


def request_for(kind: str, arguments: Arguments) -> Request:
    """The request of an operation. Raises KeyError for a kind that is none."""
    return _KINDS[kind](dict(arguments))


def _post(path: str, *in_path: str) -> Callable[[Arguments], Request]:
    return _with_body("POST", path, in_path)


def _put(path: str, *in_path: str) -> Callable[[Arguments], Request]:
    return _with_body("PUT", path, in_path)


def _with_body(method: str, path: str, in_path: tuple[str, ...]) -> Callable[[Arguments], Request]:
    def make(arguments: Arguments) -> Request:
        names = [_name(arguments.pop(field)) for field in in_path]
        body = {key: value for key, value in arguments.items() if value is not None}
        return Request(method, path.format(*names), _encode(body))

    return make


def _without_body(method: str, path: str, *in_path: str) -> Callable[[Arguments], Request]:
    def make(arguments: Arguments) -> Request:
        names = [_name(arguments.pop(field)) for field in in_path]
        query = urlencode({key: value for key, value in arguments.items() if value is not None})
        return Request(method, path.format(*names) + (f"?{query}" if query else ""))

    return make


def _peek(path: str, in_path: str) -> Callable[[Arguments], Request]:
    read = _without_body("GET", path, in_path)
    return lambda arguments: read({**arguments, "consistency": "stale"})


def _name(value: Any) -> str:
    return quote(str(value), safe="")


def _simple_lock(arguments: Arguments) -> Request:
    return Request("GET", f"/lock?{urlencode({'expire': 0, **arguments})}")


def _simple_transaction(arguments: Arguments) -> Request:
    # Without a value it is a rollback, which is spelled so.
    return Request("POST", "/transaction", _encode({"expire": 0, "value": "0", **arguments}))


_KINDS: dict[str, Callable[[Arguments], Request]] = {
    "lock.acquire": _post("/v1/locks/{}/acquire", "name"),
    "lock.release": _post("/v1/locks/{}/release", "name"),
    "lock.refresh": _post("/v1/locks/{}/refresh", "name"),
    "lock.check": _post("/v1/locks/{}/check", "name"),
    "lock.read": _without_body("GET", "/v1/locks/{}", "name"),
    "locks.list": _without_body("GET", "/v1/locks"),
    "session.open": _post("/v1/sessions"),
    "session.keepalive": _post("/v1/sessions/{}/keepalive", "id"),
    "session.close": _without_body("DELETE", "/v1/sessions/{}", "id"),
    "session.read": _without_body("GET", "/v1/sessions/{}", "id"),
    "sessions.list": _without_body("GET", "/v1/sessions"),
    "lock.peek": _peek("/v1/locks/{}", "name"),
    "ring.peek": _peek("/v1/rings/{}", "ring"),
    "ring.put": _put("/v1/rings/{}", "ring"),
    "ring.delete": _without_body("DELETE", "/v1/rings/{}", "ring"),
    "ring.join": _put("/v1/rings/{}/members/{}", "ring", "member"),
    "ring.leave": _without_body("DELETE", "/v1/rings/{}/members/{}", "ring", "member"),
    "ring.read": _without_body("GET", "/v1/rings/{}", "ring"),
    "ring.lookup": _without_body("GET", "/v1/rings/{}/lookup", "ring"),
    "rings.list": _without_body("GET", "/v1/rings"),
    "transaction.begin": _post("/v1/transactions"),
    "transaction.vote": _post("/v1/transactions/{}/votes", "id"),
    "transaction.commit": _post("/v1/transactions/{}/commit", "id"),
    "transaction.rollback": _post("/v1/transactions/{}/rollback", "id"),
    "transaction.ack": _post("/v1/transactions/{}/acks", "id"),
    "transaction.read": _without_body("GET", "/v1/transactions/{}", "id"),
    "transactions.list": _without_body("GET", "/v1/transactions"),
    "simple.lock": _simple_lock,
    "simple.unlock": _simple_lock,
    "simple.prepare": _simple_transaction,
    "simple.commit": _simple_transaction,
    "simple.rollback": _simple_transaction,
}
KINDS = frozenset(_KINDS)
