"""Every caller is answered: in time by a node that can, and in the end without exception."""

from __future__ import annotations

from typing import Any

from chaos.history import Invoke, Result
from chaos.simulation.judges.calm import is_reachable
from chaos.simulation.observer import Observer
from chaos.simulation.violation import Violation
from chaos.workloads.caller import PATIENCE

ANSWERS = "answers"
PATIENT = 0.95 * PATIENCE
"""Who hangs up earlier did not wait long enough for an answer."""
CONNECTING = 1.0
"""Virtual seconds that a client takes besides, for its connection."""


class _Asked:
    __slots__ = ("at", "line", "undisturbed")

    def __init__(self, at: float, line: Invoke) -> None:
        self.at = at
        self.line = line
        self.undisturbed = True


class Answers(Observer):
    """The requests of all clients."""

    def __init__(self) -> None:
        self._open: dict[str, _Asked] = {}

    def invoked(self, time: float, line: Invoke) -> None:
        if line.id in self._open:
            raise Violation(ANSWERS, f"{line.id} is begun twice")
        self._open[line.id] = _Asked(time, line)

    def answered(self, time: float, line: Result) -> None:
        asked = self._open.pop(line.id, None)
        if asked is None:
            raise Violation(ANSWERS, f"{line.id} hears {line.outcome}, and asked nothing any more")
        took = time - asked.at
        wait = float(asked.line.arguments.get("wait", 0))
        most = 2 * (PATIENCE + wait) + CONNECTING
        if took > most:
            text = f"{asked.line.kind} of {asked.line.client} took {took:.3f} s"
            raise Violation(ANSWERS, f"{text}, more than {most:.3f}")
        silent = line.outcome == "unknown" and line.status is None
        if silent and not wait and asked.undisturbed and took >= PATIENT:
            text = f"{asked.line.node} leaves {asked.line.kind} of {asked.line.client} unanswered"
            raise Violation(ANSWERS, f"{text} for {took:.3f} s, though nothing is wrong with it")

    def started(self, time: float, member: str, life: int) -> None:
        self._disturb(member)

    def stopped(self, time: float, member: str, life: int, why: str) -> None:
        self._disturb(member)

    def fault(self, time: float, name: str, detail: str) -> None:
        """One that came and went between two looks is seen here."""
        for asked in self._open.values():
            if time - asked.at > PATIENCE - 2.0:
                asked.undisturbed = False

    def looked(self, time: float, world: Any) -> None:
        for name in world.hosts:
            if not is_reachable(world, name):
                self._disturb(name)

    def _disturb(self, member: str) -> None:
        for asked in self._open.values():
            if asked.line.node == member:
                asked.undisturbed = False

    def ended(self, time: float, world: Any) -> None:
        if self._open:
            names = ", ".join(sorted(self._open)[:5])
            raise Violation(ANSWERS, f"{len(self._open)} requests have no answer: {names}")
