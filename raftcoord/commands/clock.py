"""The cluster's clock."""

from raftcoord.commands.base import Command, Reply


class AdvanceClock(Command, frozen=True, tag="clock.advance"):
    """Let time pass, because something is due. Ignored when `term` is not its entry's term."""

    term: int


class ClockAdvanced(Reply, frozen=True, tag="clock.advanced"):
    """Cluster time in milliseconds after the entry."""

    clock: int
