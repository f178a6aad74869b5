"""Whom a member listens to is the member that it takes it for.

In the simulated network it is known at whose host each connection ends, whatever was said on it.
"""

from __future__ import annotations

from typing import Any

from chaos.simulation.observer import Observer
from chaos.simulation.violation import Violation

STRANGERS = "strangers"


class Strangers(Observer):
    """Looks at who is at the other end of what counts as a member's connection."""

    def __init__(self) -> None:
        self._world: Any = None

    def began(self, world: Any) -> None:
        self._world = world

    def delivered(self, time: float, source: str, target: str, sent: float, data: bytes) -> None:
        hosts = self._world.hosts
        if source not in hosts and target in hosts:
            self._check(target)

    def looked(self, time: float, world: Any) -> None:
        for member in world.hosts:
            self._check(member)

    def _check(self, member: str) -> None:
        node = self._world.hosts[member].node
        for name, link in ({} if node is None else node._net._links).items():
            if link.is_linked and (caller := link._transport.peer.host.name) != name:
                raise Violation(STRANGERS, f"{member} takes {caller} for {name}")
