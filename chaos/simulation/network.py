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

from chaos.simulation.endpoint import FIN, AnyProtocol, Endpoint, reset_error
from chaos.simulation.hosts import Host, Scheduler

_SEGMENT = 64 << 10
_SPLIT = 0.1
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


class Network:
    """All listeners and connections of one world, and the faults between hosts.

    `latency`: least and most seconds of a segment. `patience`: seconds of a cut until the
    connections across it are given up. `loss_reset`: probability that a segment breaks its
    connection instead of arriving. `trace`: a CRC-32 of all that was delivered, when and to whom.
    `watch`: told of each delivery.
    """

    def __init__(self, loop: Scheduler, latency: tuple[float, float], patience: float) -> None:
        self.latency = latency
        self.patience = patience
        self.loss_reset = 0.0
        self.trace = 0
        self.watch: Watch | None = None
        self.listeners: dict[int, Listener] = {}
        self._loop = loop
        self._owners: dict[int, str] = {}
        self._endpoints: dict[Endpoint, None] = {}
        self._cuts: dict[tuple[str, str], float] = {}
        self._slow: dict[tuple[str, str], float] = {}
        self._ports = _FIRST_PORT

    # Faults.

    def cut(self, a: str, b: str, *, both: bool = True) -> None:
        """Let nothing through from host `a` to host `b`, and back if `both`."""
        now = self._loop.time()
        for way in ((a, b), (b, a)) if both else ((a, b),):
            self._cuts.setdefault(way, now)
        for endpoint in self._between(a, b):
            wait = self.patience * (1 + 0.2 * self._loop.rng.random())
            self._loop.later(now + wait, self._give_up, endpoint, now)

    def heal(self, a: str, b: str, *, both: bool = True) -> None:
        """End the cut from `a` to `b`, and back if `both`. What waited arrives within a second."""
        ways = ((a, b), (b, a)) if both else ((a, b),)
        since = [self._cuts.pop(way) for way in ways if way in self._cuts]
        if not since:
            return
        now = self._loop.time()
        for endpoint in self._between(a, b):
            wait = min(1.0, now - min(since)) * self._loop.rng.random()
            self._loop.later(now + wait, self._send_again, endpoint)

    def heal_all(self) -> None:
        """End all cuts, slowness and resets."""
        for a, b in list(self._cuts):
            self.heal(a, b)
        self._slow.clear()
        self.loss_reset = 0.0

    def is_cut(self, a: str, b: str) -> bool:
        """Whether nothing gets from `a` to `b`."""
        return (a, b) in self._cuts

    def reset(self, a: str, b: str) -> None:
        """Break all connections between two hosts."""
        for endpoint in self._between(a, b):
            self._loop.later(
                self._loop.time() + self._delay(endpoint), endpoint.break_off, reset_error()
            )

    def slow(self, a: str, b: str, seconds: float, *, both: bool = False) -> None:
        """Add seconds to the latency from `a` to `b`; 0 ends it."""
        for way in ((a, b), (b, a)) if both else ((a, b),):
            self._slow[way] = seconds

    def lose_host(self, host: Host) -> None:
        """A process is gone: its connections break at their other ends, its ports are free."""
        for port in [p for p, listener in self.listeners.items() if listener.host is host]:
            del self.listeners[port]
        for endpoint in [e for e in self._endpoints if e.host is host]:
            endpoint.vanish()

    def connections(self, a: str, b: str) -> int:
        """How many connections there are between two hosts."""
        return len(self._between(a, b)) // 2

    def _between(self, a: str, b: str) -> list[Endpoint]:
        wanted = ((a, b), (b, a))
        return [e for e in self._endpoints if (e.host.name, e.peer.host.name) in wanted]

    def _give_up(self, endpoint: Endpoint, since: float) -> None:
        ends = endpoint.host.name, endpoint.peer.host.name
        cuts = (self._cuts.get(ends), self._cuts.get(ends[::-1]))
        if any(cut is not None and cut <= since for cut in cuts):
            endpoint.break_off(TimeoutError(errno.ETIMEDOUT, "Connection timed out"))

    def _send_again(self, source: Endpoint) -> None:
        target = source.peer
        if self.is_cut(source.host.name, target.host.name):
            return
        held, source.held = source.held, []
        for data, sent in held:
            target.receive(data, sent)
        if not source.is_open:
            self.carry_reset(source)  # the one that was lost in the cut

    # What the endpoints ask for (endpoint.Wire).

    def carry(self, source: Endpoint, data: bytes) -> None:
        """Bring data, or FIN, to the other end, in order."""
        rng, now = self._loop.rng, self._loop.time()
        while True:
            size = min(len(data), _SEGMENT)
            if size > 1 and rng.random() < _SPLIT:
                size = rng.randrange(1, size)
            segment, data = data[:size], data[size:]
            # Never at the same instant as the one before: equals come in any order.
            behind = math.nextafter(source.last_arrival, math.inf)
            source.last_arrival = max(now + self._delay(source), behind)
            self._loop.later(source.last_arrival, self._arrive, source, segment, now)
            if not data:
                return

    def carry_reset(self, source: Endpoint) -> None:
        """Bring a reset to the other end, unless that is cut off."""
        when = self._loop.time() + self._delay(source)
        self._loop.later(when, self._arrive_reset, source)

    def delivered(
        self, endpoint: Endpoint, data: bytes | bytearray | memoryview, sent: float
    ) -> None:
        """Take it down in the trace, and tell who watches."""
        moment = struct.pack("!d", self._loop.time()) + endpoint.host.name.encode()
        self.trace = zlib.crc32(data, zlib.crc32(moment, self.trace))
        if self.watch is not None:
            self.watch(endpoint.peer.host.name, endpoint.host.name, sent, bytes(data))

    def closed(self, endpoint: Endpoint) -> None:
        """Forget a connection both of whose ends are closed."""
        if not endpoint.peer.is_open:
            self._endpoints.pop(endpoint, None)
            self._endpoints.pop(endpoint.peer, None)

    def _arrive(self, source: Endpoint, data: bytes, sent: float) -> None:
        if source.held or self.is_cut(source.host.name, source.peer.host.name):
            source.held.append((data, sent))
        elif self.loss_reset and self._loop.rng.random() < self.loss_reset:
            source.break_off(reset_error())
            source.peer.break_off(reset_error())
        else:
            source.peer.receive(data, sent)

    def _arrive_reset(self, source: Endpoint) -> None:
        if not self.is_cut(source.host.name, source.peer.host.name):
            source.peer.break_off(reset_error())

    def _delay(self, source: Endpoint) -> float:
        return self._latency(source.host.name, source.peer.host.name)

    def _latency(self, a: str, b: str) -> float:
        least, most = self.latency
        return least + (most - least) * self._loop.rng.random() + self._slow.get((a, b), 0.0)

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


__all__ = ["ADDRESS", "FIN", "AnyProtocol", "Listener", "Network"]
