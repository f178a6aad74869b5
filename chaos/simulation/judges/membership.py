"""Every member goes by the members that the log says, from an entry or from a snapshot.

Source: Ongaro's dissertation, §4.1: a server uses the latest configuration in its log.
"""

from __future__ import annotations

from typing import Any

from chaos.simulation.judges.logs import Logs
from chaos.simulation.observer import Observer
from chaos.simulation.violation import Violation

SAFETY = "state machine safety"


class Membership(Observer):
    """Compares what each member holds to be in force where it has applied the log to."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs

    def looked(self, time: float, world: Any) -> None:
        booked = [
            (at[0], self._logs.configurations[at])
            for at in sorted(self._logs.configurations)
            if self._logs.is_applied(*at)
        ]
        for name, host in world.members.items():
            if host.node is None:
                continue
            raft = host.node.raft
            index, mine = next(
                (known for known in reversed(booked) if known[0] <= raft.applied), (0, None)
            )
            held = raft.history.at(raft.applied)
            if mine is not None and held != mine:
                text = (
                    f"{name} has applied entry {raft.applied} and goes by {voters_of(held)}; entry"
                    f" {index} says {voters_of(mine)}"
                )
                raise Violation(SAFETY, text)


def voters_of(configuration: Any) -> str:
    """The members, in words."""
    return ", ".join(
        f"{name}{'' if member.voter else ' (learner)'} of {member.incarnation:x}"
        for name, member in configuration.members.items()
    )
