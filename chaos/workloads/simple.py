"""The simple protocol, as a script with curl would use it."""

from __future__ import annotations

from chaos.workloads.workload import Workload

LOCKS = ("simple/1", "simple/2", "simple/3")
TRANSACTIONS = ("deal/1", "deal/2", "deal/3", "deal/4")
EXPIRES = (0.3, 1.0, 3.0)
LONGEST_HOLD = 0.03


class Simple(Workload):
    """`GET /lock` and `POST /transaction`; every value is used once."""

    name = "simple"

    async def step(self) -> None:
        """A lock and its release, or a prepare and its decision."""
        if self.agent.chance(0.5):
            await self._lock()
        else:
            await self._transaction()

    async def _lock(self) -> None:
        agent = self.agent
        key, value = agent.random.choice(LOCKS), agent.unique("v")
        expire = agent.random.choice(EXPIRES)
        taken = await agent.ask("simple.lock", key=key, expire=expire, value=value)
        if taken.outcome == "unknown":
            await agent.ask("simple.unlock", key=key, value=value)
        if not taken.ok:
            return
        if agent.chance(0.3):
            await agent.ask("lock.read", name=key)
        await agent.pause(agent.random.uniform(0, LONGEST_HOLD))
        if agent.chance(0.92):
            await agent.ask("simple.unlock", key=key, value=value)
            if agent.chance(0.1):
                await agent.ask("simple.unlock", key=key, value=value)

    async def _transaction(self) -> None:
        agent = self.agent
        key, value = agent.random.choice(TRANSACTIONS), agent.unique("v")
        expire = agent.random.choice(EXPIRES)
        prepared = await agent.ask("simple.prepare", key=key, expire=expire, value=value)
        if prepared.outcome == "unknown":
            await agent.ask("simple.rollback", key=key, prepared=value)
        if not prepared.ok:
            if agent.chance(0.02):
                await agent.ask("simple.rollback", key=key)
            return
        draw = agent.random.random()
        if draw < 0.6:
            await self._decide("simple.commit", key, value)
        elif draw < 0.9:
            await self._decide("simple.rollback", key, value)

    async def _decide(self, kind: str, key: str, value: str) -> None:
        await self._ask(kind, key, value)
        if self.agent.chance(0.2):
            await self._ask(kind, key, value)
        if self.agent.chance(0.2):
            contrary = "simple.rollback" if kind == "simple.commit" else "simple.commit"
            await self._ask(contrary, key, value)

    async def _ask(self, kind: str, key: str, value: str) -> None:
        if kind == "simple.commit":
            await self.agent.ask(kind, key=key, value=value)
        else:
            await self.agent.ask(kind, key=key, prepared=value)
