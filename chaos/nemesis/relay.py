"""One connection through the link proxy: two directions, each with the rule of its pair."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable
from random import Random

from msgspec import Struct

LIMIT = 1 << 20
"""Bytes of one direction that wait in the proxy; then its sender has to wait."""
RETRANSMISSION = 0.2
"""Seconds until what was lost is sent again, as Linux's TCP has it at the least; then doubled."""
GIVEN_UP = 2.0
"""Nothing is lost again that waited this long: more would be a cut."""
_RESET = struct.pack("ii", 1, 0)


class Rule(Struct, frozen=True):
    """What happens to what `source` sends to `target`, on connections called from either side.

    Args:
        hold: nothing arrives, until it may again.
        delay, jitter: seconds that all takes longer, and at most so many more at random.
        loss: share of pieces that are lost and sent again after RETRANSMISSION; what follows
            waits, as on TCP.
        reset: share of pieces at which the connection is reset instead.
        storm: seconds between two resets of all connections of the pair; 0: none.
    """

    source: str
    target: str
    hold: bool = False
    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    reset: float = 0.0
    storm: float = 0.0


class Counters(Struct):
    """What passed: connections, resets, pieces, bytes; and pieces held, delayed or lost."""

    connections: int = 0
    resets: int = 0
    pieces: int = 0
    bytes: int = 0
    hurt: int = 0


class Rules:
    """The rules in force, and what is random in them."""

    def __init__(self, seed: str) -> None:
        self.random = Random(seed)
        self.counters = Counters()
        self._rules: dict[tuple[str, str], Rule] = {}

    def set(self, rules: Iterable[Rule]) -> None:
        """Only these from now on."""
        self._rules = {(rule.source, rule.target): rule for rule in rules}

    def of(self, source: str, target: str) -> Rule | None:
        """The rule for what one sends to the other."""
        return self._rules.get((source, target))


class Side(asyncio.Protocol):
    """One of the two connections of a link."""

    def __init__(self, link: Link) -> None:
        self.transport: asyncio.Transport | None = None
        self.gone = False
        self.congested = False
        self._link = link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The target took the call."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self._link.over:
            transport.abort()
        self._link.pump()

    def data_received(self, data: bytes) -> None:
        """A piece."""
        self._link.feed(self, data)

    def connection_lost(self, error: Exception | None) -> None:
        """Its member is gone from it."""
        self.gone = True
        self._link.pump()

    def pause_writing(self) -> None:
        """Its member does not read as fast as the other one writes."""
        self.congested = True
        self._link.pump()

    def resume_writing(self) -> None:
        """It does again."""
        self.congested = False
        self._link.pump()

    def reset(self) -> None:
        """End it as a broken network does: without a farewell."""
        if self.transport is None:
            return
        wire = self.transport.get_extra_info("socket")
        if wire is not None and not self.gone:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()


class Way:
    """One direction of a link: what waits in it."""

    def __init__(self, rules: Rules, source: str, target: str) -> None:
        self.pieces: deque[tuple[float, bytes]] = deque()
        self.timer: asyncio.TimerHandle | None = None
        self.waiting = 0
        self.source, self.target = source, target
        self._rules = rules
        self._last = 0.0

    def rule(self) -> Rule | None:
        """The rule in force."""
        return self._rules.of(self.source, self.target)

    def add(self, data: bytes, now: float) -> bool:
        """A piece comes in; False where it breaks the connection."""
        rule, due = self.rule(), now
        if rule is not None:
            random = self._rules.random
            self._rules.counters.hurt += 1
            if rule.reset and random.random() < rule.reset:
                return False
            due += rule.delay + random.random() * rule.jitter
            pause = RETRANSMISSION
            while pause < GIVEN_UP and random.random() < rule.loss:
                due, pause = due + pause, 2 * pause
        self._last = max(self._last, due)
        self.pieces.append((self._last, data))
        self.waiting += len(data)
        return True

    def take(self, now: float) -> bytes:
        """What is due."""
        due = []
        while self.pieces and self.pieces[0][0] <= now:
            due.append(self.pieces.popleft()[1])
        data = due[0] if len(due) == 1 else b"".join(due)
        self.waiting -= len(data)
        return data


class Link:
    """A connection between two members.

    Args:
        source: who called; target: whom.
        address: where the target listens.
        ended: called once, when it is over.
    """

    def __init__(
        self,
        rules: Rules,
        source: str,
        target: str,
        address: tuple[str, int],
        ended: Callable[[Link], None],
    ) -> None:
        self.source, self.target = source, target
        self.over = False
        self._rules = rules
        self._address = address
        self._ended = ended
        self._caller, self._called = Side(self), Side(self)
        self._there = Way(rules, source, target)
        self._back = Way(rules, target, source)
        self._calling: asyncio.Task[None] | None = None

    def begin(self, transport: asyncio.Transport, said: bytes) -> None:
        """Take over the caller's connection and what it has said so far."""
        self._rules.counters.connections += 1
        self._caller.transport = transport
        transport.set_protocol(self._caller)
        self.feed(self._caller, said)

    def feed(self, side: Side, data: bytes) -> None:
        """One side sent something."""
        counters = self._rules.counters
        counters.pieces += 1
        counters.bytes += len(data)
        way, other = self._way(side)
        if not way.pieces and way.rule() is None and other.transport is not None:
            if not other.gone:
                other.transport.write(data)
            return
        if not way.add(data, asyncio.get_running_loop().time()):
            self.reset()
            return
        self._flow(side, way, other)

    def pump(self) -> None:
        """Let all pass that may."""
        if not self.over:
            for side in (self._caller, self._called):
                self._flow(side, *self._way(side))

    def reset(self) -> None:
        """Break it, for both members."""
        if not self.over:
            self._rules.counters.resets += 1
            self._finish()

    def _way(self, side: Side) -> tuple[Way, Side]:
        if side is self._caller:
            return self._there, self._called
        return self._back, self._caller

    def _flow(self, side: Side, way: Way, other: Side) -> None:
        if self.over:
            return
        rule = way.rule()
        if way.timer is not None:
            way.timer.cancel()
            way.timer = None
        if other.gone:
            way.pieces.clear()
            way.waiting = 0
        held = rule is not None and rule.hold
        if not held and way.pieces and other.transport is None:
            self._call()
        elif not held and way.pieces:
            loop = asyncio.get_running_loop()
            assert other.transport is not None
            other.transport.write(way.take(loop.time()))
            if way.pieces:
                way.timer = loop.call_at(way.pieces[0][0], self._flow, side, way, other)
        _hold_back(side, way, other)
        # That one side is gone reaches the other behind what it had said, and by the same way.
        if side.gone and not held and not way.pieces:
            self._finish(gently=True)

    def _call(self) -> None:
        if self._calling is None and not self.over:
            self._calling = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self._called, *self._address)
        except OSError:
            self._finish()

    def _finish(self, gently: bool = False) -> None:
        if self.over:
            return
        self.over = True
        for way in (self._there, self._back):
            if way.timer is not None:
                way.timer.cancel()
        for side in (self._caller, self._called):
            if side.transport is None:
                continue
            if gently:
                side.transport.close()
            else:
                side.reset()
        self._ended(self)


def _hold_back(side: Side, way: Way, other: Side) -> None:
    """Read no more from one side while too much waits for the other."""
    if side.transport is None or side.gone:
        return
    if way.waiting >= LIMIT or other.congested:
        side.transport.pause_reading()
    elif way.waiting < LIMIT // 2:
        side.transport.resume_reading()
