"""Whole clusters of the product's own nodes in one process, from one seed.

Node, core, journal, snapshots and transport run unchanged; the loop, the disk, the clock and the
randomness are simulated. Callers propose and read at random members while `faults` do their
work; `judges` watch. Then the faults end: first a bare majority must go on, then all must agree.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any
from zlib import crc32

from msgspec import msgpack

from chaos.simulation.disk import SimDisk
from chaos.simulation.edges import SimEdges
from chaos.simulation.judges import Judges, Violation
from chaos.simulation.loop import VirtualLoop
from raftcoord.consensus.core import LEADER, CoreSettings
from raftcoord.consensus.node import MemberAddress, Node, NodeSettings, Outcome
from raftcoord.errors import DataDamaged

BASE_PORT = 7000
RECOVERY = 15.0
"""Virtual seconds in which a majority must accept a write once faults are over."""


@dataclass
class Applied:
    """What the recording machine answers."""

    reply: bytes


class Recorder:
    """A machine that remembers its payloads and shows each to the judges."""

    def __init__(self, member: str, judges: Judges) -> None:
        self.clock = 0
        self.seen: list[bytes] = []
        self._member = member
        self._judges = judges
        self._digest = 0

    def apply(self, index: int, term: int, time: int, payload: bytes) -> Applied:
        """Remember it."""
        self._judges.member_applied(self._member, index, term, payload)
        self.clock = max(self.clock, time)
        if payload:
            self.seen.append(payload)
            self._digest = crc32(payload, self._digest)
        return Applied(payload)

    def next_deadline(self) -> int | None:
        """Nothing is due by itself."""
        return None

    def pack(self) -> Iterator[bytes]:
        """The payloads, in pieces."""
        yield msgpack.encode([self.clock, self._digest])
        for start in range(0, len(self.seen), 50):
            yield msgpack.encode(self.seen[start : start + 50])

    def restore(self, chunks: Iterable[bytes]) -> None:
        """Take them back."""
        parts = [msgpack.decode(chunk) for chunk in chunks]
        self.clock, self._digest = parts[0]
        self.seen = [payload for part in parts[1:] for payload in part]

    def digest(self) -> int:
        """Over all payloads."""
        return self._digest


class Member:
    """One host: its disk, and the life that runs on it, if one does."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.port = port
        self.disk = SimDisk()
        self.node: Node | None = None
        self.machine: Recorder | None = None
        self.edges: SimEdges | None = None
        self.paused = False
        self.start_as = "init"
        self.damaged = False
        self.stopped_for: str | None = None


class World:
    """A cluster, its callers and its faults.

    Args:
        members: how many nodes.
        load: proposals and reads a virtual second.
        sync: seconds that a job of the disk takes, least and most.

    Attributes:
        told: how many callers were told what.
        expected_stops: parts of reasons for which a process may end itself in this run.
    """

    def __init__(
        self,
        seed: int,
        *,
        members: int = 3,
        load: float = 40.0,
        sync: tuple[float, float] = (0.0001, 0.001),
    ) -> None:
        self.loop = VirtualLoop(seed)
        self.rng = Random(f"world {seed}")
        self.judges = Judges()
        self.members = {f"n{n}": Member(f"n{n}", BASE_PORT + n) for n in range(1, members + 1)}
        self.told = Counter[str]()
        self.expected_stops: tuple[str, ...] = ("at the start",)
        self.sync = sync
        self.violation: Violation | None = None
        self._load = load
        self._proposed = 0
        self._open = 0
        self._calling = True

    # Lives.

    def start(self, name: str) -> None:
        """Start a process on the host's disk."""
        member = self.members[name]
        addresses = {
            other.name: MemberAddress(f"127.0.0.1:{other.port}", f"127.0.0.1:{other.port + 1000}")
            for other in self.members.values()
        }
        settings = NodeSettings(
            id=name,
            cluster="simulated",
            data="data",
            host="127.0.0.1",
            port=member.port,
            secret=b"simulated",
            members=addresses,
            start=member.start_as,  # type: ignore[arg-type]
            segment_bytes=1 << 14,
            core=CoreSettings(snapshot_bytes=3000, keep_behind=20, promote_within=20),
        )
        with self.loop.host(name):
            edges = SimEdges(
                self.loop,
                member.disk,
                self.rng,
                rate=self.rng.choice([0.99, 1.0, 1.0, 1.01]),
                sync=self.sync,
                stopped=lambda reason: self._stopped(name, reason),
            )
            machine = Recorder(name, self.judges)
            node = Node(
                settings, machine, edges, on_leader=lambda: self._leader_changed(name, node)
            )
            member.edges, member.machine, member.stopped_for = edges, machine, None
            self.loop.create_task(self._start(member, node))

    async def _start(self, member: Member, node: Node) -> None:
        try:
            await node.start()
        except DataDamaged as refusal:
            if not member.damaged:
                raise Violation(f"{member.name} finds damage that nobody did: {refusal}") from None
            member.stopped_for = str(refusal)
            self.loop.kill(member.name)
            return
        except OSError as failure:
            # A full or failing disk: the process ends, and whoever watches starts it again.
            self._stopped(member.name, f"{failure.strerror} at the start")
            self.loop.later(self.loop.time() + 1.0, self._start_again, member.name)
            return
        member.node = node
        if member.start_as == "init":
            member.start_as = "normal"

    def _start_again(self, name: str) -> None:
        if not self.loop.is_alive(name):
            self.start(name)

    def kill(self, name: str, *, power: bool = False) -> None:
        """SIGKILL, or a power cut that takes unsynced writes along."""
        member = self.members[name]
        self.loop.kill(name)
        member.disk.crash(self.rng, power=power)
        member.node, member.machine, member.paused = None, None, False

    def wipe(self, name: str) -> None:
        """Lose the data folder; the node will come back as a learner, as documented."""
        self.kill(name)
        member = self.members[name]
        member.disk = SimDisk()
        member.start_as, member.damaged = "join", False

    def _stopped(self, name: str, reason: str) -> None:
        self.members[name].stopped_for = reason
        self.kill(name)
        if not any(expected in reason for expected in self.expected_stops):
            self.fail(Violation(f"{name} ended itself: {reason}"))

    def alive(self) -> list[str]:
        """Members that run and are not paused."""
        return [m.name for m in self.members.values() if m.node is not None and not m.paused]

    def leader(self) -> str | None:
        """Who leads the highest term, among those that run."""
        leads = [
            (m.node.raft.term, m.name)
            for m in self.members.values()
            if m.node is not None and m.node.raft.role == LEADER
        ]
        return max(leads)[1] if leads else None

    def _leader_changed(self, name: str, node: Node) -> None:
        if node.raft.role == LEADER:
            self._judge(lambda: self.judges.member_leads(name, node.raft.term))

    # Callers.

    def fail(self, violation: Violation) -> None:
        """The run is over."""
        self.violation = self.violation or violation
        self.loop.stop()

    def _judge(self, check: Any) -> None:
        try:
            check()
        except Violation as violation:
            self.fail(violation)

    def call(self) -> None:
        """Propose or read at a random member, and come again."""
        if not self._calling:
            return
        self.loop.call_later(self.rng.expovariate(self._load), self.call)
        running = self.alive()
        if not running:
            return
        name = self.rng.choice(running)
        if self.rng.random() < 0.25:
            self.read(name)
        else:
            self._proposed += 1
            self.propose(name, f"p{self._proposed}".encode() + b"." * self.rng.randrange(200))

    def propose(self, name: str, payload: bytes) -> None:
        """Propose at a member and let the judges hear the outcome."""
        node = self.members[name].node
        assert node is not None

        def done(outcome: Outcome) -> None:
            self.told[outcome.kind] += 1
            self._judge(
                lambda: self.judges.caller_told(payload, outcome.kind, outcome.index, outcome.reply)
            )

        with self.loop.host(name):
            node.propose(payload, done, priority=self.rng.random() < 0.2)

    def read(self, name: str) -> None:
        """Read at a member."""
        node = self.members[name].node
        assert node is not None
        floor = self.judges.newest_acknowledged()

        def done(index: int | None) -> None:
            self.told["read" if index is not None else "read refused"] += 1
            if index is not None:
                self._judge(lambda: self.judges.read_answered(floor, index))

        with self.loop.host(name):
            node.read_barrier(done)

    # A run.

    def begin(self) -> None:
        """Start all members and the callers."""
        for name in self.members:
            self.start(name)
        self.loop.call_later(0.5, self.call)

    def run(self, seconds: float) -> None:
        """Let virtual time pass; raises the first violation."""
        self.loop.run_until(self.loop.time() + seconds)
        self._raise()

    def _raise(self) -> None:
        if self.violation is not None:
            raise self.violation

    def until(self, condition: Any, limit: float, what: str) -> None:
        """Wait, in virtual time; a violation where it never comes."""
        self.loop.run_until_condition(lambda: self.violation is not None or condition(), limit)
        self._raise()
        if not condition():
            raise Violation(f"{what}: not within {limit} virtual seconds; {self.picture()}")

    def settle(self) -> None:
        """Faults are over: a bare majority goes on, then all agree."""
        self.loop.net.heal_all()
        for member in self.members.values():
            member.disk.capacity = None
            if member.edges is not None:
                member.edges.sync = self.sync
            if member.paused:
                member.paused = False
                self.loop.resume(member.name)
            if member.node is None and not self.loop.is_alive(member.name):
                if member.stopped_for and member.damaged:
                    self.wipe(member.name)
                self.start(member.name)
        self.until(self._all_voters, RECOVERY * 2, "all members vote again")
        down = self.rng.choice(sorted(self.members))
        self.kill(down, power=self.rng.random() < 0.5)
        self._must_write("a bare majority accepts a write")
        self._start_again(down)
        self._calling = False
        self._must_write("the whole cluster accepts a write")
        self.until(self._agree, RECOVERY, "all members hold the same state")
        machines = {m.name: m.machine for m in self.members.values()}
        self.judges.members_agree({n: machine.seen for n, machine in machines.items() if machine})

    def _all_voters(self) -> bool:
        nodes = [member.node for member in self.members.values()]
        leader = self.leader()
        if leader is None or any(node is None or not node.raft.is_voter() for node in nodes):
            return False
        node = self.members[leader].node
        return node is not None and len(node.raft.voters) == len(self.members)

    def _must_write(self, what: str) -> None:
        before = len(self.judges.acknowledged)
        self._last = self.loop.time()

        def written() -> bool:
            running = self.alive()
            if running and self.loop.time() - self._last > 0.1:
                self._last = self.loop.time()
                self._proposed += 1
                self.propose(self.rng.choice(running), f"p{self._proposed}".encode())
            return len(self.judges.acknowledged) > before

        self.until(written, RECOVERY, what)

    def _agree(self) -> bool:
        nodes = [member.node for member in self.members.values() if member.node is not None]
        return len(nodes) == len(self.members) and len({node.applied for node in nodes}) == 1

    def picture(self) -> str:
        """Where everybody stands."""
        return "; ".join(
            f"{m.name} "
            + (
                f"role {m.node.raft.role} term {m.node.raft.term} commit {m.node.raft.commit}"
                f" last {m.node.raft.last().index} applied {m.node.applied}"
                f" voters {sorted(m.node.raft.voters)}"
                if m.node is not None
                else f"down ({m.stopped_for})"
            )
            for m in self.members.values()
        )
