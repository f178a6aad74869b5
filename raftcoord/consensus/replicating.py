"""The log from leader to followers: `replication` bound to the core.

The leader sends before its own sync and counts itself only after it; a follower answers after
the sync that covers what it acknowledges (finding 11). Several appends are under way at once;
an answer never takes back what an earlier one acknowledged (1, 2).
"""

import logging

from raftcoord.consensus import messages as msg
from raftcoord.consensus import replication
from raftcoord.consensus.core import LEADER, REGULAR
from raftcoord.consensus.digests import Digests
from raftcoord.consensus.electing import Electing
from raftcoord.consensus.elections import is_quorum
from raftcoord.consensus.peers import PeerNode, peer_node
from raftcoord.consensus.reads import ReadRounds

_log = logging.getLogger("raftcoord.consensus")


RESERVED = 16 << 10
"""Bytes of the journal that are kept for votes, commits and members when the disk is full."""


class Replicating(Electing):
    """Appends, acknowledgements, commits."""

    ready_term: int = -1
    """The last term in which this node had what its leader had committed when they met."""

    def __init__(self, *args: object, **options: object) -> None:
        self.reads = ReadRounds()
        self.digests = Digests()
        self.owed: dict[str, int] = {}
        self.peer_full: dict[str, bool] = {}
        self._in_flight: dict[str, int] = {}
        self._echoed: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self._probing: set[str] = set()
        self._matched = (0, 0)
        self.heard_time = (0, 0)
        self._round = 0
        self._recount = True
        super().__init__(*args, **options)  # type: ignore[arg-type]

    def become_leader(self) -> None:
        """Start with nothing known of the followers (Raft paper, §5.3)."""
        self.owed, self.peer_full, self._in_flight = {}, {}, {}
        self._echoed, self._told, self._probing = {}, {}, set()
        self._recount = True
        self.lead_from_here()
        self.host.leader_changed()

    def synced(self) -> None:
        """The journal's sync moved on."""
        self._recount = True
        self.count_votes()
        self.release()

    # As a leader.

    def count_copies(self) -> None:
        """Commit what a majority of the voters holds durably (§5.3, §5.4.2)."""
        if not self._recount:
            return
        self._recount = False
        durable = {node.id: index for node, index in self.match_index.items()}
        if self.is_voter():
            durable[self.me] = self.log.synced_index
        commit = replication.committed_index(
            match=durable,
            voters=self.voters,
            commit=self.commit,
            term=self.term,
            term_at=self.term_at,
        )
        if commit == self.commit:
            return
        self.set_commit(commit)
        # A follower where a caller waits hears of it at once, not with the next beat (24).
        for member, index in list(self.owed.items()):
            if index <= commit:
                del self.owed[member]
                self.push_commit(peer_node(member), index)

    def has_room(self) -> bool:
        """Whether this node's disk, and those of a majority, take more entries."""
        full = {member for member, is_full in self.peer_full.items() if is_full}
        return not self.log.full and is_quorum(self.voters - full, self.voters)

    def push_commit(self, node: PeerNode, index: int) -> None:
        """Tell a follower that `index` is committed, unless it was told."""
        if self._told.get(node.id, 0) < index and node in self.linked and node in self.next_index:
            self._told[node.id] = self.commit
            self.send(node, msg.Committed(term=self.term, commit=self.commit))

    def hears_quorum(self) -> bool:
        """Whether a majority answered within the longest election timeout (finding 18)."""
        since = self.now() - self.settings.election_max
        answered = [node.id for node, at in self.heard.items() if at > since]
        return is_quorum([*answered, self.me], self.voters)

    def send_appends(self, *, beat: bool) -> None:
        """Send each follower what it misses, as far as its window goes.

        beat: a heartbeat is due. A read that waits for a round makes every follower one as well.
        """
        if beat:
            self.beat_due = self.now() + self.settings.heartbeat
        reads = self.reads.fresh and self.own_first is not None and self.commit >= self.own_first
        if beat or reads:
            self._round += 1
        if reads:
            self.reads.begin(self._round, self.commit)
            self._serve_reads()
        last = self.last().index
        if not (beat or reads) and all(index > last for index in self.next_index.values()):
            return
        for node in self.peers():
            following = self.next_index[node]
            if following <= self.log[0][1]:
                if beat or reads:
                    self.send(
                        node,
                        msg.Heartbeat(term=self.term, round=self._round, time=self.leader_time()),
                    )
                self.send_snapshot(node)
            elif following > last:
                if beat or reads:
                    self._send_append(node, [])
            elif beat or not self.peer_full.get(node.id, False):
                # A follower whose disk is full is tried with each beat, not with each entry; one
                # that refused, with one append until the logs match again.
                careful = self.peer_full.get(node.id, False) or node.id in self._probing
                self._send_entries(node, last, 1 if careful else self.settings.window)
                if (beat or reads) and self.next_index[node] == following:
                    self._send_append(node, [])
            elif reads:
                self._send_append(node, [])

    def _send_entries(self, node: PeerNode, last: int, window: int) -> None:
        first = self.log[0][1]
        while self.next_index[node] <= last and self._in_flight.get(node.id, 0) < window:
            start = self.next_index[node] - first
            batch: list[tuple[int, bytes]] = []
            size = 0
            for command, _, term in self.log[start : start + 2048]:
                size += len(command) + 16
                if batch and size > self.settings.batch:
                    break
                batch.append((term, command))
            self._send_append(node, batch)
            self.next_index[node] += len(batch)
            self._in_flight[node.id] = self._in_flight.get(node.id, 0) + 1

    def _send_append(self, node: PeerNode, entries: list[tuple[int, bytes]]) -> None:
        previous = self.entry_at(self.next_index[node] - 1)
        if previous is None:
            self.send(
                node, msg.Heartbeat(term=self.term, round=self._round, time=self.leader_time())
            )
            return
        self._told[node.id] = self.commit
        append = msg.Append(
            term=self.term,
            round=self._round,
            time=self.leader_time(),
            commit=self.commit,
            prev_index=previous[1],
            prev_term=previous[2],
            entries=entries,
        )
        self.send(node, append)

    def leader_time(self) -> int:
        """Cluster time in ms by this leader's clock; 0 before that has started."""
        raise AssertionError

    def send_snapshot(self, node: PeerNode) -> None:
        """The follower misses what is no longer in the log."""
        raise AssertionError

    def restart_peer(self, node: PeerNode) -> None:
        """What was under way to this follower is lost; begin behind what it acknowledged."""
        self._in_flight[node.id] = 0
        self._probing.discard(node.id)
        self.digests.forget(node.id)
        self._told.pop(node.id, None)
        if node not in self.next_index:
            return
        if not self.same_folder(node):
            self.match_index[node] = 0
        match = self.match_index[node]
        self.next_index[node] = match + 1 if match else self.last().index + 1

    def on_append_answer(self, node: PeerNode, m: msg.AppendAnswer) -> None:
        """Findings 1, 2, 5, 6: of this term, from this folder, never backwards."""
        if m.term != self.term or self.role != LEADER or node not in self.next_index:
            return
        if self.same_folder(node):
            self.heard[node] = self.now()
        self.peer_full[node.id] = m.full
        self._echoed[node.id] = max(m.round, self._echoed.get(node.id, 0))
        self._serve_reads()
        if m.digest is not None:
            self._compare_digests(node.id, *m.digest)
        if not m.matched:
            return
        if m.ok:
            self._probing.discard(node.id)
        else:
            self._probing.add(node.id)
        if m.carried or not m.ok:
            left = self._in_flight.get(node.id, 0) - 1
            self._in_flight[node.id] = max(left, 0) if m.ok else 0
        match, following = replication.next_after_answer(
            ok=m.ok,
            index=m.index,
            match=self.match_index[node],
            next_index=self.next_index[node],
            last=self.last().index,
        )
        self.next_index[node] = following
        if not m.counts or not self.same_folder(node):
            match = 0
        self._recount = self._recount or match > self.match_index[node]
        self.match_index[node] = match

    def _serve_reads(self) -> None:
        if not self.reads.waiting:
            return

        def quorum(ids: list[str]) -> bool:
            return is_quorum(ids, self.voters)

        echoed = {name: n for name, n in self._echoed.items() if self.votes_as(peer_node(name))}
        for done, index in self.reads.serve(echoed, quorum, self.me):
            done(index)

    def _compare_digests(self, member: str, index: int, digest: int) -> None:
        if not self.digests.report(member, index, digest):
            return
        for differs, at in list(self.digests.diverged(self.voters)):
            if differs == self.me:
                self.stop_process(f"its state differs from the majority's at entry {at}")
            _log.critical("state of %s differs from the majority's at entry %d", differs, at)
            self.send(peer_node(differs), msg.Diverged(term=self.term, index=at))
            self.digests.forget(differs)

    # As a follower.

    def answer(
        self,
        node: PeerNode,
        number: int,
        *,
        ok: bool,
        index: int,
        matched: bool = True,
        carried: bool = False,
    ) -> None:
        """Tell the leader where the log stands, once that is durable."""
        self.send_durable(
            node,
            msg.AppendAnswer(
                term=self.term,
                round=number,
                ok=ok,
                index=index,
                counts=not self.log.tail_cut,
                full=self.log.full,
                digest=self.digests.last,
                matched=matched,
                carried=carried,
            ),
        )

    def on_heartbeat(self, node: PeerNode, m: msg.Heartbeat) -> None:
        """Nothing is committed by it: it does not say that the logs match (finding 4)."""
        if self.heed_leader(node, m.term):
            self.heard_time = (m.term, m.time)
            self.answer(node, m.round, ok=True, index=0, matched=False)
        else:
            self.answer(node, 0, ok=False, index=0, matched=False)

    def on_append(self, node: PeerNode, m: msg.Append) -> None:
        """Findings 1-4, 21: only a conflict cuts; only what matches is committed and told."""
        if not self.heed_leader(node, m.term):
            self.answer(node, 0, ok=False, index=0, matched=False)
            return
        self.heard_time = (m.term, m.time)
        if self.log.full and m.entries and not self._fits(m):
            # No room: acknowledge nothing more, but say where the log ends.
            self.answer(node, m.round, ok=False, index=self.last().index + 1)
            return
        if m.prev_index <= self.commit:
            mine = self.term_at(m.prev_index)
            self.invariant(
                mine in (None, m.prev_term),
                f"entry {m.prev_index} is committed in term {mine} and {node.id} has {m.prev_term}",
            )
        first = m.prev_index + 1
        plan = replication.plan_append(
            first=self.log[0][1],
            last=self.last().index,
            term_at=self.term_at,
            commit=self.commit,
            prev_index=m.prev_index,
            prev_term=m.prev_term,
            entries=[(command, first + n, term) for n, (term, command) in enumerate(m.entries)],
        )
        if plan.cut is not None:
            self.cut_entries(plan.cut)
            self.entries_cut(plan.cut)
        for command, index, term in plan.add:
            self.add_entry(command, index, term)
        if plan.ok:
            if self._matched[0] != m.term or plan.index > self._matched[1]:
                self._matched = (m.term, plan.index)
            self._learn_commit(min(m.commit, plan.index))
            if plan.index >= m.commit:
                self._holds_commit(m)
        self.answer(node, m.round, ok=plan.ok, index=plan.index, carried=bool(m.entries))

    def _fits(self, m: msg.Append) -> bool:
        """Whether a full disk still takes this: a new leader's first entry, without which nobody
        could be told anything, and members; nothing of a client."""
        if any(command[:1] == REGULAR for _, command in m.entries):
            return False
        size = sum(len(command) + 64 for _, command in m.entries)
        return size + RESERVED <= self.log.room

    def on_committed(self, node: PeerNode, m: msg.Committed) -> None:
        """Finding 4: a commit index counts only where the logs are known to match."""
        if self.heed_leader(node, m.term) and self._matched[0] == m.term:
            self._learn_commit(min(m.commit, self._matched[1]))

    def entries_cut(self, index: int) -> None:
        """Callers may wait for entries that were deleted."""
        raise AssertionError

    def _learn_commit(self, commit: int) -> None:
        if commit > self.commit:
            self.set_commit(commit)

    def _holds_commit(self, m: msg.Append) -> None:
        if self.term_at(m.commit) != m.term:
            return
        # The leader committed in its own term: its commit index covers all that was ever
        # acknowledged to anybody, also what damage took from this log.
        if self.log.tail_cut:
            self.log.heal()
            self.needs = self.log.position
        if self.ready_term != m.term:
            self.ready_term = m.term
            self.host.leader_changed()

    def on_diverged(self, node: PeerNode, m: msg.Diverged) -> None:
        """Another state than the majority's: every answer from here may be wrong."""
        if m.term == self.term and node == self.leader:
            self.stop_process(f"its state differs from the majority's at entry {m.index}")
