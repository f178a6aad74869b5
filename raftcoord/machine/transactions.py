"""Transactions: one decision for all, taken in one entry, never changed.

The rules:

- Commit exactly when every participant voted commit while it was open: by the `commit` command,
  or with "auto" by the last missing vote. A vote to abort, the timeout, a rollback, or the end of
  its session decides abort while it is open.
- The decision again is answered again; the contrary is refused with the state.
- Presumed abort: an aborted one is forgotten an hour after its decision, a committed one an hour
  after everybody acknowledged, and never before. An id that was given out and has no record was
  forgotten; one that was never given out is unknown, which is not abort.

One that is past its timeout, or whose session is over, counts as aborted, also where that was not
collected yet: `_now` shows every record as it stands at the clock.

Source: Mohan, Lindsay, Obermarck, Transaction Management in the R* Distributed Database
Management System (TODS 1986) §3.
"""

from collections.abc import Callable

from msgspec.structs import replace

from raftcoord.commands import (
    AcknowledgeTransaction,
    BeginTransaction,
    CommitTransaction,
    Envelope,
    RollbackTransaction,
    TransactionAnswer,
    TransactionState,
    Vote,
    VoteTransaction,
    bounds,
)
from raftcoord.errors import (
    Forgotten,
    Malformed,
    TransactionDecided,
    TransactionOpen,
    UnknownParticipant,
    UnknownTransaction,
    VoteConflict,
    VotesMissing,
)
from raftcoord.machine.deadlines import Deadlines
from raftcoord.machine.events import TransactionEvent
from raftcoord.machine.ledger import Ledger, Table
from raftcoord.machine.sessions import Sessions
from raftcoord.machine.transaction_records import (
    Named,
    Participant,
    Transaction,
    TransactionView,
    view_of,
)

SCANNED = 10_000


class Transactions:
    """The table of transactions."""

    def __init__(self, ledger: Ledger, deadlines: Deadlines, sessions: Sessions) -> None:
        self._ledger = ledger
        self._deadlines = deadlines
        self._sessions = sessions
        self.table: Table[int, Transaction] = Table("transactions", int, Transaction, ordered=True)
        self.on_forget: Callable[[int, Named], None] = lambda number, named: None
        sessions.on_end("transaction", self.session_ended)

    # Reads.

    def get(self, number: int) -> TransactionView:
        """The transaction as it stands at the clock.

        Raises:
            UnknownTransaction: the id was never given out.
            Forgotten: it was, and its record is gone.
        """
        record = self.require(number)
        return view_of(number, record, self._ledger.time)

    def page(
        self, state: TransactionState | None = None, after: int | None = None, limit: int = 100
    ) -> tuple[list[TransactionView], int | None]:
        """Transactions with ids above `after`, ascending, and where to go on (None: at the end).

        At most 10,000 are looked at, so a page can have fewer than there are.
        """
        found: list[TransactionView] = []
        assert self.table.order is not None
        for seen, number in enumerate(self.table.order.after(after)):
            if len(found) >= limit or seen >= SCANNED:
                return found, after
            after = number
            record = self.find(number)
            if record is not None and state in (None, record.state):
                found.append(self.get(number))
        return found, None

    def find(self, number: int) -> Transaction | None:
        """The record as it stands at the clock; None where there is none."""
        record = self.table.get(number)
        if record is None:
            return None
        clock = self._ledger.clock
        if record.decision is None:
            reason = self._over(record)
            return record if reason is None else self._decided(record, "abort", reason)
        if record.forget_at is not None and record.forget_at <= clock:
            return None
        return record

    def require(self, number: int) -> Transaction:
        """The record as it stands at the clock; raises like `get`."""
        record = self.find(number)
        if record is not None:
            return record
        if 0 < number <= self._ledger.counters.get("transaction", 0):
            raise Forgotten(
                f"transaction {number} ended and is forgotten; who has not finished rolls back",
                id=number,
            )
        raise UnknownTransaction(
            f"transaction {number} was never begun here; that does not mean it aborted", id=number
        )

    # Commands.

    def begin(self, command: BeginTransaction, envelope: Envelope) -> TransactionAnswer:
        """Open a transaction."""
        names = command.participants
        if not 1 <= len(names) <= bounds.PARTICIPANTS or len(set(names)) < len(names):
            raise Malformed("1 to 64 different participants are needed", field="participants")
        if not 0 < command.timeout <= bounds.TRANSACTION_TIMEOUT:
            raise Malformed("the timeout is 1 ms to 86400 s", field="timeout")
        session = command.session
        if session is not None:
            self._sessions.require(session)
            self._sessions.check_room(session)
        number = self.open(
            Transaction(
                tuple([Participant(name, None, False) for name in names]),
                command.decide,
                session,
                command.meta,
                self._ledger.time + command.timeout,
                bounds.RETENTION,
                None,
            )
        )
        return TransactionAnswer(number, "open", None, None)

    def open(self, record: Transaction) -> int:
        """Put a new open transaction; gives its id."""
        number = self._ledger.next("transaction")
        self._ledger.put(self.table, number, record)
        self._deadlines.arm(("transaction", number), record.deadline)
        if record.session is not None:
            self._sessions.hold(record.session, ("transaction", number))
        self._emit("transaction.begun", number, record)
        return number

    def vote(self, command: VoteTransaction, envelope: Envelope) -> TransactionAnswer:
        """Take votes, all or none."""
        number, votes = command.id, command.votes
        record = self.require(number)
        if not votes:
            raise Malformed("at least one vote is needed", field="votes")
        given = {participant.name: participant.vote for participant in record.participants}
        for name in votes:
            if name not in given:
                raise self._unknown_participant(number, name)
        if all(given[name] == vote for name, vote in votes.items()):
            return _answer(number, record)
        if record.decision is not None:
            raise self._contrary(number, record)
        for name, vote in votes.items():
            if given[name] not in (None, vote):
                raise VoteConflict(
                    f"{name} voted {given[name]} before; a vote cannot be changed",
                    id=number,
                    state=record.state,
                    participant=name,
                    vote=given[name],
                )
        record = self._voted(record, votes)
        if "abort" in votes.values():
            return self._decide(number, record, "abort", "vote")
        if record.decide == "auto" and not record.missing():
            return self._decide(number, record, "commit", None)
        self._ledger.put(self.table, number, record)
        return _answer(number, record)

    def commit(self, command: CommitTransaction, envelope: Envelope) -> TransactionAnswer:
        """Decide commit."""
        number, record = command.id, self.require(command.id)
        if record.decision == "commit":
            return _answer(number, record)
        if record.decision == "abort":
            raise self._contrary(number, record)
        missing = record.missing()
        if missing:
            raise VotesMissing(
                f"transaction {number} waits for the votes of {', '.join(missing)}",
                id=number,
                missing=missing,
            )
        return self._decide(number, record, "commit", None)

    def rollback(self, command: RollbackTransaction, envelope: Envelope) -> TransactionAnswer:
        """Decide abort."""
        number, record = command.id, self.require(command.id)
        if record.decision == "abort":
            return _answer(number, record)
        if record.decision == "commit":
            raise self._contrary(number, record)
        return self._decide(number, record, "abort", "rollback")

    def acknowledge(self, command: AcknowledgeTransaction, envelope: Envelope) -> TransactionAnswer:
        """Note that a participant carried the decision out."""
        number, name = command.id, command.participant
        record = self.require(number)
        acked = {participant.name: participant.acked for participant in record.participants}
        if name not in acked:
            raise self._unknown_participant(number, name)
        if record.decision is None:
            raise TransactionOpen(
                f"transaction {number} is not decided; nothing can be acknowledged yet",
                id=number,
                state="open",
            )
        if acked[name]:
            return _answer(number, record)
        stored = self.table.rows[number]
        if stored.decision is None:  # over, not collected yet
            assert record.reason is not None
            self._decide(number, stored, "abort", record.reason)
        return self._acked(number, self.table.rows[number], name)

    # What becomes due, and what ends with a session.

    def expire(self, number: int) -> None:
        """The timeout of an open one, or the retention of a decided one, is over."""
        record = self.table.rows[number]
        if record.decision is None:
            self._decide(number, record, "abort", "timeout")
            return
        self._ledger.delete(self.table, number)
        self._deadlines.disarm(("transaction", number))
        if record.named is not None:
            self.on_forget(number, record.named)
        self._emit("transaction.forgotten", number, record)

    def session_ended(self, number: int) -> None:
        """The session that opened it has ended while it was undecided."""
        self._decide(number, self.table.rows[number], "abort", "session-gone")

    # The parts.

    def _over(self, record: Transaction) -> str | None:
        """Why an open record counts as aborted; None when it is open indeed."""
        if record.session is not None and self._sessions.live(record.session) is None:
            return "session-gone"
        return "timeout" if record.deadline <= self._ledger.clock else None

    def _decided(self, record: Transaction, decision: Vote, reason: str | None) -> Transaction:
        finished = all(participant.acked for participant in record.participants)
        forget = decision == "abort" or finished
        forget_at = self._ledger.time + record.retention if forget else None
        return replace(record, decision=decision, reason=reason, forget_at=forget_at)

    def _decide(
        self, number: int, record: Transaction, decision: Vote, reason: str | None
    ) -> TransactionAnswer:
        decided = self._decided(record, decision, reason)
        self._ledger.put(self.table, number, decided)
        if decided.forget_at is None:
            self._deadlines.disarm(("transaction", number))
        else:
            self._deadlines.arm(("transaction", number), decided.forget_at)
        if record.session is not None:
            self._sessions.let_go(record.session, ("transaction", number))
        self._emit("transaction.decided", number, decided)
        return _answer(number, decided)

    def _voted(self, record: Transaction, votes: dict[str, Vote]) -> Transaction:
        participants = tuple(
            [
                Participant(item.name, votes.get(item.name, item.vote), item.acked)
                for item in record.participants
            ]
        )
        return replace(record, participants=participants)

    def _acked(self, number: int, record: Transaction, name: str) -> TransactionAnswer:
        participants = tuple(
            [
                Participant(item.name, item.vote, item.acked or item.name == name)
                for item in record.participants
            ]
        )
        record = replace(record, participants=participants)
        if record.state == "finished" and record.forget_at is None:
            record = replace(record, forget_at=self._ledger.time + record.retention)
            assert record.forget_at is not None
            self._deadlines.arm(("transaction", number), record.forget_at)
        self._ledger.put(self.table, number, record)
        if record.state == "finished":
            self._emit("transaction.finished", number, record)
        return _answer(number, record)

    def _contrary(self, number: int, record: Transaction) -> TransactionDecided:
        why = f" ({record.reason})" if record.reason else ""
        return TransactionDecided(
            f"transaction {number} is decided: {record.decision}{why}",
            id=number,
            state=record.state,
            decision=record.decision,
            reason=record.reason,
        )

    def _unknown_participant(self, number: int, name: str) -> UnknownParticipant:
        return UnknownParticipant(
            f"transaction {number} has no participant {name}", id=number, participant=name
        )

    def _emit(self, kind: str, number: int, record: Transaction) -> None:
        event = TransactionEvent(record.state, record.decision, record.reason)
        self._ledger.emit(kind, str(number), event)

    def rebuild(self) -> None:
        """Note in the index of sessions what they hold."""
        for number, record in self.table.rows.items():
            if record.session is not None and record.decision is None:
                self._sessions.holdings[record.session]["transaction", number] = True


def _answer(number: int, record: Transaction) -> TransactionAnswer:
    return TransactionAnswer(number, record.state, record.decision, record.reason)
