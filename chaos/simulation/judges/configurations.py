"""A leader changes who the members are one step at a time, and a snapshot says who they were.

Source: Ongaro's dissertation, §4.1, and his "bug in single-server membership changes" (raft-dev,
10 July 2015): a leader appends a configuration only when the one before it is committed, and an
entry of its own term too; two that follow each other differ by one voter. §5.2: a snapshot holds
the configuration as of its last entry.
"""

from __future__ import annotations

from typing import Any, cast

from chaos.simulation.judges.logs import Logs
from chaos.simulation.judges.membership import voters_of
from chaos.simulation.observer import Observer
from chaos.simulation.violation import Violation
from raftcoord.consensus.core import CONFIGURATION
from raftcoord.consensus.membership import Configuration, decode_configuration
from raftcoord.consensus.snapshot_file import Reader
from raftcoord.errors import DataDamaged

SAFETY = "state machine safety"
CLUSTER = "simulated"
"""The name of any simulated cluster."""

_At = tuple[int, int]
"""Of an entry: index, term."""


class Configurations(Observer):
    """The configuration entries of each member's log, and those that snapshots hold.

    Args:
        logs: is told of everything before this one.
    """

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._world: Any = None
        self._held: dict[str, list[_At]] = {}
        self._begins: dict[str, int] = {}

    def began(self, world: Any) -> None:
        self._world = world

    def opened(
        self, time: float, member: str, life: int, log: list[tuple[int, int, bytes]]
    ) -> None:
        self._held[member] = [entry[:2] for entry in log if entry[:2] in self._logs.configurations]
        self._begins[member] = log[0][0] if log else 0

    def stopped(self, time: float, member: str, life: int, why: str) -> None:
        self._held.pop(member, None)

    def cut(self, time: float, member: str, index: int) -> None:
        held = self._held.get(member)
        while held and held[-1][0] >= index:
            held.pop()

    def reset(self, time: float, member: str, index: int, term: int, kept: bool) -> None:
        held = self._held.get(member, ())
        self._held[member] = [at for at in held if kept and at[0] > index]
        self._begins[member] = index

    def appended(self, time: float, member: str, index: int, term: int, command: bytes) -> None:
        if command[:1] != CONFIGURATION:
            return
        first = self._logs.first_led(member)
        if first is not None:
            self._check_change(member, (index, term), first)
        self._held.setdefault(member, []).append((index, term))

    def _check_change(self, member: str, at: _At, first: _At) -> None:
        index = at[0]
        leads = f"{member} leads term {first[1]} and appends the configuration {index}"
        commit = self._world.hosts[member].node.raft.commit
        if commit < first[0]:
            text = f"{leads} with {commit} committed: its own first entry, {first[0]}, is not"
            raise Violation(SAFETY, text)
        before = self._before(member)
        if before is None:
            return
        if commit < before[0]:
            text = f"{leads} with {commit} committed: the one before it, {before[0]}, is not"
            raise Violation(SAFETY, text)
        known = self._logs.configurations
        if len(_folders(known[before]) ^ _folders(known[at])) > 1:
            text = f"{leads} of {voters_of(known[at])}; {before[0]} has {voters_of(known[before])}"
            raise Violation(SAFETY, text)

    def _before(self, member: str) -> _At | None:
        """The last configuration in a member's log, or of the snapshot that it begins with."""
        held = self._held.get(member)
        return held[-1] if held else self._applied(self._begins.get(member, 0))

    def _applied(self, index: int) -> _At | None:
        """Of the last configuration entry up to this index that was applied."""
        known = (at for at in self._logs.configurations if at[0] <= index)
        return max((at for at in known if self._logs.is_applied(*at)), default=None)

    def wrote(self, time: float, member: str, operation: str, path: str, size: int) -> None:
        if operation != "rename" or not path.endswith(".snap"):
            return
        held = _in_snapshot(self._world.hosts[member].disk.content(path), path)
        if held is None:
            return
        index, configuration = held
        at = self._applied(index)
        if at is not None and configuration != self._logs.configurations[at]:
            text = (
                f"{member} has a snapshot of entry {index} that says {voters_of(configuration)};"
                f" entry {at[0]} says {voters_of(self._logs.configurations[at])}"
            )
            raise Violation(SAFETY, text)


def _folders(configuration: Configuration) -> set[tuple[str, int]]:
    """Who votes. A data folder that takes the name of another is another voter."""
    return {
        (name, member.incarnation) for name, member in configuration.members.items() if member.voter
    }


class _Content:
    """A file that is only read; the disk is not asked, which may be about to fail."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, offset: int, size: int) -> bytes:
        return self._data[offset : offset + size]


def _in_snapshot(data: bytes, path: str) -> tuple[int, Configuration] | None:
    """The index of a snapshot's last entry, and its configuration; None where it is damaged."""
    reader = Reader(lambda _: cast("Any", _Content(data)), path)
    try:
        meta = reader.meta(CLUSTER)
    except DataDamaged:
        return None
    return meta.index, decode_configuration(meta.configuration)
