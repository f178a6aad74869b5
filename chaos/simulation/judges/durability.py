"""What is applied, and so what is acknowledged, is on the platters of a majority of the voters.

The first member to apply an entry is the leader that counted it, in the same turn: then it must be
durable where it was counted.
"""

from __future__ import annotations

from chaos.simulation.judges.chronicle import Entry
from chaos.simulation.judges.logs import Logs
from chaos.simulation.judges.platters import Platters
from chaos.simulation.violation import Violation

DURABILITY = "durability"
SAFETY = "state machine safety"


class Durability:
    """A reader of the chronicle's."""

    def __init__(self, logs: Logs, platters: Platters) -> None:
        self._logs = logs
        self._platters = platters

    def read(self, entry: Entry) -> None:
        """An entry was applied for the first time."""
        index, term = entry.number, entry.term
        if not self._platters.look():
            return
        lacking = self._platters.lacking(index, lambda platter: platter.holds(index, term))
        if lacking is not None:
            text = f"entry {index} of term {term} is applied, and durable on {lacking} only"
            raise Violation(DURABILITY, text)
        own = self._logs.first_led(entry.member)
        if own is not None and own[1] > term:
            self._check_own(entry, own)
        self._platters.passed(index)

    def _check_own(self, entry: Entry, own: tuple[int, int]) -> None:
        """A leader commits entries of older terms with its own first one only (Raft, §5.4.2)."""
        lacking = self._platters.lacking(own[0], lambda platter: platter.holds(*own))
        if lacking is not None:
            text = (
                f"{entry.member} leads term {own[1]} and applies entry {entry.number} of term"
                f" {entry.term} before its own first one, {own[0]}, is durable on more than"
                f" {lacking}"
            )
            raise Violation(SAFETY, text)
