"""Rings that change all the time."""

from __future__ import annotations

from chaos.workloads.caller import Caller
from chaos.workloads.workload import Workload

RINGS = ("ring/1", "ring/2")
OWN_MEMBERS = 4
WEIGHTS = (0.5, 1.0, 2.0)


class Rings(Workload):
    """Each agent puts members of its own in, changes their weight, takes them out; all read and
    look keys up."""

    name = "rings"

    def __init__(self, agent: Caller) -> None:
        super().__init__(agent)
        self._members: dict[str, list[str]] = {ring: [] for ring in RINGS}

    async def step(self) -> None:
        """One change or a look."""
        agent = self.agent
        ring = agent.random.choice(RINGS)
        members = self._members[ring]
        draw = agent.random.random()
        if draw < 0.35:
            await agent.ask("ring.read", ring=ring)
        elif draw < 0.5:
            key = f"key-{agent.random.randrange(1000)}"
            await agent.ask("ring.lookup", ring=ring, key=key, n=agent.random.randint(1, 3))
        elif draw < 0.75 and len(members) < OWN_MEMBERS:
            await self._join(ring, agent.unique("m"))
        elif draw < 0.85 and members:
            await self._join(ring, agent.random.choice(members))
        elif members:
            await self._leave(ring, agent.random.choice(members))

    async def _join(self, ring: str, member: str) -> None:
        agent = self.agent
        weight = agent.random.choice(WEIGHTS)
        joined = await agent.ask("ring.join", ring=ring, member=member, weight=weight)
        if joined.outcome == "unknown":
            # Nobody can say what it is from here on, so it goes, and another takes its place.
            await self._leave(ring, member)
        elif joined.ok and member not in self._members[ring]:
            self._members[ring].append(member)

    async def _leave(self, ring: str, member: str) -> None:
        left = await self.agent.ask("ring.leave", ring=ring, member=member)
        if left.sent and member in self._members[ring]:
            self._members[ring].remove(member)
