"""A leader that nobody hears steps down.

Source: Ongaro's dissertation, §6.2: a leader steps down when it was not heard by a majority within
an election timeout, so that its callers do not wait for what it can never commit.
"""

from __future__ import annotations

from typing import Any

from chaos.simulation.observer import Observer
from chaos.simulation.violation import Violation

LIVENESS = "liveness"
MARGIN = 1.0
"""Virtual seconds: a heartbeat, a look, and a stop so short that no look sees it."""


class Reigns(Observer):
    """Since when each leader leads and runs, and when it was given bytes of each other host."""

    def __init__(self) -> None:
        self._leads: dict[str, float] = {}
        self._heard: dict[tuple[str, str], float] = {}
        self._voters: dict[str, frozenset[str]] = {}

    def role(self, time: float, member: str, role: str, term: int) -> None:
        if role == "leader":
            self._leads.setdefault(member, time)
        else:
            self._leads.pop(member, None)

    def stopped(self, time: float, member: str, life: int, why: str) -> None:
        self._leads.pop(member, None)

    def delivered(self, time: float, source: str, target: str, sent: float, data: bytes) -> None:
        if target in self._leads:
            self._heard[source, target] = time

    def looked(self, time: float, world: Any) -> None:
        for member, since in list(self._leads.items()):
            host = world.hosts[member]
            voters = frozenset(() if host.node is None else host.node.raft.voters)
            # Another majority is asked for from the moment on at which the voters are others.
            others = self._voters.get(member, voters) != voters
            self._voters[member] = voters
            idle = host.paused or host.node is None or host.node._stopped
            if idle or others or not world.clocks_honest:
                self._leads[member] = time
                continue
            patience = host.node.settings.core.election_max + MARGIN
            if time - since <= patience:
                continue
            heard = [
                voter
                for voter in voters
                if voter == member or self._heard.get((voter, member), since) > time - patience
            ]
            if 2 * len(heard) <= len(voters):
                text = f"{member} leads and heard nothing of a majority for {patience:.1f} s"
                raise Violation(LIVENESS, text)
