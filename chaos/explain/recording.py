"""Watches a run and keeps all that a story needs."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from chaos.explain.seen import Mark, Message, Stretch, Trouble
from chaos.explain.wire import Wire, asked
from chaos.explain.words import command
from chaos.history import History, Invoke, Result
from chaos.simulation.observer import Observer

if TYPE_CHECKING:
    from chaos.simulation.world import World
    from raftcoord.machine.state import Applied, Machine

_LASTS = re.compile(r" for ([\d.]+) s")
_WORD = re.compile(r"[\w.-]+")


class Recording(Observer):
    """Everything that happened, in the order in which it did.

    Attributes:
        members: all hosts that may be members, in their order.
        marks, messages, troubles: see `seen`.
    """

    def __init__(self) -> None:
        self.members: tuple[str, ...] = ()
        self.marks: list[Mark] = []
        self.messages: list[Message] = []
        self.troubles: list[Trouble] = []
        self._world: World | None = None
        self._begin = 0.0
        self._end = 0.0
        self._wire = Wire()
        self._going: dict[str, list[int]] = {}
        self._roles: list[tuple[float, str, str, int]] = []

    @property
    def begin(self) -> float:
        """The virtual time of the run's begin, which all other times here are counted from."""
        return self._begin

    @property
    def end(self) -> float:
        """When something was seen last."""
        return self._end

    @property
    def history(self) -> History:
        """What clients asked and heard; its times are those of the virtual loop, in ns."""
        return History(()) if self._world is None else self._world.history()

    def began(self, world: World) -> None:
        self._world = world
        self._begin = world.began
        self.members = tuple(world.hosts)

    def stretches(self) -> list[Stretch]:
        """Who was what, and when."""
        found: list[Stretch] = []
        now: dict[str, tuple[float, str, int]] = dict.fromkeys(self.members, (0.0, "down", 0))
        for at, member, role, term in self._roles:
            begin, before, old = now.get(member, (at, "down", 0))
            if at > begin:
                found.append(Stretch(member, begin, at, before, str(old)))
            now[member] = (at, role, term)
        for member, (begin, role, term) in now.items():
            found.append(Stretch(member, begin, max(self._end, begin), role, str(term)))
        return sorted(found, key=lambda item: (item.begin, item.lane))

    # Lives.

    def started(self, time: float, member: str, life: int) -> None:
        self._mark(time, member, "start", "start", f"process {life} begins")

    def opened(
        self, time: float, member: str, life: int, log: list[tuple[int, int, bytes]]
    ) -> None:
        held = f"entries {log[0][0]} to {log[-1][0]}" if log else "no entries"
        self._mark(time, member, "open", "open", f"process {life} has opened its data: {held}")

    def stopped(self, time: float, member: str, life: int, why: str) -> None:
        self._mark(time, member, "stop", why, f"process {life} is gone: {why}")
        self._roles.append((time - self._begin, member, "down", 0))

    def role(self, time: float, member: str, role: str, term: int) -> None:
        self._roles.append((self._at(time), member, role, term))

    # Messages and disks.

    def delivered(self, time: float, source: str, target: str, sent: float, data: bytes) -> None:
        now, left = self._at(time), sent - self._begin
        if source in self.members and target in self.members:
            self.messages += self._wire.take(now, source, target, left, data)
        else:
            said = asked(now, source, target, left, data)
            self.messages += [] if said is None else [said]

    def wrote(self, time: float, member: str, operation: str, path: str, size: int) -> None:
        more = f", {size} bytes" if size else ""
        self._mark(time, member, "disk", operation, f"{operation} {path}{more}")

    # Logs and machines.

    def appended(self, time: float, member: str, index: int, term: int, command: bytes) -> None:
        words = f"entry {index} of term {term} is put into the log"
        self._mark(time, member, "append", str(index), words)

    def cut(self, time: float, member: str, index: int) -> None:
        words = f"the log loses entry {index} and all behind it"
        self._mark(time, member, "cut", f"cut {index}", words)

    def reset(self, time: float, member: str, index: int, term: int, kept: bool) -> None:
        rest = "what follows stays" if kept else "nothing follows"
        words = f"a snapshot: the log begins behind entry {index} of term {term}; {rest}"
        self._mark(time, member, "reset", f"snapshot {index}", words)

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
        name, said = command(payload)
        words = f"entry {index} of term {term} is applied at {stamp} ms of cluster time: {said}"
        self._mark(time, member, "apply", f"{index} {name}", words)

    def restored(self, time: float, member: str, machine: Machine) -> None:
        self._mark(time, member, "restore", "restore", "the state of a snapshot is taken")

    def told(self, time: float, member: str, payload: bytes, kind: str, index: int) -> None:
        said = command(payload)[1]
        words = f"the caller is told “{kind}”, entry {index}: {said}"
        self._mark(time, member, "told", f"{kind} {index}", words)

    def barrier(self, time: float, member: str, asked: float, index: int | None) -> None:
        since = f"asked {(time - asked) * 1e3:.1f} ms before"
        known = "nobody can tell" if index is None else f"may read at {index}"
        self._mark(time, member, "read", known, f"a reader learns: {known}; {since}")

    # Faults and clients.

    def fault(self, time: float, name: str, detail: str) -> None:
        at = self._at(time)
        if detail == "over":
            self._over(at, name)
            return
        lasts = _LASTS.search(detail)
        end = at + float(lasts[1]) if lasts else at
        lanes = dict.fromkeys(word for word in _WORD.findall(detail) if word in self.members)
        links = ">" in detail
        self._going.setdefault(name, []).append(len(self.troubles))
        self.troubles.append(Trouble(at, end, name, detail, () if links else tuple(lanes)))

    def _over(self, at: float, name: str) -> None:
        """Of several of one name the one ends whose time it is."""
        going = self._going.get(name)
        if going:
            which = min(going, key=lambda number: abs(self.troubles[number].end - at))
            going.remove(which)
            self.troubles[which] = replace(self.troubles[which], end=at)

    def invoked(self, time: float, line: Invoke) -> None:
        self._at(time)

    def answered(self, time: float, line: Result) -> None:
        self._at(time)

    def _mark(self, time: float, member: str, kind: str, name: str, words: str) -> None:
        self.marks.append(Mark(self._at(time), member, kind, name, words))

    def _at(self, time: float) -> float:
        self._end = max(self._end, time - self._begin)
        return time - self._begin
