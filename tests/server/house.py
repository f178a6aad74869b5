"""A front door in this process, with a client that sends exactly what a test says."""

import asyncio
import functools
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec

from raftcoord.machine.state import Machine
from raftcoord.server.app import build
from raftcoord.server.door import DoorServer
from raftcoord.server.front import Front
from raftcoord.server.gateway import Gateway
from tests.server.fakes import FakeNode

PATIENCE = 10.0
"""Seconds a test waits for what must happen."""


class Reply(NamedTuple):
    """An answer of the door; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def msgpack(self) -> Any:
        return msgspec.msgpack.decode(self.body)


class Connection:
    """One connection to the door."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(
        self, method: str, target: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """Send a request and read its answer. body: bytes, or what is sent as JSON."""
        self.send(method, target, body, headers)
        return await self.answer(method)

    def send(
        self, method: str, target: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> None:
        lines = {"Host": "127.0.0.1"}
        data = b""
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            if not isinstance(body, bytes):
                lines["Content-Type"] = "application/json"
            lines["Content-Length"] = str(len(data))
        lines.update(headers or {})
        head = [f"{method} {target} HTTP/1.1", *(f"{key}: {text}" for key, text in lines.items())]
        self.writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + data)

    async def answer(self, method: str = "GET") -> Reply:
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
            status, *lines = head.decode("latin-1").split("\r\n")
            pairs = [line.split(":", 1) for line in lines if line]
            headers = {name.lower(): value.strip() for name, value in pairs}
            size = int(headers.get("content-length", 0))
            bodyless = method == "HEAD" or " 304 " in status
            body = b"" if bodyless else await self.reader.readexactly(size)
        return Reply(int(status.split(" ")[1]), headers, body)

    def close(self) -> None:
        self.writer.transport.abort()


class House:
    """Machine, node, gateway and door."""

    def __init__(self, **gateway: int) -> None:
        self.machine = Machine()
        self.node = FakeNode(self.machine)
        self.gateway = Gateway(self.machine, **gateway)
        self.node.on_applied = self.gateway.on_applied
        self.front = Front(self.gateway, self.node.status)
        self.port = 0
        self.manager: DoorServer

    async def connect(self) -> Connection:
        return Connection(*await asyncio.open_connection("127.0.0.1", self.port))

    async def request(
        self, method: str, target: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """One request on a connection of its own."""
        connection = await self.connect()
        try:
            return await connection.request(method, target, body, headers)
        finally:
            connection.close()

    async def get(self, target: str, headers: dict[str, str] | None = None) -> Reply:
        return await self.request("GET", target, None, headers)

    async def post(self, target: str, body: Any = None) -> Reply:
        return await self.request("POST", target, body)

    async def put(self, target: str, body: Any = None) -> Reply:
        return await self.request("PUT", target, body)

    async def delete(self, target: str) -> Reply:
        return await self.request("DELETE", target)

    async def acquire(self, name: str, owner: str, **fields: Any) -> Reply:
        body = {"owner": owner, "ttl": 30, **fields}
        return await self.post(f"/v1/locks/{name}/acquire", body)


HOT = True
"""Whether plain requests for locks may go the short way."""


def opened(
    house: House,
    *,
    simple_protocol: bool = True,
    connections: int = 1_000,
    hot: bool | None = None,
) -> DoorServer:
    """Open the house, and its door; there is no port yet. hot: as `HOT`, which holds by default."""
    house.gateway.open(house.node, "n1", 1)
    incidents = itertools.count(1)
    door = build(
        house.front,
        revision=lambda: house.node.applied,
        incident=lambda: f"i{next(incidents)}",
        hosts=["node-1.example"],
        simple_protocol=simple_protocol,
    )
    house.manager = DoorServer(door, limit=connections, hot=HOT if hot is None else hot)
    return house.manager


@asynccontextmanager
async def served(
    *, simple_protocol: bool = True, connections: int = 1_000, **gateway: int
) -> AsyncIterator[House]:
    """A house with its door open on a free port."""
    house = House(**gateway)
    manager = opened(house, simple_protocol=simple_protocol, connections=connections)
    server = await asyncio.get_running_loop().create_server(manager, "127.0.0.1", 0)
    house.port = server.sockets[0].getsockname()[1]
    try:
        yield house
    finally:
        server.close()
        await manager.shutdown(0.1)
        house.gateway.abort()


def in_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Let pytest run an asynchronous test."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))  # type: ignore[arg-type]

    return run


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until the condition holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)
