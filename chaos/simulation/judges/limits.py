"""No queue of requests grows beyond its bound: who finds one full is told so.

Looked at whenever a member tells a caller something, and at every entry it applies: in a crowded
world all of them fill within a moment.
"""

from __future__ import annotations

from typing import Any

from chaos.simulation.observer import Observer
from chaos.simulation.violation import Violation

BOUNDS = "bounds"


class Limits(Observer):
    """Compares what waits in a member with the world's sizes. `met`: bounds that were reached."""

    def __init__(self) -> None:
        self.met: set[str] = set()
        self._world: Any = None

    def began(self, world: Any) -> None:
        self._world = world

    def told(self, time: float, member: str, payload: bytes, kind: str, index: int) -> None:
        self._look(member)

    def barrier(self, time: float, member: str, asked: float, index: int | None) -> None:
        self._look(member)

    def applied(self, time: float, member: str, *_: Any) -> None:
        self._look(member)

    def _look(self, name: str) -> None:
        member = self._world.hosts.get(name)
        gateway = getattr(member, "gateway", None)
        if member is None or gateway is None or not gateway.is_open:
            return
        sizes = self._world.sizes
        load = gateway.submissions._load
        window = gateway.submissions._next - min(gateway.submissions._open, default=0)
        short, long = member.node.raft._queue._queues
        for what, size, limit in (
            ("commands without an outcome", load[0], sizes.in_flight),
            ("urgent commands without an outcome", load[1], sizes.in_flight),
            ("numbers given out", window if load[0] or load[1] else 0, sizes.window),
            ("acquires", len(gateway.acquires), sizes.waiting),
            ("reads", gateway.reading._waiting, sizes.waiting),
            ("proposals", len(long), sizes.queue),
            ("urgent proposals", len(short), sizes.queue),
        ):
            if size >= limit:
                self.met.add(what)
                if size > limit:
                    text = f"{name} has {size} {what}, and may have {limit}"
                    raise Violation(BOUNDS, text)
