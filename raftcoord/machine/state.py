"""The replicated state machine: entries in log order in, replies and events out.

The rule: `apply` is a function of the state and the entry. What it does, in this order:

1. decodes the command; what this node does not know stops it here, before anything changed;
2. sets clock = max(clock, the entry's time), and runs what is due, at most 256 expiries or 4,096
   changes, the rest with the next entry;
3. runs the command, and keeps its answer for the gateway's retries.

A command with priority keeps somebody alive or lets go of something. It moves the clock only to a
second before its time, so one that waited in the leader's sockets beside others ends none of
those. What begins with it (a lease that is renewed, the grant of who waited for a release) begins
at its time all the same: counted from the clock, it would end early.

The clock, each expiry and the command are undo units of their own. A refusal (`RaftcoordError`)
is raised before its unit changed anything. Any other exception is a bug: the unit is undone to
the byte, on every node alike, an alarm is raised, and an expiry is set aside, a command answered
`internal-error`. Running out of memory is no bug of the command: everything of the entry is
undone and the error goes on to the node, which stops.

Callers reach the tables through the machine's attributes each time: `restore` puts new ones there.
"""

import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from raftcoord.commands import (
    AcknowledgeTransaction,
    AcquireLock,
    AdvanceClock,
    BeginTransaction,
    CancelAcquire,
    ClockAdvanced,
    CloseSession,
    CommitTransaction,
    DeleteRing,
    Envelope,
    JoinRing,
    KeepAlive,
    LeaveRing,
    OpenSession,
    PutRing,
    RefreshLock,
    ReleaseLock,
    Reply,
    RollbackTransaction,
    SimpleCommit,
    SimpleLock,
    SimplePrepare,
    SimpleRollback,
    SimpleUnlock,
    VoteTransaction,
    decode,
)
from raftcoord.errors import (
    CannotApply,
    DataDamaged,
    InternalError,
    RaftcoordError,
)
from raftcoord.machine import snapshot
from raftcoord.machine.alarms import Alarm, Alarms
from raftcoord.machine.answers import Answers
from raftcoord.machine.deadlines import Deadlines
from raftcoord.machine.events import AlarmRaised, Event
from raftcoord.machine.ledger import Ledger, Mark, Table
from raftcoord.machine.locks import Locks
from raftcoord.machine.rings import Rings
from raftcoord.machine.sessions import Sessions
from raftcoord.machine.simple import Simple
from raftcoord.machine.transactions import Transactions

EXPIRIES_PER_ENTRY = 256
CHANGES_PER_ENTRY = 4_096
LATE = 1_000
"""Milliseconds by which a command with priority passes over what is due."""

Handler = Callable[[Any, Envelope], Reply]


class LateRefusalError(Exception):
    """A refusal that was raised after something had changed: a bug."""


class Applied(NamedTuple):
    """What became of an entry.

    Args:
        reply: what the command is answered; an error is an answer. None for entries without one.
        events: what happened, in order.
        envelope: the decoded command; None for entries without one.
    """

    reply: Reply | RaftcoordError | None
    events: tuple[Event, ...]
    envelope: Envelope | None


class Machine:
    """Sessions, locks, rings and transactions of a cluster."""

    def __init__(self) -> None:
        self.applied = 0
        self._ledger = ledger = Ledger()
        self._deadlines = Deadlines(self._ledger)
        self._alarms = Alarms(self._ledger)
        self.answers = Answers(self._ledger, self._deadlines)
        self.sessions = Sessions(self._ledger, self._deadlines)
        self.locks = Locks(self._ledger, self._deadlines, self.sessions, self.answers)
        self.rings = Rings(self._ledger, self.sessions)
        self.transactions = Transactions(self._ledger, self._deadlines, self.sessions)
        self.simple = Simple(self._ledger, self.locks, self.transactions)
        self._due: dict[str, Callable[[Any], None]] = {
            "session": self.sessions.expire,
            "grant": self.locks.lease_over,
            "wait": self.locks.wait_over,
            "transaction": self.transactions.expire,
            "gateway": self.answers.expire,
        }
        self._handlers: dict[type, Handler] = {
            AdvanceClock: lambda command, envelope: ClockAdvanced(ledger.clock),
            OpenSession: self.sessions.open,
            KeepAlive: self.sessions.keep_alive,
            CloseSession: self.sessions.close,
            AcquireLock: self.locks.acquire,
            ReleaseLock: self.locks.release,
            RefreshLock: self.locks.refresh,
            CancelAcquire: self.locks.cancel,
            PutRing: self.rings.put,
            JoinRing: self.rings.join,
            LeaveRing: self.rings.leave,
            DeleteRing: self.rings.delete,
            BeginTransaction: self.transactions.begin,
            VoteTransaction: self.transactions.vote,
            CommitTransaction: self.transactions.commit,
            RollbackTransaction: self.transactions.rollback,
            AcknowledgeTransaction: self.transactions.acknowledge,
            SimpleLock: self.simple.lock,
            SimpleUnlock: self.simple.unlock,
            SimplePrepare: self.simple.prepare,
            SimpleCommit: self.simple.commit,
            SimpleRollback: self.simple.rollback,
        }

    @property
    def clock(self) -> int:
        """Cluster time in ms."""
        return self._ledger.clock

    @property
    def alarms(self) -> list[Alarm]:
        """The last hundred bugs met, the oldest first."""
        return self._alarms.all()

    def apply(self, index: int, term: int, time: int, payload: bytes) -> Applied:
        """Apply the log's next entry.

        Args:
            index, term: the entry's.
            time: cluster time in ms that the leader stamped.
            payload: an encoded `Envelope`; empty for entries that carry no command.

        Raises:
            CannotApply: this node does not know the command, or had the entry before.
            MemoryError: there was not enough memory. In both cases nothing changed.
        """
        if index <= self.applied:
            raise CannotApply(f"entry {index} comes after entry {self.applied}", index=index)
        envelope = decode(payload) if payload else None
        if envelope is not None:
            command = envelope.command
            if type(command) not in self._handlers:
                raise CannotApply("this node does not know the command", index=index)
            if type(command) is AdvanceClock and command.term != term:
                self.applied = index
                return Applied(ClockAdvanced(self.clock), (), envelope)
        ledger = self._ledger
        start = ledger.mark()
        try:
            ledger.time = max(ledger.clock, time)
            late = LATE if envelope is not None and envelope.command.priority else 0
            ledger.clock = max(ledger.clock, ledger.time - late)
            self._run_due(index)
            reply = None if envelope is None else self._answer(index, envelope)
        except BaseException:
            ledger.undo(start)
            ledger.time = ledger.clock
            ledger.seal()
            self._deadlines.rebuild()
            raise
        events = ledger.seal()
        self._deadlines.tidy()
        ledger.time = ledger.clock
        self.applied = index
        return Applied(reply, events, envelope)

    def next_deadline(self) -> int | None:
        """Cluster time in ms at which something is due first; not above the clock when late."""
        first = self._deadlines.first()
        return None if first is None else first[0]

    def digest(self) -> int:
        """A CRC-32 over everything that ever changed; the same on every node at one index."""
        return self._ledger.digest

    def pack(self) -> Iterator[bytes]:
        """The whole state, in chunks of at most 64 KiB; the same state gives the same bytes."""
        ledger = self._ledger
        return snapshot.pack(
            ledger.clock,
            self.applied,
            ledger.digest,
            ledger.counters,
            self._tables(),
            self._deadlines.armed,
        )

    def restore(self, chunks: Iterable[bytes]) -> None:
        """Become what `pack` gave, or stay as it is where that raises.

        Raises:
            DataDamaged, UnknownFormat: the chunks are not what a `pack` of this format gave.
        """
        fresh = Machine()
        contents = snapshot.Contents(fresh._tables())
        contents.read(chunks)
        fresh._load(contents)
        self.__dict__.update(fresh.__dict__)

    def _load(self, contents: snapshot.Contents) -> None:
        head, ledger = contents.head, self._ledger
        ledger.clock = ledger.time = head.clock
        ledger.digest = head.digest
        ledger.counters.update(head.counters)
        self.applied = head.applied
        for table in self._tables():
            table.load(contents.rows[table.name])
        self._deadlines.load(contents.armed)
        try:
            for room in (self.answers, self.sessions, self.locks, self.rings, self.transactions):
                room.rebuild()
        except KeyError as error:
            raise DataDamaged(f"the snapshot contradicts itself: no {error}", offset=0) from error

    def _tables(self) -> tuple[Table[Any, Any], ...]:
        return (
            self._alarms.table,
            self.answers.gateways,
            self.answers.answers,
            self.sessions.table,
            self.locks.table,
            self.locks.grants.table,
            self.locks.queues.waiters,
            self.rings.table,
            self.rings.members,
            self.rings.changes,
            self.transactions.table,
            self.simple.latest,
            self.simple.values,
        )

    def _run_due(self, index: int) -> None:
        ledger = self._ledger
        start = ledger.mark()
        for _ in range(EXPIRIES_PER_ENTRY):
            entry = self._deadlines.first()
            if entry is None or entry[0] > ledger.clock:
                return
            if ledger.changed_since(start) >= CHANGES_PER_ENTRY:
                return
            mark, (kind, which) = ledger.mark(), entry[2]
            try:
                self._due[kind](which)
                if self._deadlines.is_armed(entry):
                    raise RuntimeError("it is still due")
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001 - a bug must not stop what others wait for
                self._undo(mark, index, f"{kind} {which}", error)
                self._deadlines.disarm(entry[2])

    def _answer(self, index: int, envelope: Envelope) -> Reply | RaftcoordError:
        tag = str(envelope.command.__struct_config__.tag)
        keyed = envelope.seq != 0
        if keyed:
            known = self._unit(index, tag, self.answers.begin, envelope)
            if known is not None:
                return known
        reply = self._unit(index, tag, self._execute, envelope)
        assert reply is not None
        if keyed and isinstance(reply, InternalError):
            self._unit(index, tag, lambda it: self.answers.remember(it, reply), envelope)
        return reply

    def _unit(
        self,
        index: int,
        what: str,
        action: Callable[[Envelope], Reply | RaftcoordError | None],
        envelope: Envelope,
    ) -> Reply | RaftcoordError | None:
        """Do it whole or, where it meets a bug, not at all."""
        mark = self._ledger.mark()
        try:
            return action(envelope)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug must not stop the log
            self._undo(mark, index, what, error)
        return InternalError(
            f"applying entry {index} failed and was undone: this is a bug, please report it",
            index=index,
        )

    def _execute(self, envelope: Envelope) -> Reply | RaftcoordError:
        command, before = envelope.command, self._ledger.mark()
        reply: Reply | RaftcoordError
        try:
            reply = self._handlers[type(command)](command, envelope)
        except RaftcoordError as error:
            if self._ledger.changed_since(before):
                raise LateRefusalError(error.slug) from error
            reply = error.with_traceback(None)
        if envelope.seq:
            self.answers.remember(envelope, reply)
        return reply

    def _undo(self, mark: Mark, index: int, what: str, error: Exception) -> None:
        """Take a unit back and raise the alarm."""
        trace = "".join(traceback.format_exception(error))
        self._ledger.undo(mark)
        name = type(error).__name__
        self._alarms.raise_alarm(Alarm(index, what, name))
        self._ledger.emit("alarm", what, AlarmRaised(index, name, trace))
