"""Bugs that were met in applying, undone, and noted."""

from raftcoord.machine.ledger import Ledger, Record, Table

KEPT = 100


class Alarm(Record, frozen=True):
    """A bug met while an entry was applied.

    Args:
        index: of the entry.
        what: the command's tag, or what was due.
        error: the exception's class. Its text is not kept: it may differ from node to node.
    """

    index: int
    what: str
    error: str


class Alarms:
    """The last hundred alarms."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.table: Table[int, Alarm] = Table("alarms", int, Alarm)

    def raise_alarm(self, alarm: Alarm) -> None:
        """Note one, and forget the hundredth before it."""
        number = self._ledger.next("alarm")
        self._ledger.put(self.table, number, alarm)
        if self.table.get(number - KEPT) is not None:
            self._ledger.delete(self.table, number - KEPT)

    def all(self) -> list[Alarm]:
        """The alarms kept, the oldest first."""
        return list(self.table.rows.values())
