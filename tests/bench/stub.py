"""A lock server in a few lines, to try the bench against: right by default, wrong on request.

As a program (`python -m tests.bench.stub PORT ALL_PORTS`) it is a node of a make-believe cluster:
the first node of the list that listens leads, every node takes writes.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
from collections import Counter
from collections.abc import Callable

Answer = bytes | None
Misbehave = Callable[[str, int], Answer]
"""(path, how many requests before) → another answer than the right one; None: the right one."""

HANG_UP = b""
SILENCE = b"silence"


def response(status: int, body: object, *, head: str = "") -> bytes:
    content = json.dumps(body).encode()
    return (
        f"HTTP/1.1 {status} Said\r\n{head}Content-Length: {len(content)}\r\n\r\n".encode() + content
    )


class LockServer:
    """Grants locks with growing tokens and counts; a wrong release is a 409."""

    def __init__(self, misbehave: Misbehave | None = None) -> None:
        self.requests: Counter[str] = Counter()
        self.held: dict[str, int] = {}
        self.names: set[str] = set()
        self.port = 0
        self._misbehave = misbehave or (lambda path, number: None)
        self._token = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> LockServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._server is not None
        self._server.close()

    def answer(self, path: str, body: bytes) -> bytes:
        wrong = self._misbehave(path, sum(self.requests.values()))
        kind = path.rpartition("/")[2]
        self.requests[kind] += 1
        if wrong is not None:
            return wrong
        if kind == "status":
            return self.status()
        name = path.split("/")[3]
        self.names.add(name)
        asked = json.loads(body)
        if kind == "acquire":
            self._token += 1
            self.held[name] = self._token
            return response(200, {"token": self._token, "holder": {"owner": asked["owner"]}})
        if self.held.get(name) != asked["token"] or asked["owner"] != name:
            return response(409, {"type": "not-holder"})
        del self.held[name]
        return response(200, {"released": True})

    def status(self) -> bytes:
        return response(200, {"node": "n1", "leader": "n1", "revision": 1})

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                path = head.split(" ")[1]
                length = re.search(r"content-length: (\d+)", head.lower())
                body = await reader.readexactly(int(length[1])) if length else b""
                said = self.answer(path, body)
                if said == HANG_UP:
                    return
                if said != SILENCE:
                    writer.write(said)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the caller is gone, which is how each connection ends
        finally:
            writer.close()


class Member(LockServer):
    """A node of the make-believe cluster."""

    def __init__(self, port: int, ports: list[int]) -> None:
        super().__init__(self._not_yet)
        self.port = port
        self._ports = ports
        self._refusals = 2

    def status(self) -> bytes:
        leader = next(port for port in self._ports if port == self.port or _listens(port))
        return response(200, {"node": str(self.port), "leader": str(leader), "revision": 7})

    def _not_yet(self, path: str, number: int) -> Answer:
        """Refuse the first writes after a kill, as a cluster without a leader does."""
        if "failover" not in path or self._refusals == 0:
            return None
        self._refusals -= 1
        return response(503, {"type": "no-leader"})


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def main() -> None:
    async with Member(int(sys.argv[1]), [int(port) for port in sys.argv[2].split(",")]):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
