"""How each system is asked for a lock: the same cycle in its own words, prebuilt as bytes.

A speaker belongs to one connection and one lock name. Both cycles are two writes that the system
must replicate and sync: take the lock, give it back.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Protocol

from bench.wire import post


class Speaker(Protocol):
    """Builds the requests of one caller and reads the answers."""

    def introduction(self) -> bytes | None:
        """What is asked once before the first cycle; None where nothing is."""

    def introduced(self, status: int, body: bytes) -> bool:
        """Take in the answer to the introduction; False where it was refused."""

    def rename(self, name: str) -> None:
        """Ask for another lock from now on."""

    def acquire(self) -> bytes:
        """The request that takes the lock."""

    def token(self, status: int, body: bytes) -> bytes | None:
        """What an answer to `acquire` gave to release with; None where it is no grant."""

    def release(self, token: bytes) -> bytes:
        """The request that gives the lock back."""

    def released(self, status: int, body: bytes) -> bool:
        """Whether an answer to `release` says that the lock is free."""


class RaftcoordSpeaker:
    """POST /v1/locks/{name}/acquire and /release, with owner and TTL (the API's "Locks").

    Args:
        host: "host:port".
        name: lock name and owner; letters, digits and - only.
        ttl: seconds.
    """

    _TOKEN = re.compile(rb'"token":\s*(\d+)')

    def __init__(self, host: str, name: str, ttl: int) -> None:
        self._host = host
        self._ttl = ttl
        self.rename(name)

    def introduction(self) -> bytes | None:
        return None

    def introduced(self, status: int, body: bytes) -> bool:
        return True

    def rename(self, name: str) -> None:
        self._path = f"/v1/locks/{name}"
        self._owner = name
        body = json.dumps({"owner": name, "ttl": self._ttl}).encode()
        self._acquire = post(self._host, f"{self._path}/acquire", body)

    def acquire(self) -> bytes:
        return self._acquire

    def token(self, status: int, body: bytes) -> bytes | None:
        found = self._TOKEN.search(body) if status == 200 else None
        return found[1] if found else None

    def release(self, token: bytes) -> bytes:
        body = b'{"owner":"%b","token":%b}' % (self._owner.encode(), token)
        return post(self._host, f"{self._path}/release", body)

    def released(self, status: int, body: bytes) -> bool:
        return status == 200


class EtcdSpeaker:
    """etcd's lock service through its JSON gateway: bytes travel as base64, numbers as text.

    A lease is granted once per connection; each lock is attached to it.
    Source: https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/ and the lock service's proto.
    """

    _LEASE = re.compile(rb'"ID":\s*"(\d+)"')
    _KEY = re.compile(rb'"key":\s*"([A-Za-z0-9+/=]+)"')

    def __init__(self, host: str, name: str, ttl: int) -> None:
        self._host = host
        self._ttl = ttl
        self._name = name
        self._lease = ""
        self._acquire = b""

    def introduction(self) -> bytes | None:
        return post(self._host, "/v3/lease/grant", json.dumps({"TTL": str(self._ttl)}).encode())

    def introduced(self, status: int, body: bytes) -> bool:
        found = self._LEASE.search(body) if status == 200 else None
        if found is None:
            return False
        self._lease = found[1].decode()
        self.rename(self._name)
        return True

    def rename(self, name: str) -> None:
        self._name = name
        encoded = base64.b64encode(name.encode()).decode()
        body = json.dumps({"name": encoded, "lease": self._lease}).encode()
        self._acquire = post(self._host, "/v3/lock/lock", body)

    def acquire(self) -> bytes:
        return self._acquire

    def token(self, status: int, body: bytes) -> bytes | None:
        found = self._KEY.search(body) if status == 200 else None
        return found[1] if found else None

    def release(self, token: bytes) -> bytes:
        return post(self._host, "/v3/lock/unlock", b'{"key":"%b"}' % token)

    def released(self, status: int, body: bytes) -> bool:
        return status == 200 and b'"header"' in body


SPEAKERS: dict[str, type[RaftcoordSpeaker] | type[EtcdSpeaker]] = {
    "raftcoord": RaftcoordSpeaker,
    "etcd": EtcdSpeaker,
}
"""System → how it is spoken to."""
