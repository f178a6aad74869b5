"""What the judges of a simulated world are told, by hand.

`Log` is a log that a real machine applies. What became of an entry can be changed on its way to the
judges, as if the machine had done something else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from chaos.simulation.judges.assembly import all_judges
from chaos.simulation.observer import Observers
from chaos.simulation.profiles import PROFILES
from chaos.simulation.violation import JUDGES, Violation
from raftcoord.commands import AdvanceClock, Envelope, encode
from raftcoord.machine.state import Applied, Machine

T = TypeVar("T")
Twist = Callable[[Applied], Applied]


class Host:
    """As much of a simulated host as judges look at."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.paused = False
        self.stopping = False
        self.node: Any = None


class Disk:
    """A disk with nothing on it."""

    def __init__(self) -> None:
        self.capacity: int | None = None
        self._durable_names: dict[str, Any] = {}


class World:
    """As much of a world."""

    def __init__(self, *names: str) -> None:
        self.hosts = {name: Host() for name in names}
        self.members = self.hosts
        self.clocks_honest = True
        self.profile = PROFILES["three"]


class Log:
    """Applies commands, in cluster time; every judge that reads entries is told."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.all = all_judges()
        self.judges = Observers(self.all)
        self.judges.began(World())  # type: ignore[arg-type]
        self.index = 0
        self.term = 1
        self.time = 0
        self.seq = 0

    def apply(
        self,
        command: Any,
        *,
        after: int = 1,
        seq: int | None = None,
        gateway: str = "n1",
        twist: Twist = lambda applied: applied,
    ) -> Applied:
        """Apply a command `after` so many ms.

        Args:
            seq: of its request id; a new one where it is None.
            twist: makes what the judges are told of what became of it.
        """
        if seq is None:
            self.seq += 1
            seq = self.seq
        self.time += after
        self.index += 1
        payload = encode(Envelope(gateway, 1, seq, 1, "", command))
        applied = twist(self.machine.apply(self.index, self.term, self.time, payload))
        self.told(payload, applied, self.machine)
        return applied

    def idle(self, time: int) -> None:
        """Let so many ms pass, as a leader does: with an entry twice a second."""
        while time > 0:
            step = min(time, 500)
            self.apply(AdvanceClock(self.term), after=step, seq=0, gateway="")
            time -= step

    def judge(self, kind: type[T]) -> T:
        """The judge of this kind."""
        return next(item for item in self.all if isinstance(item, kind))

    def told(self, payload: bytes, applied: Applied, machine: Any, member: str = "n1") -> None:
        """Tell the judges of an entry."""
        self.judges.applied(
            self.time / 1000,
            member,
            self.index,
            self.term,
            self.time,
            payload,
            applied,
            machine,
        )


def broken(judge: str, words: str) -> Any:
    """Expect a violation that this judge finds, with these words in it."""
    assert judge in JUDGES
    return pytest.raises(Violation, match=f"^{judge}: .*{words}")


def with_events(applied: Applied, *events: Any) -> Applied:
    """The same entry, with these events."""
    return Applied(applied.reply, events, applied.envelope)


def with_reply(applied: Applied, reply: Any) -> Applied:
    """The same entry, answered so."""
    return Applied(reply, applied.events, applied.envelope)
