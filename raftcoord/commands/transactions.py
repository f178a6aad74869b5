"""Transactions: one decision for all participants.

Source: Mohan, Lindsay, Obermarck, Transaction Management in R* (TODS 1986) §3, presumed abort;
Gray and Lamport, Consensus on Transaction Commit (TODS 2006) §3 for the decision in the log.
"""

from typing import ClassVar, Literal

from raftcoord.commands.base import Command, Meta, Reply

Vote = Literal["commit", "abort"]
Decide = Literal["on_request", "auto"]
TransactionState = Literal["open", "committed", "aborted", "finished"]


class BeginTransaction(Command, frozen=True, tag="transaction.begin"):
    """Open a transaction.

    Args:
        participants: 1-64 different names; all must vote commit.
        timeout: milliseconds of cluster time; undecided by then, it aborts.
        decide: "on_request": the `commit` command decides; "auto": the last missing vote.
        session: undecided when this session ends, it aborts.

    Errors: session-gone, limit-reached, malformed.
    """

    participants: tuple[str, ...]
    timeout: int
    decide: Decide = "on_request"
    session: int | None = None
    meta: Meta | None = None


class VoteTransaction(Command, frozen=True, tag="transaction.vote"):
    """Give the votes of one or several participants, all or none.

    Errors: unknown-transaction, forgotten, unknown-participant, vote-conflict,
        transaction-decided, malformed.
    """

    priority: ClassVar[bool] = True
    id: int
    votes: dict[str, Vote]


class CommitTransaction(Command, frozen=True, tag="transaction.commit"):
    """Decide commit.

    Errors: unknown-transaction, forgotten, votes-missing, transaction-decided.
    """

    priority: ClassVar[bool] = True
    id: int


class RollbackTransaction(Command, frozen=True, tag="transaction.rollback"):
    """Decide abort.

    Errors: unknown-transaction, forgotten, transaction-decided.
    """

    priority: ClassVar[bool] = True
    id: int


class AcknowledgeTransaction(Command, frozen=True, tag="transaction.ack"):
    """Say that a participant has carried the decision out.

    Errors: unknown-transaction, forgotten, unknown-participant, transaction-open.
    """

    priority: ClassVar[bool] = True
    id: int
    participant: str


class TransactionAnswer(Reply, frozen=True, tag="transaction.answer"):
    """Where the transaction stands.

    Args:
        reason: why it was aborted: vote, timeout, rollback, session-gone.
    """

    id: int
    state: TransactionState
    decision: Vote | None
    reason: str | None
