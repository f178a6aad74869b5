"""A cluster of real cores whose every message and every sync the test delivers by hand.

Nothing moves unless the test says so: `tick` gives members a turn, `deliver` hands over messages
of one link in order, and syncs of the journal are done at once unless the member's disk is held.
Time is a number. The disks are simulated; the journals on them are the product's.

A connection that is `cut` is silent and nobody is told, as when a machine or a cable dies; one
that is closed (`close`, `kill`) is told to both sides, as when a process dies.
"""

from collections import defaultdict, deque
from collections.abc import Callable
from random import Random
from typing import Any

from chaos.simulation.disk import SimDisk
from raftcoord.consensus.core import CONFIGURATION, LEADER, NO_OP, CoreSettings
from raftcoord.consensus.journal import Journal
from raftcoord.consensus.membership import Configuration, Member, encode_configuration
from raftcoord.consensus.messages import Message
from raftcoord.consensus.peers import PeerNode
from raftcoord.consensus.proposals import Outcome
from raftcoord.consensus.raft import Raft
from raftcoord.consensus.serving import stamp
from raftcoord.consensus.snapshots import Snapshots
from tests.consensus.lockstep_edges import Host, Link, Log, StepEdges, Stopped, Wire

__all__ = ["Log", "Stopped", "World", "acknowledged", "kinds"]

CLUSTER = "lockstep"
JOURNAL, SNAPSHOTS = "data/journal", "data/snapshots"


class NothingKept(Random):
    """The worst power cut: not one unsynced byte reached the disk."""

    def randint(self, a: int, b: int) -> int:
        return a

    def random(self) -> float:
        return 1.0


def acknowledged(outcomes: list[Outcome]) -> list[str]:
    """What callers were told to be applied."""
    return [outcome.reply.decode() for outcome in outcomes if outcome.kind == "applied"]


def kinds(outcomes: list[Outcome]) -> list[str]:
    """In one word each, how they ended."""
    return [outcome.kind for outcome in outcomes]


class Running:
    """One running member."""

    def __init__(self, world: "World", name: str, disk: SimDisk) -> None:
        self.world, self.name, self.disk = world, name, disk
        self.edges = StepEdges(world, disk)
        self.machine: Any = world.machine()
        self.host = Host()
        self.wire = Wire(world, name)
        self.journal = Journal.open(
            self.edges, JOURNAL, cluster=CLUSTER, node=name, segment_bytes=world.segment
        )
        self.snapshots = Snapshots(self.edges, SNAPSHOTS, cluster=CLUSTER)
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
        if self._job_out or not self.journal.dirty:
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
    """Members, links, and a time that only the test moves.

    Args:
        names: who runs, one letter each.
        voters: the first configuration, where it is not all of them.
        core: settings of the core.
    """

    def __init__(
        self,
        names: str = "ABC",
        *,
        voters: str | None = None,
        segment: int = 1 << 16,
        machine: Callable[[], Any] = Log,
        **core: Any,
    ) -> None:
        self.now = 1000.0
        self.chance: Callable[[], float] = lambda: 0.5  # elections happen when the test says so
        self.segment = segment
        self.machine = machine
        self.settings = CoreSettings(**core)
        self.links: dict[tuple[str, str], deque[Message]] = defaultdict(deque)
        self.ends: dict[tuple[str, str], Link] = {}
        self.cuts: set[tuple[str, str]] = set()
        self.members: dict[str, Running] = {}
        self.disks: dict[str, SimDisk] = {}
        self.first = Configuration(
            {name: Member(f"{name}:1", f"{name}:2") for name in voters or names}
        )
        for name in names:
            self.create(name)
            self.start(name)

    # Members.

    def create(self, name: str, *, incarnation: int = 0) -> None:
        """A new folder; with an incarnation it is a joiner's, else a first member's."""
        disk = self.disks[name] = SimDisk()
        edges = StepEdges(self, disk)
        base = [(NO_OP, 0, 0)]
        if not incarnation:
            base.append((stamp(CONFIGURATION, 0, encode_configuration(self.first)), 1, 0))
        Journal.create(
            edges,
            JOURNAL,
            cluster=CLUSTER,
            node=name,
            incarnation=incarnation,
            base=base,
            commit=base[-1][1],
            segment_bytes=self.segment,
        )

    def start(self, name: str) -> Running:
        """Run a member on its disk, linked with everybody from whom it is not cut."""
        self.members[name] = Running(self, name, self.disks[name])
        for other in sorted(self.members):
            if other != name and (name, other) not in self.cuts:
                self._link(name, other)
        return self.members[name]

    def join(self, name: str, incarnation: int) -> Running:
        """Run a new, empty folder under this name; an old one is thrown away."""
        if name in self.members:
            self.kill(name)
        self.create(name, incarnation=incarnation)
        return self.start(name)

    def kill(self, name: str, *, power: bool = False) -> None:
        """End a member as SIGKILL does, or as losing power at the worst moment; its connections
        close."""
        del self.members[name]
        self.disks[name].crash(NothingKept(), power=power)
        for other in list(self.disks):
            self._unlink(name, other)

    def restart(self, name: str, *, power: bool = False) -> Running:
        """Kill it and start it again."""
        self.kill(name, power=power)
        return self.start(name)

    def damage(self, name: str, payload: str) -> None:
        """Flip a bit of a payload where it lies in the journal of a member that is not running."""
        disk = self.disks[name]
        for file in reversed(disk.list(JOURNAL)):
            at = disk.content(f"{JOURNAL}/{file}").rfind(payload.encode())
            if at >= 0:
                disk.flip(f"{JOURNAL}/{file}", at)
                return
        raise AssertionError(f"{payload} is not in the journal of {name}")

    def __getitem__(self, name: str) -> Raft:
        return self.members[name].raft

    # Connections.

    def _link(self, a: str, b: str) -> None:
        for x, y in ((a, b), (b, a)):
            self.links[x, y].clear()
            self.cuts.discard((x, y))
            journal = self.members[y].journal
            self.ends[x, y] = Link(y, journal.incarnation, journal.boot)
        for x, y in ((a, b), (b, a)):
            self.members[x].wire._onNodeConnected(PeerNode(y))

    def _unlink(self, a: str, b: str) -> None:
        for x, y in ((a, b), (b, a)):
            self.links[x, y].clear()
            if self.ends.pop((x, y), None) is not None and x in self.members:
                self.members[x].wire._onNodeDisconnected(PeerNode(y))

    def connect(self, a: str, b: str) -> None:
        """A fresh connection between two members takes the place of the one there was."""
        self._unlink(a, b)
        self._link(a, b)

    def close(self, a: str, b: str) -> None:
        """The connection between two members ends; both see it."""
        self._unlink(a, b)

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

    def heal(self, name: str) -> None:
        """Connect it with everybody again."""
        for other in sorted(self.members):
            if other != name:
                self.connect(name, other)

    def drop(self, a: str, *others: str) -> None:
        """Lose what is under way from a to the others."""
        for b in others:
            self.links[a, b].clear()

    # Time and messages.

    def tick(self, *names: str, dt: float = 0.0) -> None:
        """Let time pass, then give the members a turn."""
        self.now += dt
        for name in names or sorted(self.members):
            self.members[name].turn()

    def deliver(self, a: str, b: str, count: int | None = None) -> int:
        """Hand over messages from a to b, in order."""
        queue, done = self.links[a, b], 0
        while queue and (count is None or done < count):
            done += 1
            self.hand(a, b, queue.popleft())
        return done

    def hand(self, a: str, b: str, message: Message) -> None:
        """Hand over one message from a to b, wherever it comes from."""
        if b in self.members:
            self.members[b].wire._onMessageReceived(PeerNode(a), message)
            self.members[b].sync()

    def under_way(self, a: str, b: str) -> list[Message]:
        """What was sent from a to b and not delivered yet."""
        return list(self.links[a, b])

    def exchange(self, names: str | None = None, *, rounds: int = 3) -> None:
        """Deliver everything among the named members, with turns between; no time passes."""
        chosen = sorted(names or self.members)
        for _ in range(rounds):
            for a in chosen:
                for b in chosen:
                    if a != b:
                        self.deliver(a, b)
            self.tick(*chosen)

    def pump(self, names: str | None = None, *, rounds: int = 10, dt: float = 0.06) -> None:
        """Run the named members as a healthy component for a while."""
        for _ in range(rounds):
            self.tick(*sorted(names or self.members), dt=dt)
            self.exchange(names)

    def campaign(self, name: str) -> None:
        """Let its election deadline be over; others have heard no leader for long."""
        self.now += self.settings.election_max + 0.01
        for other, member in self.members.items():
            if other != name:
                member.raft.rearm()
        self.members[name].raft.deadline = self.now
        self.tick(name)

    def elect(self, name: str, among: str | None = None) -> None:
        """Make it leader of the named component, and let it commit its first entry."""
        self.campaign(name)
        self.exchange(among, rounds=6)
        assert self[name].role == LEADER, f"{name} was not elected"

    # What callers do and see.

    def propose(self, name: str, *payloads: str) -> list[Outcome]:
        """Propose at a member; outcomes appear in the list as they come."""
        outcomes: list[Outcome] = []
        for payload in payloads:
            self[name].propose(payload.encode(), outcomes.append)
        self.tick(name)
        return outcomes

    def read(self, name: str) -> list[int | None]:
        """Ask a member for a read; its answer appears in the list."""
        answers: list[int | None] = []
        self[name].read(answers.append)
        self.tick(name)
        return answers

    def seen(self, name: str) -> list[str]:
        """What a member's machine was given."""
        return [payload.decode() for payload in self.members[name].machine.seen]

    def terms(self, name: str) -> list[tuple[int, int]]:
        """(index, term) of the entries of a member's log."""
        return [(index, term) for _, index, term in self[name].log[:]]

    def holds(self, name: str, payload: str) -> bool:
        """Whether a member's log has an entry with this payload."""
        return any(command[9:] == payload.encode() for command, _, _ in self[name].log[:])

    @property
    def leaders(self) -> str:
        """Who leads, each of its own term."""
        return "".join(n for n in sorted(self.members) if self[n].role == LEADER)
