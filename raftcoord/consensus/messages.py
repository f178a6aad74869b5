"""What members say to each other. One frozen struct each; a frame with anything else in it
breaks the connection before the core sees it.

Every message carries the sender's term; a higher one is adopted first (Raft paper, §5.1),
except from a pre-vote request, whose sender has not entered its next term yet.
"""

from typing import Annotated

import msgspec

Number = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
"""Terms, indices, rounds, offsets: what lies outside breaks the connection."""

Id = tuple[Annotated[int, msgspec.Meta(ge=0)], Number]
"""A request's: (the run of the sender that asked, its counter)."""


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", gc=False):
    """term: the sender's present term."""

    term: Number


class PreVoteRequest(Message, frozen=True, tag="pre-vote-request"):
    """Would you vote for me in `next_term`, given that my log ends there? (dissertation §9.6)"""

    next_term: Number
    last_term: Number
    last_index: Number


class PreVote(Message, frozen=True, tag="pre-vote"):
    """The answer, also where it is no: the asker adopts a higher term from it."""

    next_term: Number
    granted: bool


class VoteRequest(Message, frozen=True, tag="vote-request"):
    """Vote for me in `term`. Sent after the candidate's own vote is durable. (§5.2)"""

    last_term: Number
    last_index: Number


class Vote(Message, frozen=True, tag="vote"):
    """The sender voted for the receiver in `term`, durably."""


class Append(Message, frozen=True, tag="append"):
    """Entries behind (prev_index, prev_term); also the heartbeat. (§5.3)

    entries: (term, command) in log order. round: echoed in the answer, for reads. time: the
        leader's cluster time in ms, which the next leader may go on from; 0: it has none yet.
    """

    round: Number
    commit: Number
    prev_index: Number
    prev_term: Number
    entries: list[tuple[Number, bytes]]
    time: Number = 0


class Heartbeat(Message, frozen=True, tag="heartbeat"):
    """To a follower that waits for a snapshot: the leader lives; says nothing of the log."""

    round: Number
    time: Number = 0


class Committed(Message, frozen=True, tag="committed"):
    """The leader's commit index, for a follower where a caller waits; it is not answered.

    It counts as far as the follower's log was found to match in this term.
    """

    commit: Number


class AppendAnswer(Message, frozen=True, tag="append-answer"):
    """The log matches up to `index`, durably (ok), or: try again from `index`.

    counts: whether the sender's copies may be counted (not after it lost the end of its log).
    full: its disk is. digest: (applied index, state digest) at the last checkpoint.
    matched is False where the answer says nothing of the log (to a heartbeat); carried: the
    append had entries.
    """

    round: Number
    ok: bool
    index: Number
    counts: bool
    full: bool
    digest: tuple[Number, Number] | None
    matched: bool = True
    carried: bool = False


class SnapshotChunk(Message, frozen=True, tag="snapshot-chunk"):
    """A piece of the snapshot that ends at (index, index_term). (§7)

    size, crc: of the whole file, which is sent as it lies on the leader's disk.
    """

    round: Number
    index: Number
    index_term: Number
    name: str
    size: Number
    crc: Number
    offset: Number
    data: bytes


class SnapshotAnswer(Message, frozen=True, tag="snapshot-answer"):
    """Send on from `offset`; `done`: installed and durable."""

    round: Number
    index: Number
    offset: Number
    done: bool


class TimeoutNow(Message, frozen=True, tag="timeout-now"):
    """Campaign at once, without a pre-vote: leadership is handed to you. (dissertation §3.10)"""


class Forward(Message, frozen=True, tag="forward"):
    """Propose this for me. `id`: (this run of the sender, its counter)."""

    id: Id
    payload: bytes
    priority: bool


class ForwardAnswer(Message, frozen=True, tag="forward-answer"):
    """It was appended at (index, entry_term), or it was not taken: `refused` says why."""

    id: Id
    index: Number
    entry_term: Number
    refused: str | None


class ReadRequest(Message, frozen=True, tag="read-request"):
    """Which index must I have applied to answer what reached me before this? (§8)"""

    id: Id


class ReadAnswer(Message, frozen=True, tag="read-answer"):
    """That index; None: the leader cannot tell."""

    id: Id
    index: Number | None


class Join(Message, frozen=True, tag="join"):
    """A node with an empty log asks to be taken in as a learner, and promoted when caught up.

    index, entry_term: an entry of its log whose configuration it is in; 0 where there is none.
    node: who asks, where a follower sends it on to the leader; else empty.
    """

    incarnation: Number
    peer: str
    http: str
    index: Number = 0
    entry_term: Number = 0
    node: str = ""


class Diverged(Message, frozen=True, tag="diverged"):
    """The majority's state differs from the receiver's at `index`: it must stop."""

    index: Number


AnyMessage = (
    PreVoteRequest
    | PreVote
    | VoteRequest
    | Vote
    | Append
    | Heartbeat
    | Committed
    | AppendAnswer
    | SnapshotChunk
    | SnapshotAnswer
    | TimeoutNow
    | Forward
    | ForwardAnswer
    | ReadRequest
    | ReadAnswer
    | Join
    | Diverged
)
