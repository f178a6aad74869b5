"""Proposals, reads and the machine: what the core does for its callers.

Every caller is answered once (finding 16). Entries are stamped with cluster time by the leader
when it appends them; nothing of a client is appended before the leader's own first entry is
applied, from where its clock starts.
"""

import logging
from collections.abc import Callable
from typing import Any

from raftcoord.consensus import messages as msg
from raftcoord.consensus.clock import ClusterClock
from raftcoord.consensus.core import CONFIGURATION, HEADER, LEADER, REGULAR
from raftcoord.consensus.digests import CHECKPOINT
from raftcoord.consensus.peers import PeerNode, peer_node
from raftcoord.consensus.proposals import (
    NO_LEADER,
    OVERLOADED,
    STORAGE_FULL,
    TOO_LARGE,
    AskedLeader,
    Done,
    Origin,
    Outcome,
    Proposal,
    ProposalQueue,
    WaitingCallers,
    refused,
    unknown,
)
from raftcoord.consensus.reads import AskedReads, ReadDone
from raftcoord.consensus.replicating import RESERVED, Replicating
from raftcoord.errors import CannotApply

_log = logging.getLogger("raftcoord.consensus")

APPLY_SLICE = 512
"""Entries applied in one turn of the loop, so that it stays responsive."""

MAX_PAYLOAD = 2 << 20
"""Bytes of a command; a longer one would not fit into a frame with what stands around it."""

APPEND_SLICE = 4096
"""Proposals appended in one turn."""


def stamp(kind: bytes, time: int, payload: bytes) -> bytes:
    """An entry's command: its type, cluster time in ms, and what it carries."""
    return kind + time.to_bytes(8, "big") + payload


def time_of(command: bytes) -> int:
    """The cluster time an entry carries; 0 for a leader's first entry, which carries none and
    so stands for the time of the entry before it."""
    return int.from_bytes(command[1:HEADER], "big") if len(command) >= HEADER else 0


class Serving(Replicating):
    """Proposals in, outcomes out."""

    def __init__(self, *args: object, **options: object) -> None:
        self._queue = ProposalQueue()
        self._waiting = WaitingCallers()
        self._clock = ClusterClock()
        self._writable = False
        self._paused = False
        self._tail_time = 0
        self._advance_index = 0
        self._applied_term = 0
        self._applied_time = 0
        self._inherited = 0
        journal: Any = options["journal"]
        settings: Any = options["settings"]
        # A wiped folder counts its boots anew: its incarnation tells its requests from the old's.
        run = journal.incarnation << 16 | journal.boot & 0xFFFF
        self._asked = AskedLeader(run, settings.forward_patience)
        self._asked_reads = AskedReads(run)
        self._read_waits: list[tuple[int, ReadDone]] = []
        super().__init__(*args, **options)

    # What callers use.

    def propose(self, payload: bytes, done: Done, *, priority: bool = False) -> None:
        """Put a command into the log, here or at the leader."""
        if len(payload) > MAX_PAYLOAD:
            self._tell(done, refused(TOO_LARGE))
        elif not self._queue.put(Proposal(payload, priority, done)):
            self._tell(done, refused(OVERLOADED))

    def read(self, done: ReadDone) -> None:
        """Call `done` with the index that a linearizable read may be answered at, once it is
        applied here; with None where nobody can tell."""
        if self.role == LEADER:
            self.reads.add(self._when_applied(done))
        elif self.leader is None:
            done(None)
        else:
            self._asked_reads.add(self._when_applied(done))

    def _when_applied(self, done: ReadDone) -> ReadDone:
        def reached(index: int | None) -> None:
            if index is None or index <= self.applied:
                self._call(done, index)
            else:
                self._read_waits.append((index, done))

        return reached

    def cluster_time(self) -> int:
        """Milliseconds: the leader's clock; elsewhere what the leader told last, and what has gone
        by since. For showing how much is left; nothing is decided by it."""
        if self.role == LEADER and self._writable:
            return max(self.machine.clock, self._clock.read(self.now()))
        term, time = self.heard_time
        known = max(self.machine.clock, self._applied_time)
        if term != self.term or not time or self.leader is None:
            return known
        return max(known, time + int((self.now() - self.leader_heard_at) * 1000))

    def leader_time(self) -> int:
        """What followers are told, to go on from when this leader is gone."""
        return self._clock.read(self.now()) if self._writable else 0

    def backlog(self) -> dict[str, int]:
        """How much waits, by kind."""
        return {
            "queued": len(self._queue),
            "appended": len(self._waiting),
            "forwarded": len(self._asked),
            "held": len(self.held),
        }

    def is_ready(self) -> bool:
        """Whether this node knows its leader and has applied what that had committed."""
        if self.role == LEADER:
            return self._writable
        return self.leader is not None and self.ready_term == self.term

    # Proposals.

    def become_leader(self) -> None:
        """Nothing of a client is appended before the first entry is applied."""
        self._writable = False
        self._advance_index = 0
        # Time that went by under the last leader without an entry counts too. Only where the log
        # ends in that leader's term: else another one, whose clock this node never heard, may
        # have granted something since.
        term, time = self.heard_time
        self._inherited = time if term == self.last().term else 0
        super().become_leader()

    def stepped_down(self) -> None:
        """Reads cannot be answered any more; proposals may still be committed by another."""
        self._writable = False
        for read in self.reads.drop_all():
            read(None)

    def leader_lost(self) -> None:
        """Finding 16: nobody waits for the old leader's word."""
        for done in self._asked.drop_all():
            self._tell(done, unknown("the leader changed before it answered"))
        for read in self._asked_reads.drop_all():
            read(None)
        self.host.leader_changed()

    def take_proposals(self) -> None:
        """Append what is queued (leader), or send it on, or refuse it."""
        for done in self._asked.expired(self.now()):
            self._tell(done, unknown("the leader did not answer in time"))
        if self.role == LEADER:
            if self._writable and not self._paused:
                self._append_queued()
            elif not self._writable and not self.has_room():
                # Its first entry cannot be committed until there is room.
                for proposal in self._queue.take(APPEND_SLICE):
                    self._refuse(proposal, STORAGE_FULL)
            return
        for proposal in self._queue.take(APPEND_SLICE):
            if proposal.done is None or self.leader is None:
                self._refuse(proposal, NO_LEADER)
                continue
            request = self._asked.add(proposal.done, self.now())
            forward = msg.Forward(
                term=self.term, id=request, payload=proposal.payload, priority=proposal.priority
            )
            self.send(self.leader, forward)
        request_id = self._asked_reads.ask() if self.leader is not None else None
        if request_id is not None and self.leader is not None:
            self.send(self.leader, msg.ReadRequest(term=self.term, id=request_id))

    def _append_queued(self) -> None:
        now = self._clock.read(self.now())
        index = self.last().index
        room = self.has_room()
        for proposal in self._queue.take(APPEND_SLICE):
            if not room:
                self._refuse(proposal, STORAGE_FULL)
                continue
            if index - self.commit >= self.settings.backlog:
                self._refuse(proposal, OVERLOADED)
                continue
            index += 1
            self._tail_time = max(self._tail_time, now)
            self.add_entry(stamp(REGULAR, self._tail_time, proposal.payload), index, self.term)
            if proposal.done is not None:
                self._waiting.add(index, self.term, proposal.done)
            elif proposal.origin is not None:
                node = peer_node(proposal.origin.node)
                self.owed[node.id] = index
                self._answer_forward(proposal.origin, index=index)
        self._advance_clock(now)

    def _advance_clock(self, now: int) -> None:
        """Append an empty entry where something is due and nothing else carries the time."""
        due = self.machine.next_deadline()
        if due is None or due > now or self._advance_index > self.applied:
            return
        if self.settings.advance is None or self.log.room < RESERVED:
            return
        self._advance_index = self.last().index + 1
        self._tail_time = max(self._tail_time, now)
        command = stamp(REGULAR, self._tail_time, self.settings.advance(self.term))
        self.add_entry(command, self._advance_index, self.term)

    def wake_for_deadline(self) -> float | None:
        """Seconds until something is due by cluster time; None where nothing is."""
        due = self.machine.next_deadline()
        waits = self.settings.advance is None or self._advance_index > self.applied
        if due is None or waits or not self._writable or self.log.room < RESERVED:
            return None
        return max(due - self._clock.read(self.now()), 1) / 1000

    def _refuse(self, proposal: Proposal, reason: str) -> None:
        if proposal.origin is not None:
            self._answer_forward(proposal.origin, reason=reason)
        elif proposal.done is not None:
            self._tell(proposal.done, refused(reason))

    def _answer_forward(self, origin: Origin, *, index: int = 0, reason: str | None = None) -> None:
        answer = msg.ForwardAnswer(
            term=self.term, id=origin.id, index=index, entry_term=self.term, refused=reason
        )
        self.send(peer_node(origin.node), answer)

    def on_forward(self, node: PeerNode, m: msg.Forward) -> None:
        """Finding 15: the id carries the sender's boot, so that no answer is taken twice."""
        origin = Origin(node.id, m.id)
        if self.role != LEADER:
            self._answer_forward(origin, reason=NO_LEADER)
        elif len(m.payload) > MAX_PAYLOAD:
            self._answer_forward(origin, reason=TOO_LARGE)
        elif not self._queue.put(Proposal(m.payload, m.priority, origin=origin)):
            self._answer_forward(origin, reason=OVERLOADED)

    def on_forward_answer(self, node: PeerNode, m: msg.ForwardAnswer) -> None:
        """The caller goes on to wait for the entry to be applied here."""
        done = self._asked.pop(m.id)
        if done is None:
            return
        if m.refused is not None:
            self._tell(done, refused(m.refused))
        elif m.index <= self.applied:
            self._tell(done, unknown("the entry was applied before its place was known"))
        else:
            self._waiting.add(m.index, m.entry_term, done)

    def entries_cut(self, index: int) -> None:
        """Another node may still commit them."""
        for done, outcome in self._waiting.cut(index):
            self._tell(done, outcome)

    def _tell(self, done: Done, outcome: Outcome) -> None:
        self._call(done, outcome)

    def _call(self, done: Callable[[Any], None], what: Any) -> None:
        try:
            done(what)
        except Exception:  # noqa: BLE001  # finding 12: a caller's fault is not the log's
            self.counters["caller_errors"] += 1
            _log.exception("a caller failed on its outcome")

    # Reads through the leader.

    def on_read_request(self, node: PeerNode, m: msg.ReadRequest) -> None:
        """One question may stand for many reads."""

        def done(index: int | None) -> None:
            self.send(node, msg.ReadAnswer(term=self.term, id=m.id, index=index))
            if index is not None:
                self.push_commit(node, index)
            self.host.wake()

        if self.role == LEADER:
            self.reads.add(done)
        else:
            done(None)

    def on_read_answer(self, node: PeerNode, m: msg.ReadAnswer) -> None:
        """The leader's commit index of the time the question reached it."""
        for done in self._asked_reads.answered(m.id):
            done(m.index)

    # The machine.

    def apply_committed(self) -> None:
        """Hand committed entries to the machine, in log order, a slice at a time."""
        end = min(self.commit, self.applied + APPLY_SLICE)
        while self.applied < end:
            index = self.applied + 1
            entry = self.entry_at(index)
            if entry is None:
                self.stop_process(f"entry {index} is committed and not in the log")
            command, _, term = entry
            payload = command[HEADER:] if command[:1] == REGULAR else b""
            try:
                time = time_of(command)
                applied = self.machine.apply(index, term, time, payload)
            except (CannotApply, MemoryError) as error:
                self.stop_process(f"entry {index} cannot be applied: {error}")
            self.applied = index
            # The machine's clock need not have followed all the way.
            self._applied_time = max(self._applied_time, time)
            if index % CHECKPOINT == 0:
                self.digests.mark(self.me, index, self.machine.digest())
            self._first_applied(index, term)
            for done, outcome in self._waiting.applied(index, term, applied.reply):
                self._tell(done, outcome)
            if term > self._applied_term:
                self._applied_term = term
                for done, outcome in self._waiting.superseded(index, term):
                    self._tell(done, outcome)
            self.host.applied_entry(index, applied)
        if self.applied < self.commit:
            self.host.wake()
        self._serve_read_waits()

    def _first_applied(self, index: int, term: int) -> None:
        if self.role == LEADER and index == self.own_first and term == self.term:
            start = max(self.machine.clock, self._inherited, self._applied_time)
            self._clock.start(start, self.now())
            self._tail_time = start
            self._writable = True
            self.ready_term = self.term
            self.host.leader_changed()
            self.host.wake()

    def _serve_read_waits(self) -> None:
        if self._read_waits:
            ready = [wait for wait in self._read_waits if wait[0] <= self.applied]
            self._read_waits = [wait for wait in self._read_waits if wait[0] > self.applied]
            for index, done in ready:
                self._call(done, index)

    def passed_over(self, index: int) -> None:
        """A snapshot took the place of the entries up to `index`."""
        for done, outcome in self._waiting.covered(index):
            self._tell(done, outcome)
        self._serve_read_waits()

    def configuration_command(self, payload: bytes) -> bytes:
        """An entry that holds a configuration."""
        return stamp(CONFIGURATION, self._tail_time, payload)
