"""Peer transports on loopback, and strangers who call them with bytes of their own."""

import asyncio
import inspect
import struct
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgpack
import pytest
from pysyncobj.node import Node

from raftcoord.consensus.edges import RealEdges
from raftcoord.consensus.handshake import Dialer, Identity
from raftcoord.consensus.transport import PeerAddress, PeerConnection, PeerNode, PeerTransport

HOST = "127.0.0.1"
SECRET = b"only members know this one......"
BOUND = 10.0
"""Seconds after which a test says that what it waits for does not come."""


def on_each_loop(story: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Make a test of a coroutine that takes a World: once on asyncio's loop, once on uvloop.

    Whatever a loop's exception handler is told of fails the test.
    """

    def test(loop_name: str, **arguments: Any) -> None:
        factory: Any = asyncio.new_event_loop
        if loop_name == "uvloop":
            factory = pytest.importorskip("uvloop").new_event_loop
        trouble: list[dict[str, Any]] = []

        async def whole() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: trouble.append(context))
            world = World()
            try:
                await story(world, **arguments)
            finally:
                world.close()

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(whole())
        assert trouble == []

    parameters = list(inspect.signature(story).parameters.values())[1:]
    loop_name = inspect.Parameter("loop_name", inspect.Parameter.KEYWORD_ONLY)
    test.__signature__ = inspect.Signature([*parameters, loop_name])  # type: ignore[attr-defined]
    test.__name__, test.__doc__ = story.__name__, story.__doc__
    test.__module__ = story.__module__
    test.pytestmark = getattr(story, "pytestmark", [])  # type: ignore[attr-defined]
    return pytest.mark.parametrize("loop_name", ["asyncio", "uvloop"])(test)


class World:
    """The peers of one test, and a bell that rings whenever one of them is told something."""

    def __init__(self) -> None:
        self.bell = asyncio.Event()
        self.peers: list[Peer] = []

    async def peer(self, name: str, **options: Any) -> "Peer":
        """A node that listens on a port of its own."""
        port = options.pop("port", 0)
        peer = Peer(self, name, **options)
        self.peers.append(peer)
        await peer.net.listen(HOST, port)
        return peer

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when the condition holds; fail where it does not within BOUND."""
        async with asyncio.timeout(BOUND):
            while not condition():
                await self.bell.wait()
                self.bell.clear()

    def close(self) -> None:
        """End all peers."""
        for peer in self.peers:
            peer.net.close()


class RingingTransport(PeerTransport):
    """Rings the bell for what the core is not told, too."""

    bell: asyncio.Event

    def refused(self, connection: PeerConnection, reason: str) -> None:
        super().refused(connection, reason)
        self.bell.set()

    def _outgoing(self, node_id: str) -> PeerConnection:
        self.bell.set()
        return super()._outgoing(node_id)

    def lost(self, connection: PeerConnection) -> None:
        super().lost(connection)
        self.bell.set()


class Peer:
    """A transport and what it told: ("linked", id), ("lost", id), (id, message) in order."""

    def __init__(
        self,
        world: World,
        name: str,
        *,
        cluster: str = "blue",
        secret: bytes = SECRET,
        incarnation: int = 1,
        boot: int = 1,
        **options: Any,
    ) -> None:
        self.name = name
        self.told: list[tuple[Any, ...]] = []
        self.on_message: Callable[[], None] | None = None
        self._bell = world.bell
        self.net = RingingTransport(
            RealEdges(),
            cluster=cluster,
            node=name,
            incarnation=incarnation,
            boot=boot,
            secret=secret,
            on_wake=self._bell.set,
            **options,
        )
        self.net.bell = self._bell
        self.net.setOnMessageReceivedCallback(self._message)
        self.net.setOnNodeConnectedCallback(lambda node: self._tell("linked", node))
        self.net.setOnNodeDisconnectedCallback(lambda node: self._tell("lost", node))

    def _tell(self, what: str, node: Node) -> None:
        assert isinstance(node, PeerNode)
        self.told.append((what, node.id))
        self._bell.set()

    def _message(self, node: Node, message: Any) -> None:
        assert isinstance(node, PeerNode)
        self.told.append((node.id, message))
        if self.on_message is not None:
            self.on_message()

    @property
    def address(self) -> PeerAddress:
        return PeerAddress(HOST, self.net.port)

    def heard(self, name: str) -> list[Any]:
        """The messages that came from a node."""
        return [message for source, message in self.told if source == name]

    def knows(self, *others: "Peer") -> None:
        """Add them as members."""
        for other in others:
            self.net.add_peer(other.name, other.address)

    def say(self, name: str, *messages: Any) -> bool:
        """Send and flush."""
        sent = [self.net.send(PeerNode(name), message) for message in messages]
        self.net.flush()
        return all(sent)

    def refused(self) -> dict[str, int]:
        """The counters of refusals that are not zero."""
        return {
            name.removeprefix("refused_"): value
            for name, value in self.net.counters.items()
            if name.startswith("refused_") and value
        }


class Caller:
    """A raw connection to a peer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def call(cls, peer: Peer, data: bytes = b"") -> "Caller":
        """Connect, and write data."""
        caller = cls(*await asyncio.open_connection(HOST, peer.net.port))
        caller.writer.write(data)
        return caller

    @classmethod
    async def member(cls, peer: Peer, name: str = "n9", **changes: Any) -> "Caller":
        """Connect and pass the handshake, as another member would.

        `heard` is called with all that the caller says.
        """
        heard = changes.get("heard", lambda _: None)
        caller = await cls.call(peer)
        identity = Identity(
            changes.get("cluster", "blue"),
            name,
            changes.get("incarnation", 1),
            changes.get("boot", 1),
        )
        dialer = Dialer(
            identity, changes.get("secret", SECRET), RealEdges().random_bytes, peer.name
        )
        said = dialer.open()
        while True:
            heard(said)
            caller.writer.write(said)
            if dialer.peer is not None:
                return caller
            said = dialer.receive(await caller.read(dialer.want))

    async def read(self, size: int) -> bytes:
        """Exactly so many bytes."""
        async with asyncio.timeout(BOUND):
            return await self.reader.readexactly(size)

    async def closed(self) -> bytes:
        """Wait until the other side ends the connection; what it wrote before."""
        got = b""
        async with asyncio.timeout(BOUND):
            try:
                while data := await self.reader.read(1 << 16):
                    got += data
            except ConnectionError:
                pass
        self.writer.close()
        return got


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@asynccontextmanager
async def rogue(world: World, handler: Handler) -> AsyncIterator[PeerAddress]:
    """A listener that is no member; the world's peers are closed before it is."""
    tasks: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        writer.close()
        world.bell.set()

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(take, HOST, 0)
    try:
        yield PeerAddress(HOST, server.sockets[0].getsockname()[1])
    finally:
        world.close()
        server.close()
        async with asyncio.timeout(BOUND):
            await asyncio.gather(*tasks)


def frame(*messages: Any) -> bytes:
    """A frame, made without the product's writer."""
    body = msgpack.packb(list(messages))
    size = struct.pack("!I", len(body))
    return size + struct.pack("!II", zlib.crc32(size), zlib.crc32(body)) + body
