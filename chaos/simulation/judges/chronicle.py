"""The one log, as the members applied it: everybody applies the same, in order, to the same effect.

Source: Raft paper, figure 3, State Machine Safety.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol
from zlib import crc32

from chaos.simulation.judges.once import Once
from chaos.simulation.observer import Observer
from chaos.simulation.violation import Violation
from raftcoord.commands import (
    AcknowledgeTransaction,
    AdvanceClock,
    CancelAcquire,
    CloseSession,
    CommitTransaction,
    Envelope,
    KeepAlive,
    RefreshLock,
    ReleaseLock,
    Reply,
    RollbackTransaction,
    SimpleCommit,
    SimpleRollback,
    SimpleUnlock,
    VoteTransaction,
)
from raftcoord.errors import RaftcoordError
from raftcoord.machine.events import Event
from raftcoord.machine.state import Applied, Machine

SAFETY = "state machine safety"


_IN_TIME = 1_000
"""Milliseconds by which what ends may be passed over by one of those below."""
_ENDS_LATE: frozenset[type] = frozenset(
    (
        KeepAlive,
        CloseSession,
        ReleaseLock,
        RefreshLock,
        CancelAcquire,
        VoteTransaction,
        CommitTransaction,
        RollbackTransaction,
        AcknowledgeTransaction,
        SimpleUnlock,
        SimpleCommit,
        SimpleRollback,
    )
)


class Entry(NamedTuple):
    """An entry that was applied for the first time by anybody; `number` is its log index.

    Args:
        time: virtual seconds. member: who applied it.
        clock: cluster time in ms after it, by the judges' own books: what ends then is over.
        now: the time that it carries, where that is later: what begins with it begins then.
        fresh: no entry before had its request id. Its reply is then the command's own.
    """

    time: float
    member: str
    number: int
    term: int
    clock: int
    now: int
    envelope: Envelope | None
    fresh: bool
    reply: Reply | RaftcoordError | None
    events: tuple[Event, ...]
    machine: Machine


class Reader(Protocol):
    """A judge that keeps books of what the entries do."""

    def read(self, entry: Entry) -> None:
        """The next entry of the log. Raises Violation."""


class _Seen(NamedTuple):
    term: int
    stamp: int
    payload: int
    digest: int


class Chronicle(Observer):
    """Compares the members, and reads every entry out once, in log order.

    Attributes:
        terms: the term of each entry ever applied, by index; entry 0 stands before the first.
    """

    def __init__(self, once: Once, readers: tuple[Reader, ...] = ()) -> None:
        self.terms = [0]
        self.clock = 0
        self._once = once
        self._readers = [*readers]
        self._seen = [_Seen(0, 0, 0, 0)]
        self._clocks = [0]
        self._at: dict[str, int] = {}
        self._acknowledged = 0

    def add(self, reader: Reader) -> None:
        """Read out to this one, too."""
        self._readers.append(reader)

    @property
    def last(self) -> int:
        """The newest index applied by anybody."""
        return len(self.terms) - 1

    def started(self, time: float, member: str, life: int) -> None:
        self._at[member] = 0

    def stopped(self, time: float, member: str, life: int, why: str) -> None:
        self._at.pop(member, None)

    def applied(
        self,
        time: float,
        member: str,
        index: int,
        term: int,
        stamp: int,
        payload: bytes,
        applied: Applied,
        machine: Machine,
    ) -> None:
        if index != self._at.get(member, 0) + 1:
            text = f"{member} applies entry {index} after entry {self._at.get(member, 0)}"
            raise Violation(SAFETY, text)
        self._at[member] = index
        seen = _Seen(term, stamp, crc32(payload), machine.digest())
        if index < len(self._seen):
            if seen != self._seen[index]:
                raise Violation(SAFETY, self._difference(member, index, seen))
            return
        if index > len(self._seen):
            text = f"{member} applies entry {index}, and nobody applied {len(self._seen)}"
            raise Violation(SAFETY, text)
        if term < self.terms[-1]:
            text = f"entry {index} has term {term}, the one before it {self.terms[-1]}"
            raise Violation(SAFETY, text)
        self._read(time, member, index, seen, payload, applied, machine)

    def _read(
        self,
        time: float,
        member: str,
        index: int,
        seen: _Seen,
        payload: bytes,
        applied: Applied,
        machine: Machine,
    ) -> None:
        envelope, now = applied.envelope, max(self.clock, seen.stamp)
        self.clock = max(self.clock, now - _lag(envelope, seen.term, now))
        if machine.clock != self.clock:
            text = f"after entry {index} it is {self.clock} ms, a machine says {machine.clock}"
            raise Violation(SAFETY, text)
        for event in applied.events:
            if event.kind == "alarm":
                text = f"entry {index}, {event.key}: {event.data.error}\n{event.data.trace}"
                raise Violation("crash", text)
        changed = seen.digest != self._seen[-1].digest
        fresh = self._once.execute(index, payload, applied, changed=changed)
        self._seen.append(seen)
        self._clocks.append(self.clock)
        self.terms.append(seen.term)
        entry = Entry(
            time,
            member,
            index,
            seen.term,
            self.clock,
            now,
            envelope,
            fresh,
            applied.reply,
            applied.events,
            machine,
        )
        for reader in self._readers:
            reader.read(entry)

    def restored(self, time: float, member: str, machine: Machine) -> None:
        index = machine.applied
        if index < self._at.get(member, 0):
            text = f"{member} goes back from entry {self._at[member]} to a snapshot of {index}"
            raise Violation(SAFETY, text)
        if index >= len(self._seen):
            text = f"{member} takes a snapshot of entry {index}, which nobody applied"
            raise Violation(SAFETY, text)
        had = (self._clocks[index], self._seen[index].digest)
        has = (machine.clock, machine.digest())
        if index and has != had:
            text = (
                f"{member} restores entry {index} with clock and digest {has}, those who"
                f" applied it had {had}"
            )
            raise Violation(SAFETY, text)
        self._at[member] = index

    def told(self, time: float, member: str, payload: bytes, kind: str, index: int) -> None:
        if kind != "applied":
            return
        known = self._seen[index] if index < len(self._seen) else None
        here = index <= self._at.get(member, 0)
        if not here or known is None or crc32(payload) != known.payload:
            text = f"{member} tells its caller of entry {index}, which it did not apply as told"
            raise Violation(SAFETY, text)
        self._acknowledged = max(self._acknowledged, index)

    def ended(self, time: float, world: Any) -> None:
        """Everything acknowledged is in every state: all applied the same, up to the end."""
        for member, index in sorted(self._at.items()):
            if index < self._acknowledged:
                text = f"{member} ends at entry {index}, {self._acknowledged} was acknowledged"
                raise Violation("durability", text)

    def _difference(self, member: str, index: int, seen: _Seen) -> str:
        first = self._seen[index]
        names = [name for name in _Seen._fields if getattr(first, name) != getattr(seen, name)]
        return (
            f"{member} applies entry {index} as {seen}, another did as {first}:"
            f" {' and '.join(names)} differ"
        )


def _lag(envelope: Envelope | None, term: int, now: int) -> int:
    """Milliseconds by which the clock stays behind the time of the entry. It does for what keeps
    somebody alive, lets go of something or decides: who was in time ends by none of those; and is
    not moved by what only moves the clock, in another term than its leader's."""
    if envelope is None:
        return 0
    command = envelope.command
    if type(command) is AdvanceClock:
        return 0 if command.term == term else now
    return _IN_TIME if type(command) in _ENDS_LATE else 0


__all__ = ["Chronicle", "Entry", "Reader"]
