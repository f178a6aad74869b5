"""A cluster of real cores whose every message and every sync the test delivers by hand.

Nothing moves unless the test says so: `tick` gives members a turn, `deliver` hands over messages
of one link in order, and syncs of the journal are done at once unless the member's disk is held.
Time is a number. The disks are simulated; the journals on them are the product's.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import msgpack
import msgspec
from pysyncobj.transport import Transport

from chaos.simulation.disk import SimDisk
from raftcoord.consensus.core import CONFIGURATION, LEADER, NO_OP, CoreSettings
from raftcoord.consensus.journal import Journal
from raftcoord.consensus.membership import Configuration, Member, encode_configuration
from raftcoord.consensus.messages import AnyMessage, Message
from raftcoord.consensus.peers import PeerNode
from raftcoord.consensus.raft import Raft
from raftcoord.consensus.serving import stamp
from raftcoord.consensus.snapshots import Snapshots

CLUSTER = "lockstep"


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(AnyMessage).decode


class Stopped(BaseException):
    """A member ended its process."""


@dataclass
class Applied:
    """What the test's machine answers."""

    reply: Any


class Log:
    """A machine that remembers what it was given."""

    def __init__(self) -> None:
        self.clock = 0
        self.seen: list[bytes] = []
        self.fail_on: bytes | None = None

    def apply(self, index: int, term: int, time: int, payload: bytes) -> Applied:
        """Remember the payload; answer it."""
        self.clock = max(self.clock, time)
        if payload:
            self.seen.append(payload)
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
    """Edges whose blocking jobs run at once, or when the test lets them."""

    def __init__(self, world: "World", disk: SimDisk) -> None:
        self.disk = disk
        self.held: deque[tuple[Callable[[], Any], Callable[..., None]]] = deque()
        self.hold = False
        self._world = world
        self._draw = 0

    def monotonic(self) -> float:
        """The world's time."""
        return self._world.now

    def random(self) -> float:
        """Always the middle: elections happen when the test says so."""
        return 0.5

    def random_bytes(self, count: int) -> bytes:
        """Different every time."""
        self._draw += 1
        return self._draw.to_bytes(count, "big")

    def run(self, job: Any, done: Any, *, lane: str = "journal") -> None:
        """At once, unless held."""
        self.held.append((job, done))
        if not self.hold:
            self.let_go()

    def let_go(self, count: int | None = None) -> None:
        """Run what was held."""
        while self.held and count != 0:
            job, done = self.held.popleft()
            try:
                result, error = job(), None
            except OSError as failure:
                result, error = None, failure
            done(result, error)
            count = None if count is None else count - 1

    def fork(self, job: Callable[[], None], done: Callable[[int], None]) -> None:
        """Here and now."""
        job()
        done(0)

    def stop(self, reason: str) -> NoReturn:
        """The test sees why."""
        raise Stopped(reason)


@dataclass
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
        """Everybody alive who is not cut off."""
        return {
            name
            for name in self.world.members
            if name != self.me and (self.me, name) not in self.world.cuts
        }

    def connection(self, name: str) -> Link | None:
        """Who is at the other end."""
        member = self.world.members.get(name)
        if member is None or name not in self.connected:
            return None
        return Link(name, member.journal.incarnation, member.journal.boot)

    def add_peer(self, name: str, address: Any) -> None:
        """Links are the world's."""

    def drop_peer(self, name: str) -> None:
        """Links are the world's."""

    def send(self, node: PeerNode, message: Message) -> bool:
        """Into the link's queue, as bytes would go."""
        if (self.me, node.id) not in self.world.cuts:
            self.world.links[self.me, node.id].append(_decode(_encode(message)))
        return True


class Host:
    """Remembers what the core told."""

    def __init__(self) -> None:
        self.installs = 0

    def applied_entry(self, index: int, applied: Any) -> None:
        """Not of interest here."""

    def installed(self) -> None:
        """A snapshot of the leader's was installed."""
        self.installs += 1

    def leader_changed(self) -> None:
        """Not of interest here."""

    def wake(self) -> None:
        """Turns come from the test."""


class Running:
    """One running member."""

    def __init__(self, world: "World", name: str, disk: SimDisk) -> None:
        self.world, self.name, self.disk = world, name, disk
        self.edges = StepEdges(world, disk)
        self.machine = Log()
        self.host = Host()
        self.wire = Wire(world, name)
        self.journal = Journal.open(
            self.edges, "data/journal", cluster=CLUSTER, node=name, segment_bytes=world.segment
        )
        self.snapshots = Snapshots(self.edges, "data/snapshots", cluster=CLUSTER)
        self.raft = Raft(
            name,
            journal=self.journal,
            snapshots=self.snapshots,
            transport=self.wire,
            machine=self.machine,
            edges=self.edges,
            host=self.host,
            settings=world.settings,
        )
        self._job_out = False

    def turn(self) -> None:
        """What the driver does once per turn of its loop."""
        self.raft.tick()
        self.sync()

    def sync(self) -> None:
        """Start a sync where one is due and none is out."""
        if self._job_out:
            return
        job = self.journal.take()
        if job is not None:
            self._job_out = True
            self.edges.run(job, self._synced)

    def _synced(self, _: Any, error: BaseException | None) -> None:
        self._job_out = False
        self.journal.taken(error)
        self.raft.synced()
        self.sync()


class World:
    """Members, links, and a time that only the test moves."""

    def __init__(
        self, names: str = "ABC", *, voters: str | None = None, segment: int = 1 << 16, **core: Any
    ) -> None:
        self.now = 1000.0
        self.segment = segment
        self.settings = CoreSettings(**core)
        self.links: dict[tuple[str, str], deque[Message]] = defaultdict(deque)
        self.cuts: set[tuple[str, str]] = set()
        self.members: dict[str, Running] = {}
        self.disks: dict[str, SimDisk] = {}
        self.first = Configuration(
            {name: Member(f"{name}:1", f"{name}:2") for name in voters or names}
        )
        for name in names:
            self.create(name)
            self.start(name)
        self.connect_all()

    def create(self, name: str, *, incarnation: int = 0) -> None:
        """A new folder; with an incarnation it is a joiner's, else a first member's."""
        disk = self.disks[name] = SimDisk()
        edges = StepEdges(self, disk)
        base = [(NO_OP, 0, 0)]
        if not incarnation:
            base.append((stamp(CONFIGURATION, 0, encode_configuration(self.first)), 1, 0))
        disk.make_dir("data")
        Journal.create(
            edges,
            "data/journal",
            cluster=CLUSTER,
            node=name,
            incarnation=incarnation,
            base=base,
            commit=base[-1][1],
            segment_bytes=self.segment,
        )

    def start(self, name: str) -> Running:
        """Run a member on its disk."""
        self.members[name] = Running(self, name, self.disks[name])
        return self.members[name]

    def kill(self, name: str) -> None:
        """End a member as SIGKILL does; its connections close."""
        del self.members[name]
        self.disks[name].crash()
        for a, b in list(self.links):
            if name in (a, b):
                self.links[a, b].clear()
        for other in self.members.values():
            other.wire._onNodeDisconnected(PeerNode(name))

    def connect(self, a: str, b: str) -> None:
        """Make a fresh connection between two members."""
        for x, y in ((a, b), (b, a)):
            self.links[x, y].clear()
            self.cuts.discard((x, y))
        for x, y in ((a, b), (b, a)):
            if x in self.members:
                self.members[x].wire._onNodeConnected(PeerNode(y))

    def connect_all(self) -> None:
        """Between all of them."""
        names = sorted(self.members)
        for a in names:
            for b in names:
                if a < b:
                    self.connect(a, b)

    def cut(self, a: str, b: str) -> None:
        """Silence both ways; nobody is told."""
        for x, y in ((a, b), (b, a)):
            self.cuts.add((x, y))
            self.links[x, y].clear()

    def isolate(self, name: str) -> None:
        """Cut one from everybody."""
        for other in list(self.disks):
            if other != name:
                self.cut(name, other)

    def __getitem__(self, name: str) -> Raft:
        return self.members[name].raft

    def tick(self, *names: str, dt: float = 0.0) -> None:
        """Let time pass, then give the members a turn."""
        self.now += dt
        for name in names or sorted(self.members):
            self.members[name].turn()

    def deliver(self, a: str, b: str, count: int | None = None) -> int:
        """Hand over messages from a to b, in order."""
        queue, done = self.links[a, b], 0
        while queue and (count is None or done < count):
            message = queue.popleft()
            done += 1
            if b in self.members:
                self.members[b].wire._onMessageReceived(PeerNode(a), message)
                self.members[b].sync()
        return done

    def pump(self, names: str | None = None, *, rounds: int = 10, dt: float = 0.06) -> None:
        """Run the named members as a healthy component for a while."""
        chosen = sorted(names or self.members)
        for _ in range(rounds):
            self.tick(*chosen, dt=dt)
            for _ in range(3):
                for a in chosen:
                    for b in chosen:
                        if a != b:
                            self.deliver(a, b)
                self.tick(*chosen)

    def campaign(self, name: str) -> None:
        """Let its election deadline be over; others have heard no leader for long."""
        self.now += self.settings.election_max + 0.01
        for other, member in self.members.items():
            if other != name:
                member.raft.rearm()
        self.members[name].raft.deadline = self.now
        self.tick(name)

    def elect(self, name: str, among: str | None = None) -> None:
        """Make it leader of the named component."""
        chosen = sorted(among or self.members)
        self.campaign(name)
        for _ in range(6):
            for a in chosen:
                for b in chosen:
                    if a != b:
                        self.deliver(a, b)
            self.tick(*chosen)
        assert self[name].role == LEADER, f"{name} was not elected"

    def propose(self, name: str, *payloads: str) -> list[Any]:
        """Propose at a member; outcomes appear in the list as they come."""
        outcomes: list[Any] = []
        for payload in payloads:
            self[name].propose(payload.encode(), outcomes.append)
        self.tick(name)
        return outcomes

    def entries(self, name: str) -> list[tuple[int, int, bytes]]:
        """(index, term, payload) of a member's log."""
        return [(index, term, command[9:]) for command, index, term in self[name].log[:]]

    def seen(self, name: str) -> list[str]:
        """What a member's machine was given."""
        return [payload.decode() for payload in self.members[name].machine.seen]
