"""One member's Raft, whole: the turn, the messages, membership, hand-over and snapshots."""

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from raftcoord.consensus import messages as msg
from raftcoord.consensus.core import LEADER
from raftcoord.consensus.membership import (
    Configuration,
    Member,
    encode_configuration,
    is_single_change,
    member_problem,
)
from raftcoord.consensus.peers import PeerNode, peer_node
from raftcoord.consensus.proposals import BAD_MEMBER, NO_LEADER, NOT_NOW, Done, refused
from raftcoord.consensus.records import SnapshotMarker
from raftcoord.consensus.serving import Serving
from raftcoord.consensus.shipping import SnapshotReceiver, SnapshotSender
from raftcoord.consensus.snapshots import SnapshotMeta, Snapshots

_log = logging.getLogger("raftcoord.consensus")


class _Transfer:
    """Leadership on its way to another member (dissertation, §3.10)."""

    def __init__(self, target: str, until: float, done: Callable[[bool], None]) -> None:
        self.target = target
        self.until = until
        self.done = done


class Raft(Serving):
    """What the driver holds. Call `tick` in every turn of the loop in which something came."""

    def __init__(self, *args: object, **options: object) -> None:
        self._transfer: _Transfer | None = None
        self._packing = False
        self._next_pack = 0.0
        self._marked: tuple[int, SnapshotMarker] | None = None
        super().__init__(*args, **options)
        self._sender = SnapshotSender(self.edges, self.snapshots, self._ship)
        self._receiver = SnapshotReceiver(self.edges, self.snapshots)

    def tick(self) -> None:
        """Do everything that is due."""
        self.elect()
        beat = self.now() >= self.beat_due
        if self.role == LEADER:
            self._lead(beat=beat)
        self.apply_committed()
        self.take_proposals()
        if self.role == LEADER:
            self.send_appends(beat=beat)
        self._care_for_snapshots()

    def wake_at(self) -> float:
        """When `tick` is due though nothing comes in, on the monotonic clock."""
        if self.role != LEADER:
            return self.deadline
        deadline = self.wake_for_deadline()
        return self.beat_due if deadline is None else min(self.beat_due, self.now() + deadline)

    def receive(self, node: PeerNode, message: msg.Message) -> None:
        """Adopt a higher term (§5.1), then do what the message's type asks."""
        # As `_or_stop`, which costs more than many a message.
        try:
            if message.term > self.term and not isinstance(message, _ASKS_ONLY):
                self.follow(message.term, None)
            _HANDLERS[type(message)](self, node, message)
            self.host.wake()
        except Exception:  # noqa: BLE001  # see `_or_stop`
            self.stop_process(traceback.format_exc())

    def connected(self, node: PeerNode) -> None:
        """Both sides start afresh."""
        with self._or_stop():
            if self.role == LEADER:
                self.restart_peer(node)
            self.host.wake()

    def disconnected(self, node: PeerNode) -> None:
        """A dead leader's connections close at once; a silent one is left to the timeout."""
        with self._or_stop():
            self._sender.stop(node.id)
            if self.role == LEADER:
                self.restart_peer(node)
            elif node == self.leader:
                self.leader_vanished(node)
            self.host.wake()

    @contextmanager
    def _or_stop(self) -> Iterator[None]:
        """A consensus that lost its way in the middle of a message must not go on."""
        try:
            yield
        except Exception:  # noqa: BLE001  # it ends the process, with the traceback
            self.stop_process(traceback.format_exc())

    def _lead(self, *, beat: bool) -> None:
        self.count_copies()
        if self._transfer is not None:
            self._continue_transfer(self._transfer)
        if not beat:
            return
        if not self.hears_quorum():
            _log.warning("%s: no quorum answers, stepping down in term %d", self.me, self.term)
            self.follow(self.term, None)
        elif self.me not in self.voters and self.history.index <= self.commit:
            self.follow(self.term, None)  # it removed itself, and that is committed (§4.2.2)
        elif self._transfer is None and self.log.full:
            self._hand_over_for_room()
        else:
            self._promote()

    def member_left(self, node: PeerNode) -> None:
        """Nothing is shipped to it any more; added again, it begins anew."""
        self._sender.stop(node.id)

    def stepped_down(self) -> None:
        """Whoever asked for a transfer hears that leadership has gone."""
        self._sender.stop_all()
        if self._transfer is not None:
            self._end_transfer(self._transfer, True)
        super().stepped_down()

    # Membership.

    def change_configuration(self, new: Configuration, done: Done) -> None:
        """Append `new`; refused unless this leader may change it now, by a single step."""
        if self.role != LEADER:
            self._tell(done, refused(NO_LEADER))
            return
        if any(member_problem(name, member) for name, member in new.members.items()):
            self._tell(done, refused(BAD_MEMBER))
            return
        first_committed = self.own_first is not None and self.commit >= self.own_first
        allowed = (
            first_committed
            and self._writable
            and self.history.index <= self.commit
            and is_single_change(self.history.current, new)
            and not self.log.full
        )
        if not allowed:
            self._tell(done, refused(NOT_NOW))
            return
        index = self.last().index + 1
        command = self.configuration_command(encode_configuration(new))
        self._waiting.add(index, self.term, done)
        self.add_entry(command, index, self.term)
        self.host.wake()

    def _promote(self) -> None:
        if self.history.index > self.commit:
            return
        for name, member in self.history.current.members.items():
            node = peer_node(name)
            if not member.promote or node not in self.linked or not self.same_folder(node):
                continue
            behind = self.last().index - self.match_index.get(node, 0)
            if behind <= self.settings.promote_within and self.match_index.get(node, 0):
                _log.info("%s has caught up and becomes a voter", name)
                self.change_configuration(self.history.current.promoted(name), lambda _: None)
                return

    def on_join(self, node: PeerNode, m: msg.Join) -> None:
        """A node with an empty log asks in: as a learner under a new incarnation, whoever had
        its name before. It is promoted when it has caught up.

        It knows those that were members when it was started: the leader may be none of them.
        """
        if self.role != LEADER:
            if not m.node and self.leader is not None:
                self.send(self.leader, msgspec.structs.replace(m, node=node.id))
                self.host.wake()
            return
        name = m.node or node.id
        known = self.history.current.members.get(name)
        if known is not None and known.incarnation == m.incarnation:
            return
        if 0 < m.index <= self.commit and self.term_at(m.index) == m.entry_term:
            return  # it was taken in, and has been removed since
        learner = Member(m.peer, m.http, incarnation=m.incarnation, voter=False, promote=True)
        new = self.history.current.with_member(name, learner)
        if new.voters:
            _log.info("%s joins as a learner", name)
            self.change_configuration(new, lambda _: None)

    # Hand-over.

    def transfer(self, target: str | None, done: Callable[[bool], None]) -> None:
        """Hand leadership to `target`, or to the voter that is furthest.

        Writes wait meanwhile, at most `transfer_patience`; `done(False)` where it came to nothing.
        """
        candidates = [node for node in self.peers() if self.votes_as(node)]
        if target is not None:
            candidates = [node for node in candidates if node.id == target]
        if self.role != LEADER or not candidates or self._transfer is not None:
            done(False)
            return
        best = max(candidates, key=lambda node: self.match_index[node])
        until = self.now() + self.settings.transfer_patience
        self._transfer = _Transfer(best.id, until, done)
        self._paused = True
        self.host.wake()

    def _continue_transfer(self, transfer: _Transfer) -> None:
        node = peer_node(transfer.target)
        if self.now() >= transfer.until or node not in self.linked:
            self._end_transfer(transfer, False)
        elif self.match_index.get(node, 0) == self.last().index:
            self.send(node, msg.TimeoutNow(term=self.term))

    def _end_transfer(self, transfer: _Transfer, moved: bool) -> None:
        self._transfer = None
        self._paused = False
        transfer.done(moved)

    def _hand_over_for_room(self) -> None:
        for node in self.peers():
            roomy = not self.peer_full.get(node.id, True)
            if roomy and self.votes_as(node) and self.match_index[node] == self.last().index:
                _log.warning("%s: disk is full, handing over to %s", self.me, node.id)
                self.transfer(node.id, lambda _: None)
                return

    # Snapshots.

    def _care_for_snapshots(self) -> None:
        if self._marked is not None and self._marked[0] <= self.log.synced:
            marker = self._marked[1]
            self._marked = None
            if marker.index - self.settings.keep_behind > self.log[0][1]:
                self.log.forget(marker.index - self.settings.keep_behind)
            self.history.forget(self.log[0][1])
            keep = {marker.name, *self._sender.in_use()}
            self.edges.run(lambda: self.snapshots.sweep(keep), self._swept, lane="bulk")
        size = 0 if self.log.snapshot is None else self.log.snapshot.size
        if self.behind_snapshot >= max(self.settings.snapshot_bytes, size):
            self.take_snapshot()

    def _swept(self, _: object, error: BaseException | None) -> None:
        if error is not None:
            _log.warning("%s: old snapshots could not be removed: %s", self.me, error)

    def take_snapshot(self) -> None:
        """Pack the applied state in a forked child; the loop goes on meanwhile."""
        marker = self.log.snapshot
        fresh = marker is None or marker.index < self.applied
        if self._packing or not fresh or self.now() < self._next_pack or self.applied == 0:
            return
        term = self.term_at(self.applied)
        if term is None:
            return
        self._packing = True
        behind = self.behind_snapshot
        meta = SnapshotMeta(
            cluster=self.log.cluster,
            index=self.applied,
            term=term,
            configuration=encode_configuration(self.history.at(self.applied)),
            clock=self.machine.clock,
        )
        name = Snapshots.name(meta.index, meta.term)

        def written(status: int) -> None:
            if status != 0:
                described(None, OSError(f"the packing child ended with {status}"))
                return
            self.edges.run(lambda: self.snapshots.describe(name), described, lane="bulk")

        def described(marker: SnapshotMarker | None, error: BaseException | None) -> None:
            with self._or_stop():
                take_up(marker, error)

        def take_up(marker: SnapshotMarker | None, error: BaseException | None) -> None:
            self._packing = False
            if error is not None or marker is None:
                self._next_pack = self.now() + 5.0
                _log.warning("%s: no snapshot was written: %s", self.me, error)
                return
            self.behind_snapshot = max(self.behind_snapshot - behind, 0)
            self.counters["snapshots"] += 1
            self._mark(marker)

        try:
            self.edges.fork(lambda: self._pack(meta), written)
        except OSError as error:
            described(None, error)

    def _pack(self, meta: SnapshotMeta) -> None:
        self.snapshots.write(meta, self.machine.pack())

    def _mark(self, marker: SnapshotMarker) -> None:
        known = self.log.snapshot
        if known is not None and known.index >= marker.index:
            return  # a snapshot of the leader's came meanwhile
        self.log.mark_snapshot(marker)
        self.needs = self.log.position
        self._marked = (self.log.position, marker)
        self.host.wake()

    def send_snapshot(self, node: PeerNode) -> None:
        """Finding 4, 5: one shipment per follower; its log is told of nothing meanwhile."""
        if self.log.snapshot is not None and not self._sender.sends_to(node.id):
            self._sender.start(node.id, self.log.snapshot)

    def _ship(self, member: str, marker: SnapshotMarker, offset: int, data: bytes) -> None:
        chunk = msg.SnapshotChunk(
            term=self.term,
            round=0,
            index=marker.index,
            index_term=marker.term,
            name=marker.name,
            size=marker.size,
            crc=marker.crc,
            offset=offset,
            data=data,
        )
        self.send(peer_node(member), chunk)
        self.host.wake()

    def on_snapshot_chunk(self, node: PeerNode, m: msg.SnapshotChunk) -> None:
        """Finding 5: what is committed here already is not installed again."""
        if not self.heed_leader(node, m.term):
            return
        if m.index <= self.commit:
            self._answer_snapshot(node, m.index, m.size, done=True)
            return
        marker = SnapshotMarker(m.index, m.index_term, m.name, m.size, m.crc)
        term = self.term

        def answer(offset: int) -> None:
            if self.term == term:
                self._answer_snapshot(node, m.index, offset, done=False)
                self.host.wake()

        def whole(finished: SnapshotMarker) -> None:
            # A node that cannot take the leader's state must not stay as if it had all there is.
            with self._or_stop():
                if finished.index > self.commit:
                    self._install(finished)
                if self.term == term:
                    self._answer_snapshot(node, m.index, m.size, done=True)
                self.host.wake()

        self._receiver.chunk(marker, m.offset, m.data, answer, whole)

    def _answer_snapshot(self, node: PeerNode, index: int, offset: int, *, done: bool) -> None:
        answer = msg.SnapshotAnswer(term=self.term, round=0, index=index, offset=offset, done=done)
        self.send_durable(node, answer)

    def _install(self, marker: SnapshotMarker) -> None:
        """Findings 4-6: verified and durable before; entries that match behind it stay."""
        meta, chunks = self.snapshots.load(marker)
        self.machine.restore(chunks)
        keep = self.term_at(marker.index) == marker.term
        self.log.mark_snapshot(marker)
        self.log.reset(marker.index, marker.term, keep)
        self.needs = self.log.position
        self._marked = (self.log.position, marker)
        self.applied = marker.index
        self.set_commit(marker.index)
        self.behind_snapshot = 0
        self.restore_history(marker.index, meta.configuration, keep=keep)
        self.counters["installs"] += 1
        self.passed_over(marker.index)
        self.host.installed()

    def on_snapshot_answer(self, node: PeerNode, m: msg.SnapshotAnswer) -> None:
        """The follower holds the snapshot: go on behind it."""
        if m.term != self.term or self.role != LEADER or node not in self.next_index:
            return
        if self.same_folder(node):
            self.heard[node] = self.now()
        self._sender.answered(node.id, m.index, m.offset, done=m.done)
        if m.done:
            self.next_index[node] = max(self.next_index[node], m.index + 1)


_ASKS_ONLY = (msg.PreVoteRequest, msg.Join)
"""Of no term yet, whatever they carry."""
_HANDLERS: dict[type[msg.Message], Callable[..., None]] = {
    msg.PreVoteRequest: Raft.on_pre_vote_request,
    msg.PreVote: Raft.on_pre_vote,
    msg.VoteRequest: Raft.on_vote_request,
    msg.Vote: Raft.on_vote,
    msg.Append: Raft.on_append,
    msg.Heartbeat: Raft.on_heartbeat,
    msg.Committed: Raft.on_committed,
    msg.AppendAnswer: Raft.on_append_answer,
    msg.SnapshotChunk: Raft.on_snapshot_chunk,
    msg.SnapshotAnswer: Raft.on_snapshot_answer,
    msg.TimeoutNow: Raft.on_timeout_now,
    msg.Forward: Raft.on_forward,
    msg.ForwardAnswer: Raft.on_forward_answer,
    msg.ReadRequest: Raft.on_read_request,
    msg.ReadAnswer: Raft.on_read_answer,
    msg.Join: Raft.on_join,
    msg.Diverged: Raft.on_diverged,
}
