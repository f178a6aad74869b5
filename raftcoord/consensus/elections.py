"""Who may vote for whom. Pure functions on plain values.

Sources: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm" (Raft),
§5.2 and §5.4.1; Ongaro's dissertation, §4.2.3 (disruptive servers), §9.6 (pre-vote) and
§3.10 (leadership transfer).
"""

from collections.abc import Collection

import msgspec


class LogEnd(msgspec.Struct, frozen=True, order=True, gc=False):
    """Where a log ends; compares as §5.4.1 asks: the later term first, then the longer log."""

    term: int
    index: int


def is_quorum(ids: Collection[str], voters: frozenset[str]) -> bool:
    """Whether `ids` holds a majority of `voters`; strangers and learners in it do not count."""
    return 2 * len(voters.intersection(ids)) > len(voters)


def grants_pre_vote(
    *, next_term: int, term: int, mine: LogEnd, theirs: LogEnd, leader_heard: bool
) -> bool:
    """Whether this node would vote in `next_term` (dissertation §9.6).

    `leader_heard`: this node leads, or heard its leader within the minimum election timeout
    (§4.2.3), so that a node that was cut off cannot depose a leader that others hear.
    """
    return next_term > term and not leader_heard and theirs >= mine


def grants_vote(
    *,
    asked_term: int,
    term: int,
    voted_for: str | None,
    candidate: str,
    mine: LogEnd,
    theirs: LogEnd,
) -> bool:
    """Whether this node votes for `candidate` in its present term (§5.2, §5.4.1)."""
    return asked_term == term and voted_for in (None, candidate) and theirs >= mine


def stagger(me: str, voters: Collection[str], lost_leader: str, step: float) -> float:
    """Seconds to wait before campaigning after the leader's connection closed.

    Every follower sees the close at nearly the same moment; ranks by id keep them from
    splitting the vote. The first waits a sixth of a step, so that the others have seen it too.
    """
    rank = sum(1 for voter in voters if voter < me and voter != lost_leader)
    return step / 6 + rank * step
