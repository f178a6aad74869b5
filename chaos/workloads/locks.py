"""Locks with leases of their own, wanted by all."""

from __future__ import annotations

from collections import deque

from chaos.history import Operation
from chaos.workloads.caller import Caller
from chaos.workloads.workload import Workload

NAMES = ("lock/1", "lock/2", "lock/3")
TTLS = (0.3, 1.0, 4.0)
WAITS = (None, None, 0.2, 1.5)
LONGEST_HOLD = 0.05


class Locks(Workload):
    """Acquire, hold, look, refresh, release; at times leave it to its lease, and come back late
    with a token that is over."""

    name = "locks"

    def __init__(self, agent: Caller) -> None:
        super().__init__(agent)
        self._over: deque[tuple[str, int]] = deque(maxlen=8)

    async def step(self) -> None:
        """One attempt at a lock, and what follows from it."""
        agent = self.agent
        name = agent.random.choice(NAMES)
        if agent.chance(0.1):
            await agent.ask("lock.read", name=name)
        if self._over and agent.chance(0.15):
            await self._come_late(*self._over.popleft())
        asked = await agent.ask(
            "lock.acquire",
            name=name,
            owner=agent.name,
            ttl=agent.random.choice(TTLS),
            wait=agent.random.choice(WAITS),
        )
        token = _token(asked)
        if token is not None:
            await self._hold(name, token)
        elif asked.slug == "lock-held":
            await self._come_late_to(name)

    async def _hold(self, name: str, token: int) -> None:
        agent = self.agent
        if agent.chance(0.3):
            await agent.ask("lock.check", name=name, token=token)
        await agent.pause(agent.random.uniform(0, LONGEST_HOLD))
        if agent.chance(0.3):
            await agent.ask("lock.refresh", name=name, owner=agent.name, token=token)
        if agent.chance(0.2):
            await agent.ask("lock.read", name=name)
        if agent.chance(0.85):
            await agent.ask("lock.release", name=name, owner=agent.name, token=token)
        if agent.chance(0.4):
            self._over.append((name, token))

    async def _come_late_to(self, name: str) -> None:
        """Somebody holds it: a token of ours must not touch that."""
        tokens = [token for lock, token in self._over if lock == name]
        if tokens and self.agent.chance(0.5):
            await self._come_late(name, tokens[-1])

    async def _come_late(self, name: str, token: int) -> None:
        agent = self.agent
        kind = agent.random.choice(("lock.release", "lock.refresh", "lock.check"))
        if kind == "lock.check":
            await agent.ask(kind, name=name, token=token)
        else:
            await agent.ask(kind, name=name, owner=agent.name, token=token)


def _token(asked: Operation) -> int | None:
    """The token of a grant: of this request, or of one of which nobody heard."""
    if asked.ok:
        return int(asked.answer["token"])
    if asked.slug == "already-held":
        return int(asked.answer["grant"]["token"])
    return None
