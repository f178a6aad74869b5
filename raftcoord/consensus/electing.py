"""Campaigns and votes: `elections` bound to the core.

A campaign has two steps. The pre-vote asks whether a campaign could be won, without a new
term, so that a node that was cut off disturbs nobody (finding 17). The votes of the second
step are a set of voters, each from the data folder that the configuration names (14), and no
vote, the candidate's own included, is told before it is durable (9).
"""

from raftcoord.consensus import messages as msg
from raftcoord.consensus.core import CANDIDATE, FOLLOWER, LEADER, Core
from raftcoord.consensus.elections import (
    LogEnd,
    grants_pre_vote,
    grants_vote,
    is_quorum,
    stagger,
)
from raftcoord.consensus.peers import PeerNode

_NEVER = float("-inf")


class Electing(Core):
    """How this node becomes a leader, stops being one, and helps others to it."""

    leader_heard_at: float = _NEVER
    """When this node heard a leader last, on its monotonic clock."""
    _pre_vote_term: int | None = None
    _pre_votes: frozenset[str] = frozenset()
    _votes: frozenset[str] = frozenset()
    _stood_at: int = 0
    _forced: bool = False

    def elect(self) -> None:
        """Campaign where the deadline is over."""
        if self.role == LEADER or self.deadline > self.now():
            return
        late = self.now() - self.deadline > self.settings.heartbeat
        if late and not self._forced and not self.deferred:
            self.deferred = True
            # This process was not run for a while (stopped, or starved): the leader's messages
            # may wait in its sockets, so it reads those first.
            self.deadline = self.now() + 2 * self.settings.heartbeat
            return
        self.rearm()
        forced, self._forced = self._forced, False
        self.set_leader(None)
        self.leader_heard_at = _NEVER
        if not self.may_stand() or self.log.tail_cut:
            return
        if forced:
            self._stand()
            return
        self._pre_vote_term = self.term + 1
        self._pre_votes = frozenset({self.me})
        end = self.last()
        for node in self.peers():
            request = msg.PreVoteRequest(
                term=self.term, next_term=self.term + 1, last_term=end.term, last_index=end.index
            )
            self.send(node, request)
        self._count_pre_votes()

    def _count_pre_votes(self) -> None:
        if is_quorum(self._pre_votes, self.voters):
            self._stand()

    def _stand(self) -> None:
        self._pre_vote_term = None
        self.counters["elections"] += 1
        self.set_role(CANDIDATE)
        self.set_term(self.term + 1, self.me)
        self._stood_at = self.needs
        self._votes = frozenset({self.me})
        self.rearm()
        end = self.last()
        for node in self.peers():
            request = msg.VoteRequest(term=self.term, last_term=end.term, last_index=end.index)
            self.send_durable(node, request)
        self.count_votes()

    def count_votes(self) -> None:
        """Lead once a quorum voted; the own vote counts when it is durable."""
        durable = self._stood_at <= self.log.synced
        if self.role == CANDIDATE and durable and is_quorum(self._votes, self.voters):
            self.become_leader()

    def become_leader(self) -> None:
        """A quorum voted for this node in this term."""
        raise AssertionError

    def stepped_down(self) -> None:
        """This node led and does not any more."""
        raise AssertionError

    def set_leader(self, node: PeerNode | None) -> None:
        """Know this leader from now on."""
        if node != self.leader:
            self.leader = node
            self.leader_lost()

    def follow(self, term: int, leader: PeerNode | None) -> None:
        """Be a follower in `term`, of `leader` where one is known (Raft paper, §5.1)."""
        was = self.role
        if term > self.term:
            self._forced = False
            self.set_term(term, None)
        if was != FOLLOWER:
            self.set_role(FOLLOWER)
        if was == LEADER:
            self.rearm()
            self.stepped_down()
        self.set_leader(leader)

    def heed_leader(self, node: PeerNode, term: int) -> bool:
        """Whether `node` leads the present term; then this node follows it."""
        if term < self.term:
            return False
        self.invariant(self.role != LEADER, f"{node.id} leads term {term} beside me")
        self.leader_heard_at = self.now()
        self._pre_vote_term = None
        if not self._forced:
            self.rearm()
        if self.role != FOLLOWER or self.leader != node:
            self.follow(term, node)
        return True

    def leader_vanished(self, node: PeerNode) -> None:
        """The leader's connection closed: campaign at once, one follower after the other."""
        self.set_leader(None)
        self.leader_heard_at = _NEVER
        wait = stagger(self.me, self.voters, node.id, self.settings.stagger)
        self.deadline = self.now() + wait

    def on_pre_vote_request(self, node: PeerNode, m: msg.PreVoteRequest) -> None:
        """The answer carries this node's term also where it is no: a node whose log is longer
        and whose term is lower could otherwise never be elected."""
        quiet = self.now() - self.leader_heard_at
        granted = not self.log.tail_cut and grants_pre_vote(
            next_term=m.next_term,
            term=self.term,
            mine=self.last(),
            theirs=LogEnd(m.last_term, m.last_index),
            leader_heard=self.role == LEADER or quiet < self.settings.election_min,
        )
        answer = msg.PreVote(term=self.term, next_term=m.next_term, granted=granted)
        self.send_durable(node, answer)

    def on_pre_vote(self, node: PeerNode, m: msg.PreVote) -> None:
        """Votes of a campaign that is over do not count."""
        asked = self._pre_vote_term == m.next_term == self.term + 1
        if m.granted and asked and self.role != LEADER and self.votes_as(node):
            self._pre_votes |= {node.id}
            self._count_pre_votes()

    def on_vote_request(self, node: PeerNode, m: msg.VoteRequest) -> None:
        """Any node of this cluster may ask; who counts is for the candidate to say."""
        grants = not self.log.tail_cut and grants_vote(
            asked_term=m.term,
            term=self.term,
            voted_for=self.voted_for,
            candidate=node.id,
            mine=self.last(),
            theirs=LogEnd(m.last_term, m.last_index),
        )
        if not grants or self.role != FOLLOWER:
            return
        if self.voted_for is None:
            self.set_term(m.term, node.id)
        self.rearm()
        self.send_durable(node, msg.Vote(term=self.term))

    def on_vote(self, node: PeerNode, m: msg.Vote) -> None:
        """A set, so that a repeated vote is one vote."""
        if m.term == self.term and self.role == CANDIDATE and self.votes_as(node):
            self._votes |= {node.id}
            self.count_votes()

    def on_timeout_now(self, node: PeerNode, m: msg.TimeoutNow) -> None:
        """The leader hands over: campaign without a pre-vote, which its followers would refuse."""
        if m.term == self.term and node == self.leader and self.is_voter():
            self._forced = True
            self.deadline = _NEVER
