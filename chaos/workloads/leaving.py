"""Callers that hang up while they wait, and callers that wait for long."""

from __future__ import annotations

from chaos.workloads.caller import Caller
from chaos.workloads.workload import Workload

NAMES = ("patient/1", "patient/2")
LEASE = 8.0
WAIT = 6.0
LONGEST_HOLD = 0.4


class Leaving(Workload):
    """Ask for a lock of its own and hang up soon, with the lock or behind it in its queue, and ask
    again as somebody else; at other times wait among many for as long as it takes."""

    name = "leaving"

    def __init__(self, agent: Caller) -> None:
        super().__init__(agent)
        self._steps = 0

    async def step(self) -> None:
        """A lock that is left in the lurch, or one that is waited for."""
        self._steps += 1
        if self.agent.chance(0.4):
            await self._leave(f"{self.agent.name}/{self._steps}")
        else:
            await self._wait(self.agent.random.choice(NAMES))

    async def _leave(self, name: str) -> None:
        agent = self.agent
        first, second, third = (f"{name}-{number}" for number in range(1, 4))
        hasty = agent.chance(0.3)
        patience = self._soon() if hasty else None
        held = await agent.ask("lock.acquire", name=name, owner=first, ttl=LEASE, patience=patience)
        await agent.ask(
            "lock.acquire", name=name, owner=second, ttl=LEASE, wait=WAIT, patience=self._soon()
        )
        if held.ok and agent.chance(0.7):
            token = int(held.answer["token"])
            await agent.ask("lock.release", name=name, owner=first, token=token)
        await agent.pause(agent.random.uniform(0, LONGEST_HOLD))
        last = await agent.ask("lock.acquire", name=name, owner=third, ttl=LEASE)
        if last.ok:
            token = int(last.answer["token"])
            await agent.ask("lock.release", name=name, owner=third, token=token)

    async def _wait(self, name: str) -> None:
        agent = self.agent
        asked = await agent.ask("lock.acquire", name=name, owner=agent.name, ttl=1.0, wait=WAIT)
        grant = asked.answer if asked.ok else asked.answer.get("grant")
        if grant:
            await agent.pause(agent.random.uniform(0, LONGEST_HOLD))
            token = int(grant["token"])
            await agent.ask("lock.release", name=name, owner=agent.name, token=token)

    def _soon(self) -> float:
        """Seconds: at times less than an answer takes."""
        return 0.001 + 0.3 * self.agent.random.random() ** 2
