"""The asyncio face of one member, and the driver of its Raft.

What the driver owes the core, in this order, once per turn of the loop in which anything came:

1. `tick`: elections, commits, applied entries, proposals, appends.
2. Flush the peers' frames: one frame per peer and turn. Before the disk's thread is woken, or
   the two would contend for the interpreter while followers wait.
3. Hand the journal's buffer to the disk, one job at a time; what arrives meanwhile shares the
   next one. A failed write or sync is never retried: the process ends with the reason.
4. Arm one timer for what is due without any message.

When a job of the disk ends: `synced`, which lets out the votes and acknowledgements that waited
for it, and a turn.
"""

import asyncio
import logging
import traceback
from collections.abc import Callable
from typing import Any

import msgspec

from raftcoord.consensus import messages as msg
from raftcoord.consensus.core import CANDIDATE, CONFIGURATION, LEADER, NO_OP, StateMachine
from raftcoord.consensus.edges import Edges
from raftcoord.consensus.folders import make_folder
from raftcoord.consensus.journal import Journal
from raftcoord.consensus.membership import Configuration, Member, encode_configuration
from raftcoord.consensus.peers import PeerAddress, peer_node
from raftcoord.consensus.proposals import BAD_MEMBER, NO_LEADER, Done, Outcome, refused
from raftcoord.consensus.raft import Raft
from raftcoord.consensus.reads import ReadDone
from raftcoord.consensus.records import Entry
from raftcoord.consensus.serving import stamp
from raftcoord.consensus.settings import MemberAddress, NodeSettings, NodeStatus, PeerStatus, Role
from raftcoord.consensus.snapshots import Snapshots
from raftcoord.consensus.transport import PeerTransport
from raftcoord.errors import ConfigInvalid, DataLocked, DataMissing

__all__ = [
    "MemberAddress",
    "Node",
    "NodeSettings",
    "NodeStatus",
    "Outcome",
    "PeerStatus",
    "StateMachine",
]

_log = logging.getLogger("raftcoord.node")


class Node:
    """One member of the cluster.

    Args:
        on_applied: called with (index, what the machine returned) for every entry, in log order,
            after its caller was told.
        on_installed: a snapshot replaced the state; entries were passed over.
        on_leader: the leader, this node's role or its readiness changed.
    """

    def __init__(
        self,
        settings: NodeSettings,
        machine: StateMachine,
        edges: Edges,
        on_applied: Callable[[int, Any], None] | None = None,
        on_installed: Callable[[], None] | None = None,
        on_leader: Callable[[], None] | None = None,
    ) -> None:
        self.settings = settings
        self.machine = machine
        self.on_applied = on_applied
        self.on_installed = on_installed
        self.on_leader = on_leader
        self._edges = edges
        self._scheduled = False
        self._stopped = False
        self._joined = False
        self._syncing = False
        self._drained: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._chores: asyncio.TimerHandle | None = None
        self._told: tuple[str, str | None] = ("", None)
        self._raft: Raft | None = None

    # Starting and stopping.

    async def start(self) -> None:
        """Open the data, listen, and take part.

        Raises:
            DataLocked: another process has the folder.
            DataMissing: the folder is empty and `start` is "normal".
            DataDamaged, UnknownFormat: the data cannot be trusted.
            ConfigInvalid: the folder is another node's or cluster's, or the port is taken.
        """
        self._loop = asyncio.get_running_loop()
        settings, disk = self.settings, self._edges.disk
        make_folder(disk, settings.data)
        if not disk.lock(f"{settings.data}/lock"):
            raise DataLocked(
                f"{settings.data} is in use by another process: stop that one first",
                path=settings.data,
            )
        journal = self._open_journal()
        snapshots = Snapshots(self._edges, f"{settings.data}/snapshots", cluster=settings.cluster)
        marked = [journal.snapshot.name] if journal.snapshot is not None else []
        snapshots.sweep(marked, newer=True)
        self._net = PeerTransport(
            self._edges,
            cluster=settings.cluster,
            node=settings.id,
            incarnation=journal.incarnation,
            boot=journal.boot,
            secret=settings.secret,
            on_wake=self.wake,
            shape=msg.AnyMessage,
        )
        self.boot = journal.boot
        self.incarnation = journal.incarnation
        journal.wake = self.wake
        self._raft = Raft(
            settings.id,
            journal=journal,
            snapshots=snapshots,
            transport=self._net,
            machine=self.machine,
            edges=self._edges,
            host=self,
            settings=settings.core,
        )
        if not self.raft.voters:
            self._dial_known_members()
        try:
            await self._net.listen(settings.host, settings.port)
        except OSError as error:
            raise ConfigInvalid(
                f"cannot listen for peers on {settings.host}:{settings.port}: {error.strerror};"
                " is another node running there?",
                key="peers.port",
            ) from error
        if self.raft.voters == {settings.id} and self.raft.is_voter():
            self.raft.deadline = self.raft.now()
        self._do_chores()
        self.wake()

    def _open_journal(self) -> Journal:
        settings = self.settings
        path = f"{settings.data}/journal"
        if not Journal.exists(self._edges, path):
            if settings.start == "normal":
                raise DataMissing(
                    f"{settings.data} holds no data, and {settings.id} may have voted before:"
                    f" bring it back as a learner with `python3 -m cluster rejoin {settings.id}`"
                    " (serve --join), or start a new cluster with --init",
                    path=settings.data,
                )
            return self._create_journal(path)
        return Journal.open(
            self._edges,
            path,
            cluster=settings.cluster,
            node=settings.id,
            segment_bytes=settings.segment_bytes,
        )

    def _create_journal(self, path: str) -> Journal:
        settings = self.settings
        base: list[Entry] = [(NO_OP, 0, 0)]
        incarnation = 0
        if settings.start == "init":
            members = {
                name: Member(address.peer, address.http)
                for name, address in sorted(settings.members.items())
            }
            first = stamp(CONFIGURATION, 0, encode_configuration(Configuration(members)))
            base.append((first, 1, 0))
        else:
            incarnation = int.from_bytes(self._edges.random_bytes(6), "big") + 1
        return Journal.create(
            self._edges,
            path,
            cluster=settings.cluster,
            node=settings.id,
            incarnation=incarnation,
            base=base,
            commit=base[-1][1],
            segment_bytes=settings.segment_bytes,
        )

    def _dial_known_members(self) -> None:
        for name, address in sorted(self.settings.members.items()):
            if name != self.settings.id:
                host, _, port = address.peer.rpartition(":")
                self._net.add_peer(name, PeerAddress(host, int(port)))

    async def stop(self) -> None:
        """Leave at once: connections are closed, nothing is written any more."""
        self._stopped = True
        for timer in (self._timer, self._chores):
            if timer is not None:
                timer.cancel()
        if self._raft is not None:
            self._net.close()
            if self._syncing:
                self._drained = self._loop.create_future()
                await self._drained

    # The face.

    @property
    def raft(self) -> Raft:
        """The core, once started."""
        assert self._raft is not None, "the node was not started"
        return self._raft

    @property
    def applied(self) -> int:
        """The index of the last entry that the machine has seen: the revision."""
        return self.raft.applied

    @property
    def cluster_time(self) -> int:
        """Milliseconds of cluster time."""
        return self.raft.cluster_time()

    @property
    def has_leader(self) -> bool:
        """Whether a proposal has somewhere to go."""
        return self.raft.leader is not None

    def propose(self, payload: bytes, done: Done, *, priority: bool = False) -> None:
        """Put a command into the log; `done` is called once, on the loop, with the outcome.

        priority: for what keeps the living alive or lets go of something; it has room of its own.
        """
        self.raft.propose(payload, done, priority=priority)
        self.wake()

    def read_barrier(self, done: ReadDone) -> None:
        """Call `done` with a revision, applied here, at which a linearizable read of now may be
        answered; with None where no leader can tell."""
        self.raft.read(done)
        self.wake()

    def add_learner(self, name: str, member: Member, done: Done) -> None:
        """Let a node copy the log without a vote."""
        learner = msgspec.structs.replace(member, voter=False)
        self._change(lambda known: known.with_member(name, learner), done)

    def promote(self, name: str, done: Done) -> None:
        """Give a learner its vote."""
        self._change(lambda known: known.promoted(name), done, name)

    def remove(self, name: str, done: Done) -> None:
        """Take a member out; a leader that removes itself steps down when that is committed."""
        self._change(lambda known: known.without(name), done, name)

    def _change(
        self,
        change: Callable[[Configuration], Configuration],
        done: Done,
        must_know: str | None = None,
    ) -> None:
        if self.raft.role != LEADER:
            done(refused(NO_LEADER))
            return
        if must_know is not None and must_know not in self.raft.history.current.members:
            done(refused(BAD_MEMBER))
            return
        self.raft.change_configuration(change(self.raft.history.current), done)

    def transfer(self, target: str | None, done: Callable[[bool], None]) -> None:
        """Hand leadership over; writes wait meanwhile, at most a second."""
        self.raft.transfer(target, done)

    def status(self) -> NodeStatus:
        """What this node knows."""
        raft = self.raft
        members = raft.history.current.members
        leader = raft.leader.id if raft.leader is not None else None
        leads = raft.role == LEADER
        last = raft.last().index
        peers = {}
        for name, member in members.items():
            if name == self.settings.id:
                continue
            match = raft.match_index.get(peer_node(name), 0) if leads else None
            peers[name] = PeerStatus(
                connected=name in self._net.connected,
                voter=member.voter,
                peer=member.peer,
                http=member.http,
                match=match,
                lag=None if match is None else last - match,
            )
        return NodeStatus(
            id=self.settings.id,
            cluster=self.settings.cluster,
            role=self._role(),
            leader=leader,
            leader_http=members[leader].http if leader in members else None,
            term=raft.term,
            revision=raft.applied,
            commit=raft.commit,
            last=last,
            ready=raft.is_ready(),
            full=raft.log.full,
            time=raft.cluster_time(),
            peers=peers,
            counters={**raft.counters, **raft.backlog(), **self._net.counters},
        )

    def _role(self) -> Role:
        if self.raft.role == LEADER:
            return "leader"
        if not self.raft.is_voter():
            return "learner"
        return "candidate" if self.raft.role == CANDIDATE else "follower"

    # What the core tells (its Host).

    def applied_entry(self, index: int, applied: Any) -> None:
        """An entry was applied."""
        if self.on_applied is not None:
            self.on_applied(index, applied)

    def installed(self) -> None:
        """The state was replaced by the leader's snapshot."""
        _log.info("%s: installed a snapshot up to entry %d", self.settings.id, self.applied)
        if self.on_installed is not None:
            self.on_installed()

    def leader_changed(self) -> None:
        """The leader, the role or the readiness changed."""
        if self._raft is None:
            return
        leader = self.raft.leader.id if self.raft.leader is not None else None
        if (self._role(), leader) != self._told:
            self._told = (self._role(), leader)
            _log.info("%s: %s, leader %s, term %d", self.settings.id, *self._told, self.raft.term)
        if self.on_leader is not None:
            self.on_leader()

    def wake(self) -> None:
        """Have a turn before the loop goes back to sleep."""
        if not self._scheduled and not self._stopped:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    # The driver.

    def _turn(self) -> None:
        self._scheduled = False
        if self._stopped or self._raft is None:
            return
        try:
            self._raft.tick()
            self._net.flush()
            self._start_sync()
            self._arm()
        except Exception:  # noqa: BLE001  # a consensus that lost its way must not go on
            self._edges.stop(f"{self.settings.id} stops: {traceback.format_exc()}")

    def _start_sync(self) -> None:
        journal = self.raft.log
        if self._syncing or not journal.dirty:
            return
        job = journal.take()
        if job is not None:
            self._syncing = True
            self._edges.run(job, self._synced)

    def _synced(self, _: Any, error: BaseException | None) -> None:
        self._syncing = False
        if self._drained is not None:
            self._drained.set_result(None)
            return
        try:
            self.raft.log.taken(error)
            self.raft.synced()
        except Exception as failure:  # noqa: BLE001  # never tried again
            self._edges.stop(f"{self.settings.id} stops: the journal cannot be synced: {failure}")
        self._turn()

    def _arm(self) -> None:
        due = self.raft.wake_at()
        if self._timer is not None:
            if self._timer_at <= due:
                return
            self._timer.cancel()
        self._timer_at = due
        delay = max(due - self.raft.now(), 0.0005)
        self._timer = self._loop.call_later(delay, self._timer_rang)

    def _timer_rang(self) -> None:
        self._timer = None
        self._turn()

    def _do_chores(self) -> None:
        """What is done a few times a second, whatever happens."""
        self._chores = self._loop.call_later(0.2, self._do_chores)
        self.raft.log.retry_space()
        # What is not committed can be cut again, and then nobody knows this node.
        raft = self.raft
        self._joined = self._joined or self._is_in(raft.history.at(raft.commit))
        if self.settings.start == "join" and not self._joined:
            mine = self.settings.members[self.settings.id]
            index = raft.history.index if self._is_in(raft.history.current) else 0
            join = msg.Join(
                term=raft.term,
                incarnation=self.incarnation,
                peer=mine.peer,
                http=mine.http,
                index=index,
                entry_term=(raft.term_at(index) or 0) if index else 0,
            )
            for name in sorted(self._net.connected):
                raft.send(peer_node(name), join)
            self.wake()

    def _is_in(self, configuration: Configuration) -> bool:
        member = configuration.members.get(self.settings.id)
        return member is not None and member.incarnation == self.incarnation
