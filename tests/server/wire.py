"""A connection to the door without a socket: exactly these bytes, in exactly these pieces."""

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from aiohttp.web import RequestHandler

from raftcoord.commands import AcquireLock, AnyCommand, Envelope, OpenSession, encode
from tests.server.house import House, opened

_QUIET = 12
"""Turns of the loop without a change after which nothing more will happen; the longest way of a
request has 5 without one."""
_DATE = re.compile(rb"\r\nDate: [^\r]*GMT\r\n")

Step = bytes | tuple[bytes, ...] | Callable[[House], None]
"""Bytes that the caller sends, several pieces of them that come at once, or something that happens
in the house."""


class Wire(asyncio.Transport):
    """The door's side of a connection. written: its answers. paused: it does not read."""

    def __init__(self, house: House) -> None:
        super().__init__()
        self.written = bytearray()
        self.writes = 0
        self.closing = False
        self.paused = False
        self.failures: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: self.failures.append(context)
        )
        self.protocol: RequestHandler = house.manager()
        self.protocol.connection_made(self)

    def send(self, data: bytes) -> None:
        """The caller sends bytes, which nobody reads on a closed connection."""
        if not self.closing:
            self.protocol.data_received(data)

    def write(self, data: Any) -> None:
        assert not self.closing, "written to a closed connection"
        self.written += data
        self.writes += 1

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 8080) if name == "sockname" else default

    def pause_reading(self) -> None:
        assert not self.closing
        self.paused = True

    def resume_reading(self) -> None:
        assert not self.closing
        self.paused = False


class Record(NamedTuple):
    """What a caller and the log see of a play. taken: requests that went the short way."""

    answers: bytes
    writes: int
    closed: bool
    entries: list[bytes]
    after: list[bytes]
    digest: int
    taken: int

    def seen(self) -> tuple[Any, ...]:
        """All that may not depend on the way."""
        return self[:-1]


async def quiet(house: House, wire: Wire) -> None:
    """Let the loop run until nothing happens any more; nothing may have failed in it."""
    still, last = 0, None
    while still < _QUIET:
        await asyncio.sleep(0)
        now = (len(wire.written), wire.closing, house.node.applied, house.node.proposed)
        still = still + 1 if now == last else 0
        last = now
    assert not wire.failures


def furnished() -> House:
    """A house where another holds the lock "held", with token 1, and session 1 is open."""
    house = House()
    commands: list[AnyCommand] = [
        AcquireLock("held", "other", ttl=600_000),
        OpenSession(600_000),
    ]
    for number, command in enumerate(commands, 1):
        house.node.append(encode(Envelope("other", 1, number, 1, "", command)))
    house.node.entries.clear()
    return house


async def play(steps: Sequence[Step], *, hot: bool, house: House | None = None) -> Record:
    """Do these steps on one connection, each when nothing happens any more, then hang up."""
    house = house or furnished()
    manager = opened(house, hot=hot)
    house.gateway.acquires._behind = lambda: 0  # what is left of a lease is the same each time
    wire = Wire(house)
    for step in steps:
        if callable(step):
            step(house)
        else:
            for data in (step,) if isinstance(step, bytes) else step:
                wire.send(data)
        await quiet(house, wire)
    closed, entries = wire.closing, list(house.node.entries)
    wire.close()
    await quiet(house, wire)
    after = house.node.entries[len(entries) :]
    house.gateway.abort()
    await quiet(house, wire)
    assert manager._door._active == 0
    return Record(
        answers=_DATE.sub(b"\r\nDate: now\r\n", bytes(wire.written)),
        writes=wire.writes,
        closed=closed,
        entries=entries,
        after=after,
        digest=house.machine.digest(),
        taken=0 if manager.hot is None else manager.hot.taken,
    )


async def both(steps: Sequence[Step]) -> Record:
    """Play the steps the short way and the long way; they must look the same."""
    hot, long = await play(steps, hot=True), await play(steps, hot=False)
    assert hot.seen() == long.seen()
    assert long.taken == 0
    return hot
