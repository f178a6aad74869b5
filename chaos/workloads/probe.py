"""The finger on the pulse: writes without a rest, so that the time to the next one is measured."""

from __future__ import annotations

from chaos.workloads.workload import Workload

LEASE = 30.0
REST = 0.005


class Probe(Workload):
    """Takes and frees a lock of its own. Runs once for each node, and asks that node only."""

    name = "probe"

    async def step(self) -> None:
        """One lock and its release."""
        agent = self.agent
        lock = f"probe/{agent.name}"
        taken = await agent.ask("lock.acquire", name=lock, owner=agent.name, ttl=LEASE)
        grant = taken.answer if taken.ok else taken.answer.get("grant")
        if grant:
            await agent.ask("lock.release", name=lock, owner=agent.name, token=int(grant["token"]))
        elif taken.outcome == "never-sent":
            await agent.pause(REST)
