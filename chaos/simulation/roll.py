"""Who belongs to a simulated cluster, by the configuration that was committed last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from chaos.simulation.observer import Observer
from raftcoord.consensus.core import CONFIGURATION, HEADER
from raftcoord.consensus.membership import Configuration, decode_configuration

if TYPE_CHECKING:
    from chaos.simulation.members import Member
    from raftcoord.machine.state import Applied, Machine

FIRST = 1
"""Where the configuration stands that all members of a new cluster begin with, as committed."""


class Roll(Observer):
    """Remembers the newest configuration that any member applied: no member alone can be asked,
    the one that would know may be down, and a leader that stands still may be none any more."""

    def __init__(self, hosts: Mapping[str, Member]) -> None:
        self._hosts = hosts
        self._index = 0
        self._newest: Configuration | None = None
        self._applied = 0
        self._ends: dict[str, tuple[int, Configuration, object]] = {}
        """Member → the last configuration of its log: index, what it says, on which disk."""

    def opened(
        self, time: float, member: str, life: int, log: list[tuple[int, int, bytes]]
    ) -> None:
        for index, _, command in log:
            if index == FIRST and self._index < FIRST and command[:1] == CONFIGURATION:
                self._index, self._newest = index, decode_configuration(command[HEADER:])
        self._ends.pop(member, None)
        for index, term, command in log:
            self.appended(time, member, index, term, command)

    def appended(self, time: float, member: str, index: int, term: int, command: bytes) -> None:
        if command[:1] == CONFIGURATION:
            known = decode_configuration(command[HEADER:])
            self._ends[member] = (index, known, self._hosts[member].disk)

    def cut(self, time: float, member: str, index: int) -> None:
        if self._ends.get(member, (0,))[0] >= index:
            del self._ends[member]

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
        self._applied = max(self._applied, index)
        node = self._hosts[member].node
        if payload or index <= self._index or node is None:
            return
        entry = node.raft.entry_at(index)
        if entry is not None and entry[0][:1] == CONFIGURATION:
            self._index, self._newest = index, decode_configuration(entry[0][HEADER:])

    def committed(self) -> Configuration | None:
        """The newest; None while a member has one behind it that may take its place."""
        for name, host in self._hosts.items():
            if host.node is None and self._waits(name, host):
                return None
            history = None if host.node is None else host.node.raft.history
            # One that came in a snapshot stands at the snapshot's end, wherever its entry was.
            newer = history is not None and history.index > self._index
            if history is not None and newer and history.current != self._newest:
                return None
        return self._newest

    def _waits(self, name: str, host: Member) -> bool:
        """Whether a member that does not run may come back with another one."""
        index, known, disk = self._ends.get(name, (0, None, None))
        return index > self._applied and known != self._newest and disk is host.disk
