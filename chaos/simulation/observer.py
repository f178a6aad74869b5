"""What there is to see in a simulated world, told to whoever watches.

Judges and recorders are observers. Each method is called at the moment it happens, and does
nothing here; `time` is in virtual seconds. An observer that raises `Violation` ends the run. It
changes nothing: no method may draw from a generator of the world's or touch a node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chaos.history import Invoke, Result
    from raftcoord.machine.state import Applied, Machine

World = Any
"""A `chaos.simulation.world.World`, which is built upon this file and not the other way round."""


class Observer:
    """Sees everything and says nothing."""

    def began(self, world: World) -> None:
        """The world is there; no member runs yet."""

    def looked(self, time: float, world: World) -> None:
        """Half a virtual second more is over."""

    def ended(self, time: float, world: World) -> None:
        """Faults are over, all members run and agree, no caller waits any more."""

    def started(self, time: float, member: str, life: int) -> None:
        """A process began; `life` counts the processes of a member from 1."""

    def opened(
        self, time: float, member: str, life: int, log: list[tuple[int, int, bytes]]
    ) -> None:
        """It has opened its data: its log is (index, term, command) of each entry."""

    def stopped(self, time: float, member: str, life: int, why: str) -> None:
        """The process is gone: `kill`, `power cut`, or the reason for which it ended itself."""

    def delivered(self, time: float, source: str, target: str, sent: float, data: bytes) -> None:
        """A host's protocol was given bytes of another's, the first of which left at `sent`."""

    def wrote(self, time: float, member: str, operation: str, path: str, size: int) -> None:
        """A changing operation of a member's disk: write, sync, rename …"""

    def role(self, time: float, member: str, role: str, term: int) -> None:
        """A member's role or term is another: leader, follower, candidate, learner."""

    def appended(self, time: float, member: str, index: int, term: int, command: bytes) -> None:
        """An entry was put into a member's log, not durable yet."""

    def cut(self, time: float, member: str, index: int) -> None:
        """A member's log lost this entry and all behind it."""

    def reset(self, time: float, member: str, index: int, term: int, kept: bool) -> None:
        """A member's log begins behind this entry, by a snapshot; `kept`: what matched stays."""

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
        """A member's machine was given an entry; `stamp` is its cluster time in ms."""

    def restored(self, time: float, member: str, machine: Machine) -> None:
        """A member's machine took a snapshot's state, on opening or from the leader."""

    def told(self, time: float, member: str, payload: bytes, kind: str, index: int) -> None:
        """A member's caller learns what became of its proposal: applied, refused, unknown."""

    def barrier(self, time: float, member: str, asked: float, index: int | None) -> None:
        """A member's reader learns the index at which it may read, None where nobody can tell."""

    def fault(self, time: float, name: str, detail: str) -> None:
        """A fault was done, or ended."""

    def invoked(self, time: float, line: Invoke) -> None:
        """A client began a request."""

    def answered(self, time: float, line: Result) -> None:
        """A client knows what became of it, or that it never will."""


OBSERVED = tuple(name for name, value in vars(Observer).items() if callable(value))
"""The names of all methods."""


class Observers(Observer):
    """Several, told one after the other; a method that nobody overrides costs one empty loop."""

    def __init__(self, observers: tuple[Observer, ...] = ()) -> None:
        for name in OBSERVED:
            heard = tuple(
                getattr(item, name)
                for item in observers
                if getattr(type(item), name) is not getattr(Observer, name)
            )
            setattr(self, name, _all(heard))


def _all(methods: tuple[Any, ...]) -> Any:
    if len(methods) == 1:
        return methods[0]

    def tell(*arguments: Any, **named: Any) -> None:
        for method in methods:
            method(*arguments, **named)

    return tell
