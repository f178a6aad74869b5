"""What is applied, and so what is acknowledged, is on the platters of a majority of the voters.

The first member to apply an entry is the leader that counted it, in the same turn: then it must be
durable where it was counted. What a member lost since it acknowledged (its folder was wiped, a
record was damaged) is remembered: what it said was true.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from chaos.simulation.judges.chronicle import Entry
from chaos.simulation.judges.logs import Logs
from chaos.simulation.judges.platter import Platter
from chaos.simulation.observer import Observer
from chaos.simulation.violation import Violation
from raftcoord.consensus.membership import Configuration

DURABILITY = "durability"
KEPT = 256
"""Entries behind the newest applied one that are kept in mind: they are not asked for again."""
FORMER = 4
"""Processes of a member whose platters are remembered."""


class Durability(Observer):
    """The platters of all members. Told of entries by the chronicle, as a reader."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._world: Any = None
        self._platters: dict[str, deque[Platter]] = {}
        self._running: set[str] = set()
        self._newest = (0, 0)
        self._known = 0
        self._ahead = False
        self._forgotten = 0

    def began(self, world: Any) -> None:
        self._world = world

    def started(self, time: float, member: str, life: int) -> None:
        platters = self._platters.setdefault(member, deque(maxlen=FORMER))
        platters.appendleft(Platter(self._world.hosts[member].disk))
        self._running.add(member)

    def wrote(self, time: float, member: str, operation: str, path: str, size: int) -> None:
        if operation in ("sync", "sync_dir") and member in self._running:
            self._platters[member][0].changed(operation)

    def stopped(self, time: float, member: str, life: int, why: str) -> None:
        """The last look at what this process made durable; a power cut may have added to it."""
        if member in self._running:
            self._running.discard(member)
            self._platters[member][0].changed("sync_dir")
            self._platters[member][0].look()

    def read(self, entry: Entry) -> None:
        """An entry was applied for the first time."""
        index, term = entry.number, entry.term
        if index == 0 or not self._platters:
            return
        for member in self._running:
            self._platters[member][0].look()
        lacking = ""
        for configuration in self._possible(index):
            have = self._holders(configuration, index, term)
            if 2 * len(have) > len(configuration.voters):
                break
            lacking = f"{sorted(have)} of the voters {sorted(configuration.voters)}"
        else:
            if lacking:
                text = f"entry {index} of term {term} is applied, and durable on {lacking} only"
                raise Violation(DURABILITY, text)
        if index - self._forgotten > 2 * KEPT:
            self._forgotten = index - KEPT
            for platters in self._platters.values():
                for platter in platters:
                    platter.forget(self._forgotten)

    def _possible(self, index: int) -> list[Configuration]:
        """By which voters it may have been counted: those of the last configuration that is
        applied, and of any that a log holds behind it (Ongaro's dissertation, §4.1)."""
        known = self._logs.configurations
        newest = self._newest
        if len(known) != self._known or self._ahead:
            self._known = len(known)
            applied = [at for at in known if at[0] <= index and self._logs.is_applied(*at)]
            newest = self._newest = max(applied, default=(0, 0))
            self._ahead = any(at[0] > newest[0] for at in known)
        if not self._ahead:
            return [known[newest]] if known else []
        return [known[at] for at in known if at == newest or at[0] > newest[0]]

    def _holders(self, configuration: Configuration, index: int, term: int) -> set[str]:
        return {
            name
            for name, member in configuration.members.items()
            if member.voter
            and any(
                platter.incarnation == member.incarnation and platter.holds(index, term)
                for platter in self._platters.get(name, ())
            )
        }
