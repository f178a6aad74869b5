"""The platters of all members, of this process and former ones, and what a majority of them hold.

What a member lost since it spoke (its folder was wiped, a record was damaged) is remembered by the
platter of the process that spoke: what it said was true.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from chaos.simulation.judges.logs import Logs
from chaos.simulation.judges.platter import Platter
from chaos.simulation.observer import Observer
from raftcoord.consensus.membership import Configuration

FORMER = 4
"""Processes of a member whose platters are remembered."""
KEPT = 256
"""Entries behind the newest applied one that are kept in mind: they are not asked for again."""


class Platters(Observer):
    """Reads them; who asks says `look` first."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._world: Any = None
        self._all: dict[str, deque[Platter]] = {}
        self._running: dict[str, Platter] = {}
        self._newest = (0, 0)
        self._known = 0
        self._ahead = False
        self._forgotten = 0

    def began(self, world: Any) -> None:
        self._world = world

    def started(self, time: float, member: str, life: int) -> None:
        platter = self._running[member] = Platter(self._world.hosts[member].disk)
        self._all.setdefault(member, deque(maxlen=FORMER)).appendleft(platter)

    def wrote(self, time: float, member: str, operation: str, path: str, size: int) -> None:
        if operation in ("sync", "sync_dir"):
            platter = self._running.get(member)
            if platter is not None:
                platter.changed(operation)

    def fault(self, time: float, name: str, detail: str) -> None:
        """What was durable was acknowledged, perhaps, though a bit of it is another next."""
        self.look()

    def stopped(self, time: float, member: str, life: int, why: str) -> None:
        """The last look at what this process made durable; a power cut may have added to it."""
        platter = self._running.pop(member, None)
        if platter is not None:
            platter.changed("sync_dir")
            platter.look()

    def look(self) -> bool:
        """Read what became durable meanwhile; whether there is anybody to read of."""
        for platter in self._running.values():
            platter.look()
        return bool(self._all)

    def lacking(self, index: int, holds: Callable[[Platter], bool]) -> str | None:
        """Who holds it and is no majority; None where a majority does.

        Args:
            index: of the log, for the configurations by which a majority may have been counted.
        """
        lacking = None
        for configuration in self._possible(index):
            have = self._holders(configuration, holds)
            if 2 * len(have) > len(configuration.voters):
                return None
            lacking = f"{sorted(have)} of the voters {sorted(configuration.voters)}"
        return lacking

    def _possible(self, index: int) -> list[Configuration]:
        """Those of the last configuration that is applied, and of any that a log holds behind it
        (Ongaro's dissertation, §4.1)."""
        known = self._logs.configurations
        newest = self._newest
        if len(known) != self._known or self._ahead:
            self._known = len(known)
            applied = [at for at in known if at[0] <= index and self._logs.is_applied(*at)]
            newest = self._newest = max(applied, default=(0, 0))
            self._ahead = any(at[0] > newest[0] for at in known)
        if not self._ahead:
            return [known[newest]] if newest in known else []
        return [known[at] for at in known if at == newest or at[0] > newest[0]]

    def _holders(self, configuration: Configuration, holds: Callable[[Platter], bool]) -> set[str]:
        return {
            name
            for name, member in configuration.members.items()
            if member.voter
            and any(
                # Where even the header cannot be read, nobody knows whose it is.
                platter.incarnation in (member.incarnation, None) and holds(platter)
                for platter in self._all.get(name, ())
            )
        }

    def former(self, member: str) -> list[Platter]:
        """Of a member's processes, the newest first."""
        return list(self._all.get(member, ()))

    def passed(self, index: int) -> None:
        """Everything up to this entry was asked for."""
        if index - self._forgotten > 2 * KEPT:
            self._forgotten = index - KEPT
            for platters in self._all.values():
                for platter in platters:
                    platter.forget(self._forgotten)
