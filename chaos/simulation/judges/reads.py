"""A linearizable read sees everything acknowledged before it was asked.

Source: Ongaro's dissertation, §6.4.
"""

from __future__ import annotations

from bisect import bisect_left

from chaos.simulation.observer import Observer
from chaos.simulation.violation import Violation

READS = "reads"


class Reads(Observer):
    """The books of what was acknowledged when, by a write or by an earlier read."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._newest: list[int] = []
        self._at: dict[str, int] = {}

    def started(self, time: float, member: str, life: int) -> None:
        self._at[member] = 0

    def applied(self, time: float, member: str, index: int, *_: object) -> None:
        self._at[member] = index

    def restored(self, time: float, member: str, machine: object) -> None:
        self._at[member] = getattr(machine, "applied", 0)

    def told(self, time: float, member: str, payload: bytes, kind: str, index: int) -> None:
        if kind == "applied":
            self._known(time, index)

    def barrier(self, time: float, member: str, asked: float, index: int | None) -> None:
        if index is None:
            return
        before = bisect_left(self._times, asked)
        floor = self._newest[before - 1] if before else 0
        if index < floor:
            text = (
                f"{member} answers a read at entry {index} that was asked at {asked:.6f}, when"
                f" entry {floor} was acknowledged"
            )
            raise Violation(READS, text)
        if index > self._at.get(member, 0):
            text = f"{member} answers a read at entry {index}, with {self._at.get(member)} applied"
            raise Violation(READS, text)
        self._known(time, index)

    def _known(self, time: float, index: int) -> None:
        if not self._newest or index > self._newest[-1]:
            self._times.append(time)
            self._newest.append(index)
