"""Who leads was voted for by a majority, whose votes are on their platters; one vote in a term.

Source: Raft paper, figure 2: votedFor is on stable storage before a vote is answered.
"""

from __future__ import annotations

from typing import Any

from chaos.simulation.judges.logs import Logs
from chaos.simulation.judges.platter import Platter
from chaos.simulation.judges.platters import Platters
from chaos.simulation.observer import Observer
from chaos.simulation.violation import Violation

ELECTIONS = "election safety"


class Votes(Observer):
    """Looks for the votes when somebody leads; told after the platters."""

    def __init__(self, logs: Logs, platters: Platters) -> None:
        self._logs = logs
        self._platters = platters
        self._leaders: set[tuple[str, int]] = set()

    def role(self, time: float, member: str, role: str, term: int) -> None:
        if role != "leader" or (member, term) in self._leaders or not self._platters.look():
            return
        self._leaders.add((member, term))

        def voted(platter: Platter) -> bool:
            return platter.damaged or platter.votes.get(term) == member

        lacking = self._platters.lacking(self._logs.last(member), voted)
        if lacking is not None:
            text = f"{member} leads term {term} by the durable votes of {lacking}"
            raise Violation(ELECTIONS, text)

    def looked(self, time: float, world: Any) -> None:
        self._platters.look()
        for member in world.hosts:
            given: dict[tuple[int | None, int], str] = {}
            for platter in self._platters.former(member):
                for term, vote in platter.votes.items():
                    first = given.setdefault((platter.incarnation, term), vote)
                    if first != vote:
                        text = f"{member} voted for {first} and for {vote} in term {term}"
                        raise Violation(ELECTIONS, text)
