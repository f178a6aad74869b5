"""A workload of a user's own, with a bug."""

from __future__ import annotations

from chaos.workloads import Workload


class Broken(Workload):
    """Works once, then breaks."""

    name = "broken"

    async def step(self) -> None:
        """Ask once."""
        asked = await self.agent.ask("lock.acquire", name="own", owner=self.agent.name, ttl=1.0)
        if asked.outcome != "never-sent":
            raise ValueError("this load is broken")
