"""Two-phase commit, with others who interfere."""

from __future__ import annotations

from chaos.workloads.caller import Caller
from chaos.workloads.workload import Workload

PARTICIPANTS = ("a", "b", "c")
TIMEOUTS = (0.5, 2.0, 10.0)
NEAR = 6
"""How far from one's own id the ids of others are looked for."""


class Transactions(Workload):
    """Begin, vote for all participants, decide, acknowledge, read; now and then vote, decide or
    read in somebody else's transaction, and ask again for what was decided."""

    name = "transactions"

    def __init__(self, agent: Caller) -> None:
        super().__init__(agent)
        self._last = 0

    async def step(self) -> None:
        """One transaction of its own, or a look at another's."""
        if self._last and self.agent.chance(0.3):
            await self._interfere(max(1, self._last + self.agent.random.randint(-NEAR, NEAR)))
            return
        agent = self.agent
        participants = list(PARTICIPANTS[: agent.random.randint(1, 3)])
        decide = agent.random.choice(("on_request", "auto"))
        begun = await agent.ask(
            "transaction.begin",
            participants=participants,
            timeout=agent.random.choice(TIMEOUTS),
            decide=decide,
        )
        if begun.ok:
            self._last = int(begun.answer["id"])
            await self._run(self._last, participants)

    async def _run(self, number: int, participants: list[str]) -> None:
        agent = self.agent
        agent.random.shuffle(participants)
        for name in participants:
            if agent.chance(0.95):
                vote = "commit" if agent.chance(0.92) else "abort"
                await agent.ask("transaction.vote", id=number, participant=name, vote=vote)
        draw = agent.random.random()
        if draw < 0.65:
            await agent.ask("transaction.commit", id=number)
        elif draw < 0.8:
            await agent.ask("transaction.rollback", id=number)
        wait = agent.random.choice((None, None, 0.3))
        seen = await agent.ask("transaction.read", id=number, wait=wait)
        if seen.ok and seen.answer.get("decision") and agent.chance(0.5):
            for name in participants:
                await agent.ask("transaction.ack", id=number, participant=name)
            await agent.ask("transaction.read", id=number)

    async def _interfere(self, number: int) -> None:
        agent = self.agent
        draw = agent.random.random()
        if draw < 0.5:
            await agent.ask("transaction.read", id=number)
        elif draw < 0.7:
            name = PARTICIPANTS[0]
            vote = agent.random.choice(("commit", "commit", "abort"))
            await agent.ask("transaction.vote", id=number, participant=name, vote=vote)
        else:
            kind = agent.random.choice(("transaction.commit", "transaction.rollback"))
            await agent.ask(kind, id=number)
