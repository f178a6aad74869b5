"""What each judge holds, as a sentence for the head of a story."""

from __future__ import annotations

_INSIDE = {
    "election safety": "At most one leader is elected in a term (Raft paper, figure 3).",
    "leader append-only": "A leader never overwrites or removes entries of its own log; it only"
    " appends (Raft paper, figure 3).",
    "log matching": "Two logs that hold an entry of the same index and term hold the same entries"
    " up to it (Raft paper, figure 3).",
    "state machine safety": "No two members apply different entries at the same index, and the"
    " same entries lead to the same state (Raft paper, figure 3).",
    "durability": "What was acknowledged is on the platters of a majority, and is never lost.",
    "reads": "A read sees everything that was acknowledged before it began (Raft paper, §8).",
    "one holder": "A lock has at most one holder, waiters are served in their order, and who is"
    " gone holds nothing.",
    "tokens": "Each grant's token is greater than every token granted before it (Chubby, §2.4).",
    "leases": "No lease, timeout or session ends earlier than it may, nor later than it must.",
    "decisions": "A transaction is decided once, and commits only when every participant voted"
    " for it in time.",
    "applied once": "A request that is tried again is executed once, and gets the same answer.",
    "answers": "Every caller gets one answer, in bounded time.",
    "bounds": "Queues and tables stay within their bounds, and nothing is left behind.",
    "liveness": "Once the faults are over, the cluster accepts writes and agrees in bounded time.",
    "crash": "No node raises an error that nobody expected, or ends itself without a cause.",
}
_HISTORY = (
    "What the clients saw could have come from one machine that does one thing after the other."
)


def invariant(judge: str) -> str:
    """What the judge of this name holds."""
    return _INSIDE.get(judge, _HISTORY)
