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

    def opened(
        self, time: float, member: str, life: int, log: list[tuple[int, int, bytes]]
    ) -> None:
        for index, _, command in log:
            if index == FIRST and self._index < FIRST and command[:1] == CONFIGURATION:
                self._index, self._newest = index, decode_configuration(command[HEADER:])

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
        node = self._hosts[member].node
        if payload or index <= self._index or node is None:
            return
        entry = node.raft.entry_at(index)
        if entry is not None and entry[0][:1] == CONFIGURATION:
            self._index, self._newest = index, decode_configuration(entry[0][HEADER:])

    def committed(self) -> Configuration | None:
        """The newest; None while a running member has one behind it that may take its place."""
        for host in self._hosts.values():
            history = None if host.node is None else host.node.raft.history
            # One that came in a snapshot stands at the snapshot's end, wherever its entry was.
            newer = history is not None and history.index > self._index
            if history is not None and newer and history.current != self._newest:
                return None
        return self._newest
