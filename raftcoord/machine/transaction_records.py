"""What stands in the table of transactions, and what callers see of it."""

from msgspec import Struct

from raftcoord.commands import Decide, Meta, TransactionState, Vote
from raftcoord.machine.ledger import Record


class Participant(Record, frozen=True):
    """One who votes, and later acknowledges."""

    name: str
    vote: Vote | None
    acked: bool


class Named(Record, frozen=True):
    """The key and value of the simple protocol that a transaction stands for."""

    key: str
    value: str


class Transaction(Record, frozen=True):
    """A transaction. `deadline` and `forget_at` in cluster time; retention in ms."""

    participants: tuple[Participant, ...]
    decide: Decide
    session: int | None
    meta: Meta | None
    deadline: int
    retention: int
    named: Named | None
    decision: Vote | None = None
    reason: str | None = None
    forget_at: int | None = None

    @property
    def state(self) -> TransactionState:
        """open → committed | aborted → finished."""
        if self.decision is None:
            return "open"
        if all(participant.acked for participant in self.participants):
            return "finished"
        return "committed" if self.decision == "commit" else "aborted"

    def missing(self) -> list[str]:
        """Who has not voted."""
        return [participant.name for participant in self.participants if participant.vote is None]


class ParticipantView(Struct, frozen=True, gc=False):
    """A participant as callers see it."""

    vote: Vote | None
    acked: bool


class TransactionView(Struct, frozen=True, gc=False):
    """A transaction as callers see it; `expires_in` in ms, while it is open."""

    id: int
    state: TransactionState
    decision: Vote | None
    reason: str | None
    participants: dict[str, ParticipantView]
    expires_in: int | None
    decide: Decide
    session: int | None
    meta: Meta | None


def view_of(number: int, record: Transaction, time: int) -> TransactionView:
    """The record as callers see it at this time."""
    return TransactionView(
        number,
        record.state,
        record.decision,
        record.reason,
        {item.name: ParticipantView(item.vote, item.acked) for item in record.participants},
        max(record.deadline - time, 0) if record.decision is None else None,
        record.decide,
        record.session,
        record.meta,
    )
