"""One decision for each transaction, by the rule alone, for ever.

A small model of the rule, on the judges' own books: commit exactly when every participant voted
commit while the transaction was open; abort only with a cause; the decision never changes.
"""

from __future__ import annotations

from chaos.simulation.judges.chronicle import Entry
from chaos.simulation.judges.due import Due
from chaos.simulation.judges.sessions import Sessions
from chaos.simulation.violation import Violation
from raftcoord.commands import (
    BeginTransaction,
    CommitTransaction,
    RollbackTransaction,
    SimpleAnswer,
    SimpleCommit,
    SimplePrepare,
    SimpleRollback,
    TransactionAnswer,
    VoteTransaction,
)
from raftcoord.errors import TransactionDecided
from raftcoord.machine.events import TransactionEvent

DECISIONS = "decisions"


class _Transaction:
    __slots__ = ("auto", "deadline", "decision", "named", "session", "votes")

    def __init__(
        self,
        votes: dict[str, str | None],
        deadline: int,
        *,
        auto: bool = False,
        session: int | None = None,
        named: tuple[str, str] | None = None,
    ) -> None:
        self.votes = votes
        self.deadline = deadline
        self.auto = auto
        self.session = session
        self.named = named
        self.decision: str | None = None


class Decisions:
    """All transactions ever begun."""

    def __init__(self, due: Due, sessions: Sessions) -> None:
        self._due = due
        self._sessions = sessions
        self._all: dict[int, _Transaction] = {}
        self._newest = 0

    def read(self, entry: Entry) -> None:
        """Take an entry into the books."""
        command = None if entry.envelope is None or not entry.fresh else entry.envelope.command
        reply = entry.reply
        if type(command) is BeginTransaction and isinstance(reply, TransactionAnswer):
            votes: dict[str, str | None] = dict.fromkeys(command.participants)
            auto = command.decide == "auto"
            deadline = entry.now + command.timeout
            begun = _Transaction(votes, deadline, auto=auto, session=command.session)
            self._begin(entry, reply.id, begun)
        elif type(command) is SimplePrepare and isinstance(reply, SimpleAnswer):
            named = (command.key, command.value)
            begun = _Transaction({}, entry.now + command.expire, named=named)
            self._begin(entry, reply.transaction, begun)
        elif type(command) is VoteTransaction and isinstance(reply, TransactionAnswer):
            self._vote(entry, command)
        for event in entry.events:
            if event.kind == "transaction.decided":
                self._decided(entry, int(event.key), event.data)
        if command is not None:
            self._check_answer(entry)
        if self._sessions.ended:
            self._none_open(entry)

    def _begin(self, entry: Entry, number: int, begun: _Transaction) -> None:
        if number <= self._newest:
            raise Violation(DECISIONS, f"entry {entry.number} begins transaction {number} again")
        if begun.session is not None and not self._sessions.lives(begun.session, entry.clock):
            text = f"entry {entry.number} begins transaction {number} for a session that is gone"
            raise Violation(DECISIONS, text)
        self._newest = number
        self._all[number] = begun
        self._due.set(("transaction", number), begun.deadline)

    def _is_open(self, entry: Entry, known: _Transaction) -> bool:
        gone = known.session is not None and not self._sessions.lives(known.session, entry.clock)
        return known.decision is None and known.deadline > entry.clock and not gone

    def _vote(self, entry: Entry, command: VoteTransaction) -> None:
        known = self._known(entry, command.id)
        if all(known.votes.get(name, "") == vote for name, vote in command.votes.items()):
            return
        if not self._is_open(entry, known):
            text = f"entry {entry.number} takes a vote of transaction {command.id}, which is over"
            raise Violation(DECISIONS, text)
        for name, vote in command.votes.items():
            if known.votes.get(name, "") not in (None, vote):
                text = f"entry {entry.number} takes the vote {vote} of {name} in transaction"
                raise Violation(DECISIONS, f"{text} {command.id}, who voted otherwise or has none")
            known.votes[name] = vote

    def _known(self, entry: Entry, number: int) -> _Transaction:
        known = self._all.get(number)
        if known is None:
            text = f"entry {entry.number} speaks of transaction {number}, which was never begun"
            raise Violation(DECISIONS, text)
        return known

    def _decided(self, entry: Entry, number: int, event: TransactionEvent) -> None:
        known = self._known(entry, number)
        if known.decision is not None:
            text = f"entry {entry.number} decides transaction {number} again: {event.decision},"
            raise Violation(DECISIONS, f"{text} after {known.decision}")
        if event.decision == "commit":
            why = self._why_not_commit(entry, number, known)
        else:
            why = self._why_not_abort(entry, number, known, event.reason)
        if why is not None:
            text = f"entry {entry.number} decides {event.decision} of transaction {number}"
            raise Violation(DECISIONS, f"{text} ({event.reason}): {why}")
        known.decision = event.decision
        self._due.drop(("transaction", number))

    def _why_not_commit(self, entry: Entry, number: int, known: _Transaction) -> str | None:
        missing = [name for name, vote in known.votes.items() if vote != "commit"]
        if missing:
            return f"without the votes of {', '.join(missing)}"
        if not self._is_open(entry, known):
            return f"its time was over at {known.deadline} ms, or its session is"
        command = None if entry.envelope is None or not entry.fresh else entry.envelope.command
        if isinstance(command, CommitTransaction) and command.id == number:
            return None
        if isinstance(command, SimpleCommit) and (command.key, command.value) == known.named:
            return None
        if isinstance(command, VoteTransaction) and command.id == number and known.auto:
            return None
        return "nobody asked for it"

    def _why_not_abort(
        self, entry: Entry, number: int, known: _Transaction, reason: str | None
    ) -> str | None:
        command = None if entry.envelope is None or not entry.fresh else entry.envelope.command
        if reason == "timeout":
            self._due.over(entry, ("transaction", number))
            return None
        if reason == "session-gone":
            session = known.session
            gone = session is not None and not self._sessions.lives(session, entry.clock)
            return None if gone else "its session lives"
        if reason == "vote":
            return None if "abort" in known.votes.values() else "nobody voted so"
        if reason == "rollback":
            if isinstance(command, RollbackTransaction) and command.id == number:
                return None
            named = known.named or ("", "")
            if isinstance(command, SimpleRollback) and command.key == named[0]:
                return None if command.prepared in (None, named[1]) else "not of this value"
            return "nobody asked for it"
        return "no cause"

    def _check_answer(self, entry: Entry) -> None:
        reply = entry.reply
        if isinstance(reply, TransactionAnswer):
            self._check_said(entry, reply.id, reply.decision)
        elif isinstance(reply, SimpleAnswer):
            words = {"committed": "commit", "aborted": "abort", "prepared": None}
            self._check_said(entry, reply.transaction, words[reply.state])
        elif isinstance(reply, TransactionDecided):
            number = reply.fields.get("id", reply.fields.get("transaction"))
            if isinstance(number, int):
                self._check_said(entry, number, reply.fields.get("decision"))

    def _check_said(self, entry: Entry, number: int, decision: str | None) -> None:
        known = self._known(entry, number)
        stands = known.decision
        if stands is None and not self._is_open(entry, known):
            stands = "abort"
        if decision != stands:
            text = f"entry {entry.number} answers {decision} for transaction {number}; it is"
            raise Violation(DECISIONS, f"{text} {stands or 'open'}")

    def _none_open(self, entry: Entry) -> None:
        ended = self._sessions.ended
        for number, known in self._all.items():
            if known.decision is None and known.session in ended:
                text = f"after entry {entry.number} transaction {number} is open; its session is"
                raise Violation(DECISIONS, f"{text} gone")
