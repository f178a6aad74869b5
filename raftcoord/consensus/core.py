"""The binding to PySyncObj 0.3.17: the only file that touches its private parts.

The library keeps the fields that decide (term, vote, role, log, commit and applied index, next
and match index); the rules that decide are in `elections`, `replication` and `membership`, and
`electing`, `replicating`, `serving` and `raft` build on this class without a private name.
Each method named `_SyncObj__…` replaces the library's own at the seam where it is called and
says which finding it closes (docs/consensus.md lists them).

Messages go out in two ways: at once, or behind the journal's sync when they promise what must
be durable (a vote, an acknowledgement). Nothing here blocks: disk work is handed to the driver
(`node`).
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import pysyncobj
from pysyncobj import SyncObj, SyncObjConf

from raftcoord.consensus import messages as msg
from raftcoord.consensus.edges import Edges
from raftcoord.consensus.elections import LogEnd
from raftcoord.consensus.journal import Journal
from raftcoord.consensus.membership import ConfigurationHistory, decode_configuration
from raftcoord.consensus.peers import PeerAddress, PeerNode, peer_node
from raftcoord.consensus.replication import Entry
from raftcoord.consensus.snapshots import Snapshots

if TYPE_CHECKING:
    from raftcoord.consensus.transport import PeerTransport

if pysyncobj.version.VERSION != "0.3.17":
    raise ImportError(f"raftcoord needs pysyncobj 0.3.17, found {pysyncobj.version.VERSION}")

FOLLOWER, CANDIDATE, LEADER = 0, 1, 2
REGULAR, NO_OP, CONFIGURATION = b"\0", b"\1", b"\2"
HEADER = 9  # a type byte and 8 bytes of cluster time


class StateMachine(Protocol):
    """What consensus asks of the machine it drives."""

    @property
    def clock(self) -> int:
        """Cluster time in ms."""

    def apply(self, index: int, term: int, time: int, payload: bytes) -> Any:
        """Apply one entry; raises only CannotApply and MemoryError."""

    def next_deadline(self) -> int | None:
        """Cluster time in ms at which something is due."""

    def pack(self) -> Iterator[bytes]:
        """The whole state."""

    def restore(self, chunks: Iterable[bytes]) -> None:
        """Take a packed state, all or nothing."""

    def digest(self) -> int:
        """A digest of all that was applied."""


class Host(Protocol):
    """Who drives the core and hears of what it did."""

    def applied_entry(self, index: int, applied: Any) -> None:
        """An entry was applied."""

    def installed(self) -> None:
        """A snapshot of the leader's replaced the state: entries were passed over."""

    def leader_changed(self) -> None:
        """The leader, the role or the readiness changed."""

    def wake(self) -> None:
        """Call `tick` in this turn of the loop."""


@dataclass(frozen=True)
class CoreSettings:
    """Times in seconds, sizes in bytes.

    election_min, election_max: a follower that heard no leader for a random time between them
        campaigns. A leader that a quorum did not answer for `election_max` steps down.
    batch, window: the size of one append, and how many may be unanswered per follower.
    backlog: entries that may be appended and not committed; more are refused.
    promote_within: entries a learner may be behind when it becomes a voter.
    advance: makes the command that only moves the clock, given the leader's term.
    """

    heartbeat: float = 0.05
    election_min: float = 0.4
    election_max: float = 0.7
    stagger: float = 0.03
    batch: int = 256 << 10
    window: int = 16
    backlog: int = 100_000
    keep_behind: int = 10_000
    snapshot_bytes: int = 64 << 20
    promote_within: int = 1_000
    transfer_patience: float = 1.0
    forward_patience: float = 2.0
    advance: Callable[[int], bytes] | None = None


def _field(name: str) -> Any:
    """A private field of the library under a name of ours, read without a call of Python's."""
    private = f"_SyncObj__{name}"
    return property(attrgetter(private), lambda core, value: setattr(core, private, value))


class Core(SyncObj):
    """One member's Raft, less what `electing`, `replicating`, `serving` and `raft` add.

    Times are seconds of the edges' monotonic clock.
    """

    # The library's fields that are read or written: all of them.
    term: int = _field("raftCurrentTerm")
    voted_for: str | None = _field("votedForNodeId")
    role: int = _field("raftState")
    leader: PeerNode | None = _field("raftLeader")
    log: Journal = _field("raftLog")
    commit: int = _field("raftCommitIndex")
    applied: int = _field("raftLastApplied")
    next_index: dict[PeerNode, int] = _field("raftNextIndex")
    match_index: dict[PeerNode, int] = _field("raftMatchIndex")
    heard: dict[PeerNode, float] = _field("lastResponseTime")
    others: set[PeerNode] = _field("otherNodes")
    linked: set[PeerNode] = _field("connectedNodes")
    deadline: float = _field("raftElectionDeadline")
    beat_due: float = _field("newAppendEntriesTime")
    own_first: int | None = _field("noopIDx")

    def __init__(
        self,
        me: str,
        *,
        journal: Journal,
        snapshots: Snapshots,
        transport: "PeerTransport",
        machine: StateMachine,
        edges: Edges,
        host: Host,
        settings: CoreSettings,
    ) -> None:
        """Load the newest marked snapshot and take up the journal's term, vote and log.

        Raises DataDamaged where the snapshot cannot be read.
        """
        self.me = me
        self.machine = machine
        self.settings = settings
        self.history = ConfigurationHistory()
        self.voters: frozenset[str] = frozenset()
        self.counters = dict.fromkeys(("elections", "caller_errors", "snapshots", "installs"), 0)
        self.held: deque[tuple[int, PeerNode, msg.Message]] = deque()
        self.edges, self.host, self.net, self.snapshots = edges, host, transport, snapshots
        self.needs = 0
        self.behind_snapshot = 0
        self.deferred = False
        self._peers: list[PeerNode] | None = None
        # The constructor reads every attribute there is before it sets this one.
        self.beat_due = 0.0
        conf = SyncObjConf(
            autoTick=False,
            raftMinTimeout=settings.election_min,
            raftMaxTimeout=settings.election_max,
            appendEntriesPeriod=settings.heartbeat,
            leaderFallbackTimeout=settings.election_max,
            connectionTimeout=max(3.5, settings.election_max),
            pollerType="select",  # the only one that opens no descriptor; it is never polled
        )
        super().__init__(peer_node(me), [], conf, transport=transport)
        # The constructor worked on an empty log in memory; here the durable one takes its place.
        self.log = journal
        self.term, self.voted_for = journal.getCurrentTerm(), journal.getVotedForNodeId()
        self.commit = journal.getRaftCommitIndex()
        self.own_first = None
        self._load()
        self.rearm()
        self.needs = journal.position

    def _load(self) -> None:
        marker = self.log.snapshot
        self.applied = self.log[0][1]
        if marker is not None:
            meta, chunks = self.snapshots.load(marker)
            self.machine.restore(chunks)
            self.history.reset(marker.index, decode_configuration(meta.configuration))
            self.applied = marker.index
            self.commit = max(self.commit, marker.index)
        for command, index, _ in self.log[:]:
            if index > self.applied:
                self.behind_snapshot += len(command)
                if command[:1] == CONFIGURATION:
                    self.history.append(index, decode_configuration(command[HEADER:]))
        self.reconfigure()

    # The log.

    def last(self) -> LogEnd:
        """Where this node's log ends."""
        _, index, term = self.log[-1]
        return LogEnd(term, index)

    def entry_at(self, index: int) -> Entry | None:
        """The entry at a log index, where the log holds it."""
        first = self.log[0][1]
        return self.log[index - first] if first <= index < first + len(self.log) else None

    def term_at(self, index: int) -> int | None:
        """The term of the entry at a log index."""
        entry = self.entry_at(index)
        return None if entry is None else entry[2]

    def add_entry(self, command: bytes, index: int, term: int) -> None:
        """Append; a configuration is in force from here on (finding 13)."""
        self.log.add(command, index, term)
        self.behind_snapshot += len(command)
        self.needs = self.log.position
        if command[:1] == CONFIGURATION:
            self.history.append(index, decode_configuration(command[HEADER:]))
            self.reconfigure()

    def cut_entries(self, index: int) -> None:
        """Delete the entries from `index` on; configurations among them are undone."""
        self.invariant(index > self.commit, f"entry {index} is committed and would be cut")
        self.log.deleteEntriesFrom(index - self.log[0][1])
        self.needs = self.log.position
        self.history.cut(index)
        self.reconfigure()

    def set_commit(self, index: int) -> None:
        """The commit index never falls and never passes the log's end (findings 4, 10)."""
        self.invariant(
            self.commit <= index <= self.last().index,
            f"commit index from {self.commit} to {index}, log ends at {self.last().index}",
        )
        self.commit = index
        self.log.setRaftCommitIndex(index)

    def set_term(self, term: int, voted_for: str | None) -> None:
        """Finding 9: term and vote are records of the journal, durable before they are told."""
        self.invariant(term >= self.term, f"term from {self.term} to {term}")
        self._SyncObj__setCurrentTerm(term, voted_for)
        self.needs = self.log.position

    def set_role(self, role: int) -> None:
        """FOLLOWER, CANDIDATE or LEADER."""
        self._SyncObj__setState(role)

    def lead_from_here(self) -> None:
        """The library's own: this node leads its term and appends its first entry."""
        super()._SyncObj__onBecomeLeader()
        self.needs = self.log.position
        now = self.now()
        for node in self.others:
            self.heard[node] = now

    # The configuration.

    def is_voter(self) -> bool:
        """Whether this data folder votes and counts by the configuration in force."""
        member = self.history.current.members.get(self.me)
        return member is not None and member.voter and member.incarnation == self.log.incarnation

    def may_stand(self) -> bool:
        """Whether this data folder may campaign: a voter, or one whose removal is not committed
        and which may hold what the others need (dissertation, §4.2.2). That one's own vote does
        not count."""
        if self.is_voter() or self.history.index <= self.commit:
            return self.is_voter()
        before = self.history.at(self.history.index - 1).members.get(self.me)
        return before is not None and before.voter and before.incarnation == self.log.incarnation

    def same_folder(self, node: PeerNode) -> bool:
        """Whether the connected node is the data folder that the configuration names."""
        member = self.history.current.members.get(node.id)
        link = self.net.connection(node.id)
        return member is not None and link is not None and link.incarnation == member.incarnation

    def votes_as(self, node: PeerNode) -> bool:
        """Whether a vote of this connected node counts (finding 14)."""
        return node.id in self.voters and self.same_folder(node)

    def restore_history(self, index: int, configuration: bytes, *, keep: bool) -> None:
        """A snapshot that ends at `index` replaced the log, or the log's front (`keep`)."""
        if not keep:
            self.history.cut(0)
        self.history.reset(index, decode_configuration(configuration))
        self.reconfigure()

    def reconfigure(self) -> None:
        """Make the last configuration of the log the one in force."""
        members = self.history.current.members
        self._peers = None
        self.voters = self.history.current.voters
        wanted = {peer_node(name): member for name, member in members.items() if name != self.me}
        for node in sorted(self.others - wanted.keys(), key=lambda node: node.id):
            self.others.discard(node)
            self.next_index.pop(node, None)
            self.match_index.pop(node, None)
            self.heard.pop(node, None)
            self.net.drop_peer(node.id)
            self.member_left(node)
        for node, member in wanted.items():
            host, _, port = member.peer.rpartition(":")
            self.net.add_peer(node.id, PeerAddress(host, int(port)))
            if node not in self.others:
                self.others.add(node)
                self.next_index[node] = self.last().index + 1
                self.match_index[node] = 0
                self.heard[node] = self.now()
            elif not self.same_folder(node):
                self.match_index[node] = 0

    def member_left(self, node: PeerNode) -> None:
        """A node is no longer in the configuration."""

    # What the others build on.

    def now(self) -> float:
        """Seconds of the monotonic clock."""
        return self.edges.monotonic()

    def invariant(self, holds: bool, text: str) -> None:
        """Stop the process where `holds` is false: a wrong answer is worse than none."""
        if not holds:
            self.stop_process(f"invariant broken: {text}")

    def stop_process(self, reason: str) -> NoReturn:
        """End at once with a reason."""
        self.edges.stop(f"{self.me} stops: {reason}")

    def rearm(self) -> None:
        """Put the election deadline off by a random time."""
        self.deferred = False
        self.deadline = self.now() + self._SyncObj__generateRaftTimeout()

    def peers(self) -> list[PeerNode]:
        """The connected members, by id."""
        if self._peers is None:
            self._peers = sorted(self.others & self.linked, key=lambda node: node.id)
        return self._peers

    def send(self, node: PeerNode, message: msg.Message) -> None:
        """Send at the end of this turn."""
        self.net.send(node, message)

    def send_durable(self, node: PeerNode, message: msg.Message) -> None:
        """Send once everything that is in the journal now is synced (finding 11)."""
        if self.needs <= self.log.synced:
            self.send(node, message)
        else:
            self.held.append((self.needs, node, message))

    def release(self) -> None:
        """The journal's sync moved on: let out what waited for it."""
        durable = self.log.synced
        while self.held and self.held[0][0] <= durable:
            _, node, message = self.held.popleft()
            self.send(node, message)

    # The library's seams. What it calls lands in methods of ours.

    def _SyncObj__generateRaftTimeout(self) -> float:
        spread = self.settings.election_max - self.settings.election_min
        return self.settings.election_min + spread * self.edges.random()

    def _onTick(self, timeToWait: float = 0.0) -> None:
        """Findings 10, 11, 13, 14: commit counting and quorum stand inline in the library's."""
        self.tick()

    def _SyncObj__onMessageReceived(self, node: PeerNode, message: msg.Message) -> None:
        """Findings 1-6, 14, 15, 17, 21: every message has a term, a type and a shape."""
        self.receive(node, message)

    def _SyncObj__onNodeConnected(self, node: PeerNode) -> None:
        super()._SyncObj__onNodeConnected(node)
        self._peers = None
        self.connected(node)

    def _SyncObj__onNodeDisconnected(self, node: PeerNode) -> None:
        """Finding 16: what was forwarded over a lost connection has an unknown outcome."""
        super()._SyncObj__onNodeDisconnected(node)
        self._peers = None
        self.disconnected(node)

    def _SyncObj__sendAppendEntries(self) -> None:
        """Findings 2, 5, 20, 21: windows of whole entries, never back before what is matched."""
        self.send_appends(beat=True)

    def _SyncObj__onLeaderChanged(self) -> None:
        """Finding 16: what was asked of the old leader gets its answer, once."""
        self.leader_lost()

    def _SyncObj__applyLogEntries(self) -> bool:
        """Finding 12: the applied index moves with every entry, whatever a caller does."""
        self.apply_committed()
        return False

    def _SyncObj__tryLogCompaction(self) -> None:
        """Findings 7, 8: a snapshot never takes the log behind it along."""

    def _SyncObj__loadDumpFile(self, clearJournal: bool) -> NoReturn:
        """Findings 6, 25."""
        self.stop_process("the library's dump file is not in use")

    def _applyCommand(self, command: bytes, callback: Any, commandType: int | None = None) -> None:
        """Finding 19: its other command types are pickled; nothing of ours comes this way."""
        self.stop_process("commands come in by `propose`")

    def _SyncObj__changeCluster(self, request: Any) -> NoReturn:
        """Findings 13, 22: membership is changed by `change_configuration`."""
        self.stop_process("the library's membership change is not in use")

    def setCodeVersion(self, newVersion: int, callback: Any = None) -> NoReturn:
        """Finding 23: versions are the commands' own."""
        self.stop_process("the library's code versions are not in use")

    def tick(self) -> None:
        """Do all that is due."""
        raise AssertionError

    def receive(self, node: PeerNode, message: msg.Message) -> None:
        """A message came in."""
        raise AssertionError

    def connected(self, node: PeerNode) -> None:
        """A member's connection was made."""
        raise AssertionError

    def disconnected(self, node: PeerNode) -> None:
        """A member's connection was lost."""
        raise AssertionError

    def send_appends(self, *, beat: bool) -> None:
        """Send the followers what they miss."""
        raise AssertionError

    def leader_lost(self) -> None:
        """The leader is no longer the one that was known."""
        raise AssertionError

    def apply_committed(self) -> None:
        """Hand committed entries to the machine."""
        raise AssertionError
