"""What stands around a core in a lockstep test: machine, edges, wire and host, all by hand."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import msgpack
import msgspec
from pysyncobj.transport import Transport

from chaos.simulation.disk import SimDisk
from raftcoord.consensus.messages import AnyMessage, Message
from raftcoord.consensus.peers import PeerNode
from raftcoord.errors import CannotApply

if TYPE_CHECKING:
    from tests.consensus.lockstep import World

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(AnyMessage).decode


class Stopped(Exception):
    """A member ended its process."""


@dataclass
class Applied:
    """What the test's machine answers."""

    reply: Any


class Log:
    """A machine that remembers what it was given.

    unknown: a payload that it cannot apply. mistaken: one that it remembers wrongly.
    """

    def __init__(self) -> None:
        self.clock = 0
        self.seen: list[bytes] = []
        self.unknown: bytes | None = None
        self.mistaken: bytes | None = None

    def apply(self, index: int, term: int, time: int, payload: bytes) -> Applied:
        """Remember the payload; answer it."""
        if self.unknown is not None and payload == self.unknown:
            raise CannotApply(f"entry {index} is of a version unknown here")
        self.clock = max(self.clock, time)
        if payload:
            self.seen.append(b"?" if payload == self.mistaken else payload)
        return Applied(payload)

    def next_deadline(self) -> int | None:
        """Nothing is ever due."""
        return None

    def pack(self) -> Iterator[bytes]:
        """The payloads in chunks of two."""
        for start in range(0, len(self.seen), 2):
            yield msgpack.packb([self.clock, self.seen[start : start + 2]])

    def restore(self, chunks: Iterable[bytes]) -> None:
        """Take them back."""
        clock, seen = 0, []
        for chunk in chunks:
            clock, part = msgpack.unpackb(chunk)
            seen.extend(part)
        self.clock, self.seen = clock, seen

    def digest(self) -> int:
        """Changes with every payload."""
        return hash(tuple(self.seen)) & 0xFFFFFFFF


class StepEdges:
    """Edges whose blocking jobs run at once, or, in held lanes, when the test lets them."""

    def __init__(self, world: "World", disk: SimDisk) -> None:
        self.disk = disk
        self.held: deque[tuple[Callable[[], Any], Callable[..., None]]] = deque()
        self.lanes: set[str] = set()
        self._world = world
        self._draw = 0

    def monotonic(self) -> float:
        """The world's time."""
        return self._world.now

    def random(self) -> float:
        """The world's chance."""
        return self._world.chance()

    def random_bytes(self, count: int) -> bytes:
        """Different every time."""
        self._draw += 1
        return self._draw.to_bytes(count, "big")

    def hold(self, *lanes: str) -> None:
        """Run no job of these lanes (the journal's, where none is named) until `let_go`."""
        self.lanes.update(lanes or ("journal",))

    def run(self, job: Any, done: Any, *, lane: str = "journal") -> None:
        """At once, unless held."""
        if lane in self.lanes:
            self.held.append((job, done))
        else:
            self._do(job, done)

    def let_go(self, count: int | None = None) -> None:
        """Run what was held, or the first `count` of it; all of it ends the holding."""
        if count is None:
            self.lanes.clear()
        while self.held and count != 0:
            self._do(*self.held.popleft())
            count = None if count is None else count - 1

    def _do(self, job: Callable[[], Any], done: Callable[..., None]) -> None:
        try:
            result, error = job(), None
        except Exception as failure:  # noqa: BLE001  # told to whoever asked for the job
            result, error = None, failure
        done(result, error)

    def fork(self, job: Callable[[], None], done: Callable[[int], None]) -> None:
        """Here and now, unless the lane "fork" is held."""
        self.run(job, lambda _, error: done(0 if error is None else 1), lane="fork")

    def stop(self, reason: str) -> NoReturn:
        """The test sees why."""
        raise Stopped(reason)


@dataclass(frozen=True)
class Link:
    """The other end of a connection."""

    id: str
    incarnation: int
    boot: int


class Wire(Transport):
    """Stands where the peer transport stands."""

    def __init__(self, world: "World", me: str) -> None:
        super().__init__(None, None, [])
        self.world, self.me = world, me
        self.counters: dict[str, int] = {}

    @property
    def connected(self) -> set[str]:
        """Everybody to whom a connection is open, silent or not."""
        return {other for me, other in self.world.ends if me == self.me}

    def connection(self, name: str) -> Link | None:
        """Who is at the other end."""
        return self.world.ends.get((self.me, name))

    def add_peer(self, name: str, address: Any) -> None:
        """Links are the world's."""

    def drop_peer(self, name: str) -> None:
        """Links are the world's."""

    def send(self, node: PeerNode, message: Message) -> bool:
        """Into the link's queue, as bytes would go."""
        pair = self.me, node.id
        if pair not in self.world.ends:
            return False
        if pair not in self.world.cuts:
            self.world.links[pair].append(_decode(_encode(message)))
        return True


class Host:
    """Remembers what the core told."""

    def __init__(self) -> None:
        self.installs = 0
        self.applied: list[int] = []

    def applied_entry(self, index: int, applied: Any) -> None:
        """An entry was applied."""
        self.applied.append(index)

    def installed(self) -> None:
        """A snapshot of the leader's was installed."""
        self.installs += 1

    def leader_changed(self) -> None:
        """Not of interest here."""

    def wake(self) -> None:
        """Turns come from the test."""
