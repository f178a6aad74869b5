"""What was decided is remembered: for the time that is promised, and a commit until all know it.

The time counts from the decision; for a commit from the last acknowledgement.
"""

from __future__ import annotations

from chaos.simulation.judges.chronicle import Entry
from chaos.simulation.violation import Violation
from raftcoord.commands import (
    AcknowledgeTransaction,
    BeginTransaction,
    TransactionAnswer,
    bounds,
)

DECISIONS = "decisions"


class _Remembered:
    """Who has not acknowledged yet; when the time began, in ms of cluster time."""

    def __init__(self, waits_for: set[str]) -> None:
        self.waits_for = waits_for
        self.committed = False
        self.since: int | None = None


class Forgetting:
    """Transactions with participants. `forgotten`: how many are gone."""

    def __init__(self) -> None:
        self.forgotten = 0
        self._all: dict[int, _Remembered] = {}

    def read(self, entry: Entry) -> None:
        """Take an entry into the books."""
        command = None if entry.envelope is None or not entry.fresh else entry.envelope.command
        for event in entry.events:
            if event.kind == "transaction.decided":
                known = self._all.get(int(event.key))
                if known is not None:
                    known.committed = event.data.decision == "commit"
                    known.since = None if known.committed else entry.clock
            elif event.kind == "transaction.forgotten":
                self._forget(entry, int(event.key))
        if not isinstance(entry.reply, TransactionAnswer):
            return
        if isinstance(command, BeginTransaction):
            self._all[entry.reply.id] = _Remembered(set(command.participants))
        elif isinstance(command, AcknowledgeTransaction):
            known = self._all.get(command.id)
            if known is not None and command.participant in known.waits_for:
                known.waits_for.discard(command.participant)
                if known.committed and not known.waits_for:
                    known.since = entry.clock

    def _forget(self, entry: Entry, number: int) -> None:
        known = self._all.pop(number, None)
        if known is None:
            return
        self.forgotten += 1
        text = f"entry {entry.number} forgets transaction {number}"
        if known.since is None:
            names = ", ".join(sorted(known.waits_for))
            raise Violation(DECISIONS, f"{text}, which {names} did not acknowledge")
        early = known.since + bounds.RETENTION - entry.clock
        if early > 0:
            raise Violation(DECISIONS, f"{text} {early} ms before its time")
