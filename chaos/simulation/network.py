"""A network between hosts that behaves as TCP does, and misbehaves when told to.

Ports stand for hosts: a port belongs to the host that listened on it last. Each direction of a
connection is a FIFO stream of segments with a latency of its own; what is written at one instant
travels together and may be cut anywhere. A connection across a cut loses nothing at once: TCP
sends again, so bytes wait; when the cut lasts longer than `patience`, both kernels give up.
"""

import asyncio
import contextvars
import errno
import math
import struct
import zlib
from collections.abc import Callable
from typing import Any

from chaos.simulation.endpoint import FIN, AnyProtocol, Endpoint
from chaos.simulation.hosts import Host, Scheduler
from chaos.simulation.network_links import Links

_SPLIT = 0.1
_TAPE = 1 << 10
_MOMENT = struct.Struct("!d16s").pack
_BACKLOG = 128
_FIRST_PORT = 40_000
_SYN_AGAIN = 1.0
_SYN_TRIES = 7
ADDRESS = "127.0.0.1"

Watch = Callable[[str, str, float, bytes], None]
"""Called with the hosts from and to, when the first byte left, and the bytes."""


class Listener(asyncio.AbstractServer):
    """A listening port; what `create_server` returns."""

    def __init__(
        self,
        network: "Network",
        host: Host,
        context: contextvars.Context,
        factory: Callable[[], asyncio.BaseProtocol],
        port: int,
    ) -> None:
        self.host = host
        self.context = context
        self.factory = factory
        self.port = port
        self.waiting = 0
        self._network = network

    @property
    def sockets(self) -> tuple["Listener", ...]:
        """One thing with a name, where asyncio has sockets."""
        return (self,) if self.is_serving() else ()

    def getsockname(self) -> tuple[str, int]:
        """Address and port."""
        return (ADDRESS, self.port)

    def is_serving(self) -> bool:
        return self._network.listeners.get(self.port) is self

    def close(self) -> None:
        if self.is_serving():
            del self._network.listeners[self.port]

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    async def serve_forever(self) -> None:
        """It serves without being asked; this waits until the caller is cancelled."""
        await self.get_loop().create_future()

    async def start_serving(self) -> None:
        """It does already."""

    async def wait_closed(self) -> None:
        """It is, once `close` was called."""


class Network(Links):
    """All listeners and connections of one world.

    `latency`: least and most seconds of a segment. `patience`: seconds of a cut until the
    connections across it are given up.

    Attributes:
        watch: told of each delivery.
        trace: where nobody watches, a CRC-32 of all that was delivered, when and to whom.
        recordings: port → the first bytes that somebody sent there on a connection.
    """

    def __init__(self, loop: Scheduler, latency: tuple[float, float], patience: float) -> None:
        super().__init__(loop, latency, patience)
        self.trace = 0
        self.watch: Watch | None = None
        self.listeners: dict[int, Listener] = {}
        self.recordings: dict[int, bytes] = {}
        self._owners: dict[int, str] = {}
        self._ports = _FIRST_PORT

    def lose_host(self, host: Host) -> None:
        """A process is gone: its connections break at their other ends, its ports are free."""
        for port in [p for p, listener in self.listeners.items() if listener.host is host]:
            del self.listeners[port]
        for endpoint in [e for e in self._endpoints if e.host is host]:
            endpoint.vanish()

    def connections(self, a: str, b: str) -> int:
        """How many connections there are between two hosts."""
        return len(self._between(a, b)) // 2

    # What the endpoints ask for (endpoint.Wire).

    def carry(self, source: Endpoint, parts: list[bytes]) -> None:
        """Bring these, the last of which may be FIN, to the other end, in order."""
        loop = self._loop
        now, draw = source.left_at, loop.rng.random
        if self._slow or self.loss:
            when = now + self._latency(source.host.name, source.peer.host.name)
        else:
            least, most = self.latency
            when = now + least + (most - least) * draw()
        # Never at the same instant as the one before: equals come in any order.
        if when <= source.last_arrival:
            when = math.nextafter(source.last_arrival, math.inf)
        if draw() < _SPLIT:
            loop.later(when, self._arrive, source, parts, now, False)
            more = self._latency(source.host.name, source.peer.host.name)
            when = max(now + more, math.nextafter(when, math.inf))
        loop.later(when, self._arrive, source, parts, now, True)
        source.last_arrival = when

    def _arrive(self, source: Endpoint, parts: list[bytes], sent: float, whole: bool) -> None:
        """All that is left of the parts is there, or a piece of it that was cut anywhere."""
        if source.leaving is parts:
            source.leaving = None
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        if not whole:
            at = self._loop.rng.randrange(1, len(data)) if len(data) > 1 else 0
            parts[:] = [data[at:]] if parts[-1] else [data[at:], FIN]
            data = data[:at]
        if source.tape is not None:
            self._record(source, source.tape, data)
        rough = self._rough or source.is_late or bool(source.held)
        bring = self._deliver if rough else _hand_over
        if data:
            bring(source, data, sent)
        if whole and not parts[-1]:
            bring(source, FIN, sent)

    def _record(self, source: Endpoint, tape: bytearray, data: bytes) -> None:
        tape += data
        if len(tape) > _TAPE:
            self.recordings[source.get_extra_info("peername")[1]] = bytes(tape)
            source.tape = None

    def delivered(self, endpoint: Endpoint, data: bytes, sent: float) -> None:
        """Tell who watches, or take it down in the trace."""
        host = endpoint.host.name
        if self.watch is not None:
            self.watch(endpoint.peer.host.name, host, sent, data)
            return
        moment = _MOMENT(self._loop.now, host.encode())
        self.trace = zlib.crc32(data, zlib.crc32(moment, self.trace))

    def closed(self, endpoint: Endpoint) -> None:
        """Forget a connection both of whose ends are closed."""
        if not endpoint.peer.is_open:
            self._endpoints.pop(endpoint, None)
            self._endpoints.pop(endpoint.peer, None)

    # Listening and connecting.

    def listen(
        self,
        host: Host,
        context: contextvars.Context,
        factory: Callable[[], asyncio.BaseProtocol],
        port: int,
    ) -> Listener:
        """Raises OSError where somebody listens there."""
        if port in self.listeners:
            raise OSError(errno.EADDRINUSE, f"address already in use: port {port}")
        listener = Listener(self, host, context, factory, port or self._new_port())
        self.listeners[listener.port] = listener
        self._owners[listener.port] = host.name
        return listener

    def connect(
        self,
        host: Host,
        context: contextvars.Context,
        port: int,
        connected: "asyncio.Future[Endpoint]",
        tries: int = 0,
    ) -> None:
        """Set the future's result to an endpoint, or its exception to the OSError."""
        if not host.alive or connected.done():
            return
        owner = self._owners.get(port, "")
        back = self._latency(host.name, owner)
        arrival = self._loop.time() + back
        self._loop.later(arrival, self._syn, host, context, port, connected, tries)

    def _syn(
        self,
        host: Host,
        context: contextvars.Context,
        port: int,
        connected: "asyncio.Future[Endpoint]",
        tries: int,
    ) -> None:
        owner = self._owners.get(port, "")
        listener = self.listeners.get(port)
        lost = self.is_cut(host.name, owner) or self.is_cut(owner, host.name)
        if lost or (listener is not None and listener.waiting >= _BACKLOG):
            again = self._loop.time() + _SYN_AGAIN * 2**tries
            if tries < _SYN_TRIES:
                self._loop.later(again, self.connect, host, context, port, connected, tries + 1)
            else:
                self._answer(connected, TimeoutError(errno.ETIMEDOUT, "Connection timed out"))
            return
        back = self._loop.time() + self._latency(owner, host.name)
        if listener is None:
            refused = ConnectionRefusedError(errno.ECONNREFUSED, f"nobody listens on {port}")
            self._loop.later(back, self._answer, connected, refused)
            return
        here, there = (ADDRESS, self._new_port()), (ADDRESS, port)
        mine = Endpoint(self._loop, self, host, context, {"sockname": here, "peername": there})
        other = Endpoint(
            self._loop,
            self,
            listener.host,
            listener.context.copy(),
            {"sockname": there, "peername": here},
        )
        mine.peer, other.peer = other, mine
        mine.tape = bytearray()
        other.last_arrival = back
        self._endpoints[mine] = self._endpoints[other] = None
        listener.waiting += 1
        self._loop.on_host(listener.context, self._accept, listener, other)
        self._loop.later(back, self._established, mine, connected)

    def _accept(self, listener: Listener, endpoint: Endpoint) -> None:
        listener.waiting -= 1
        if not listener.is_serving():
            endpoint.vanish()
            return
        protocol: Any = listener.factory()
        endpoint.begin(protocol)

    def _established(self, endpoint: Endpoint, connected: "asyncio.Future[Endpoint]") -> None:
        if not endpoint.host.alive or connected.done():
            endpoint.vanish()
        else:
            connected.set_result(endpoint)

    def _answer(self, connected: "asyncio.Future[Endpoint]", failure: OSError) -> None:
        if not connected.done():
            connected.set_exception(failure)

    def _new_port(self) -> int:
        self._ports += 1
        return self._ports


def _hand_over(source: Endpoint, data: bytes, sent: float) -> None:
    source.peer.receive(data, sent)


__all__ = ["ADDRESS", "FIN", "AnyProtocol", "Listener", "Network"]
