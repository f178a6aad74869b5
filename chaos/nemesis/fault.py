"""What a fault is, and what it works on.

A fault is a small class: `start` does the damage, `stop` undoes it. Both may wait, by `site.wait`
and `site.rest` only, so that the run goes on looking at its clients and nodes meanwhile. All that
is random in a fault follows from `pick`, a number of its step in the schedule.

The classes are gathered in `chaos.nemesis.table`.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from chaos.nemesis.relay import Rule

if TYPE_CHECKING:
    from chaos.nemesis.members import Members
    from chaos.nemesis.nodes import Nodes

Needs = Literal["nothing", "root", "fuse"]
Span = tuple[float, float]


class NotReached(Exception):
    """The cluster did not get where it should be, in the time it has: a violation."""


class CannotInject(Exception):
    """A fault could not be done, which says nothing about the cluster."""


class Waiting(Protocol):
    """How a fault lets time pass. Both raise NotReached where a node ends by itself meanwhile."""

    def wait(self, reached: Callable[[], bool], what: str, seconds: float | None = None) -> None:
        """Until `reached()`; raises NotReached, with `what`, when the patience is over."""

    def rest(self, seconds: float) -> None:
        """For so many seconds."""


class Network(Protocol):
    """The links between the members, however they are hurt."""

    nodes: tuple[str, ...]

    def disturb(self, who: object, rules: Iterable[Rule]) -> object:
        """Have rules hold until `who` takes them back. Raises CannotInject."""

    def calm(self, who: object) -> object:
        """Take back what `who` asked for. Raises CannotInject."""

    def pairs(self, *nodes: str) -> list[tuple[str, str]]:
        """All pairs, in both directions, that have one of these nodes; without names, all."""


class Crowd(Protocol):
    """The client processes, as faults see them: each is named and was started by the run."""

    @property
    def working(self) -> tuple[str, ...]:
        """The clients that may be hit."""

    def kill(self, client: str) -> None:
        """SIGKILL; another of a new name takes its place at once."""

    def pause(self, client: str) -> None:
        """SIGSTOP."""

    def resume(self, client: str) -> None:
        """SIGCONT, where it still runs."""


@dataclass
class Site:
    """What faults work on.

    Args:
        folder: scratch room for the faults, of this run only.
        members: the nodes, to be asked.
        own: their processes, where the run started them.
        links: between the nodes, where a fault of the run works on them.
    """

    folder: Path
    members: Members
    clients: Crowd
    waiting: Waiting
    own: Nodes | None = None
    links: Network | None = None

    @property
    def nodes(self) -> Nodes:
        """The nodes' processes; `nodes.launch[node]` says how one is started."""
        assert self.own is not None, "only processes that the run started are touched"
        return self.own

    def wait(self, reached: Callable[[], bool], what: str, seconds: float | None = None) -> None:
        """See `Waiting.wait`."""
        self.waiting.wait(reached, what, seconds)

    def rest(self, seconds: float) -> None:
        """See `Waiting.rest`."""
        self.waiting.rest(seconds)

    def leader(self) -> str:
        """The node that leads; waits for one. Raises NotReached."""
        found: list[str] = []

        def lead() -> bool:
            leader = self.members.leader()
            found.extend([] if leader is None else [leader])
            return leader is not None

        self.wait(lead, "nobody leads")
        return found[-1]

    def until_ready(self, *nodes: str) -> None:
        """Wait until these nodes are ready; without names, all. Raises NotReached."""
        asked = nodes or self.members.ids
        self.wait(lambda: self.members.ready(*asked), f"{', '.join(asked)}: not ready")


class Fault(ABC):
    """A fault.

    Attributes of a class:
        name: in schedules and histories: small letters and dashes.
        about: one line for people.
        needs: what the machine must offer.
        takes: whether a node is gone for the others meanwhile; of those, one at a time.
        alone: whether it waits for the cluster itself, so that no other may go on meanwhile.
        spans: seconds it may last, each a lowest and a highest; the first is the shortest.
        linked: whether it works on the links between the nodes (`site.links`).
        proxied: whether it can be done by the link proxy only, not by dropping packets.
        foreign: whether it can be done to a cluster that is not the run's own.
        words: what the history calls its begin and its end; `role` is the fault's name there.

    Attributes of an object, set by `start`: `nodes`, those that are hit; `detail`; and `at`, when
    they were, in monotonic ns, where that is not when `start` was called: looking for the leader
    takes time, in which writes are still accepted.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    needs: ClassVar[Needs] = "nothing"
    takes: ClassVar[bool] = False
    alone: ClassVar[bool] = False
    spans: ClassVar[tuple[Span, ...]] = ((0.3, 1.5),)
    linked: ClassVar[bool] = False
    proxied: ClassVar[bool] = False
    foreign: ClassVar[bool] = False
    words: ClassVar[tuple[str, str]] = ("begin", "end")
    role: ClassVar[str] = ""

    def __init__(self, site: Site, pick: float) -> None:
        self.site = site
        self.pick = pick
        self.random = Random(f"{self.name}/{pick}")
        self.nodes: tuple[str, ...] = ()
        self.detail = ""
        self.at: int | None = None

    @classmethod
    def missing(cls) -> str | None:
        """Why it cannot be done on this machine; None where it can."""
        if cls.needs != "nothing" and os.geteuid() != 0:
            return "it needs root"
        return None

    @classmethod
    def prepare(cls, site: Site) -> None:
        """Called once before the nodes are started for the first time, and only where the run has
        this kind of fault."""
        return  # most need nothing

    @classmethod
    def clear(cls, site: Site) -> None:
        """Called once when all nodes are stopped, after `prepare`, however the run ended."""
        return

    @abstractmethod
    def start(self) -> None:
        """Do it. Raises NotReached, CannotInject."""

    @abstractmethod
    def stop(self) -> None:
        """Undo it, so that the cluster can recover. Raises NotReached, CannotInject."""

    def give_up(self) -> None:
        """Called in place of `stop` where the run ends in the midst of it. What lies in the run's
        own processes and files ends with them, so most have nothing to undo."""
        return

    def leader(self) -> str:
        """The leader."""
        return self.site.leader()

    def follower(self) -> str:
        """One that does not lead, by `pick`."""
        leader = self.leader()
        others = [node for node in self.site.members.ids if node != leader]
        return others[min(int(self.pick * len(others)), len(others) - 1)]

    def anyone(self) -> str:
        """One of the nodes."""
        return self.random.choice(self.site.members.ids)
