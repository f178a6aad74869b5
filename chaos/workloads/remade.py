"""Rings that are made, deleted and made again, and reads of what a node has, however old."""

from __future__ import annotations

from typing import Any

from chaos.history import Operation
from chaos.workloads.caller import Caller
from chaos.workloads.workload import Workload

RINGS = ("brief/1", "brief/2")
POINTS = (16, 32, 64)
MEMBERS = ("a", "b", "c")
PEEKED = ("ring/1", "ring/2", "living", *RINGS)
LOCKS = ("lock/1", "lock/2", "patient/1")
EARLY = 100
"""Revisions before which no ring is deleted: a ring that is made later begins above the deleted
ones' versions, and what is known of it begins there, too."""


class Remade(Workload):
    """Make a ring or change its settings, put a member in, delete it all, look; and peek into a
    node, which may have to be as new as what was heard before."""

    name = "remade"

    def __init__(self, agent: Caller) -> None:
        super().__init__(agent)
        self._newest = 0

    async def step(self) -> None:
        """One change or a look."""
        agent = self.agent
        ring = agent.random.choice(RINGS)
        draw = agent.random.random()
        if draw < 0.2:
            points = agent.random.choice(POINTS)
            await self._ask("ring.put", ring=ring, virtual_nodes=points)
        elif draw < 0.35:
            member = agent.random.choice(MEMBERS)
            weight = agent.random.choice((0.5, 1.0))
            await self._ask("ring.join", ring=ring, member=member, weight=weight)
        elif draw < 0.5 and self._newest > EARLY:
            await self._ask("ring.delete", ring=ring)
        elif draw < 0.7:
            await self._ask("ring.read", ring=ring)
        elif draw < 0.85:
            await self._peek("ring.peek", ring=agent.random.choice(PEEKED))
        else:
            await self._peek("lock.peek", name=agent.random.choice(LOCKS))

    async def _ask(self, kind: str, **arguments: Any) -> Operation:
        asked = await self.agent.ask(kind, **arguments)
        if asked.ok and asked.revision is not None:
            self._newest = max(self._newest, asked.revision)
        return asked

    async def _peek(self, kind: str, **arguments: Any) -> None:
        """What is heard of here is not remembered: it may be of a node that is behind."""
        agent, wanted = self.agent, None
        if agent.chance(0.7):
            wanted = self._newest + agent.random.randint(0, 1)
        await agent.ask(kind, min_revision=wanted, **arguments)
