"""Sessions, and what lives and dies with them: locks, members, transactions."""

from __future__ import annotations

from chaos.workloads.caller import Caller
from chaos.workloads.workload import Workload

NAMES = ("held/1", "held/2", "held/3", "held/4")
RING = "living"
TTLS = (2.0, 3.0)


class Sessions(Workload):
    """Keep a session alive, hold things with it, then close it or let it run out, at times while
    it waits for a lock."""

    name = "sessions"

    def __init__(self, agent: Caller) -> None:
        super().__init__(agent)
        self._id: int | None = None
        self._ttl = 0.0
        self._kept = 0.0
        self._tokens: dict[str, int] = {}

    async def step(self) -> None:
        """One thing done with the session, which is kept alive meanwhile."""
        agent = self.agent
        if self._id is None:
            await self._open()
            return
        session = self._id
        if agent.seconds() - self._kept > self._ttl / 5 and not await self._keep(session):
            return
        draw = agent.random.random()
        if draw < 0.45:
            await self._acquire(session)
        elif draw < 0.65 and self._tokens:
            await self._release(session)
        elif draw < 0.75:
            member = agent.unique("m")
            await agent.ask("ring.join", ring=RING, member=member, session=session)
            await agent.ask("ring.read", ring=RING)
        elif draw < 0.85:
            await agent.ask("session.read", id=session)
        elif draw < 0.92:
            participants = ["a"]
            await agent.ask(
                "transaction.begin",
                participants=participants,
                timeout=10.0,
                decide="on_request",
                session=session,
            )
        elif draw < 0.97:
            await agent.ask("session.close", id=session)
            await agent.ask("ring.read", ring=RING)
            self._forget()
        else:
            if agent.chance(0.5):
                await self._outwait(session)
            self._forget()

    async def _open(self) -> None:
        self._ttl = self.agent.random.choice(TTLS)
        opened = await self.agent.ask("session.open", ttl=self._ttl)
        if opened.ok:
            self._id = int(opened.answer["id"])
            self._kept = opened.begin / 1e9

    async def _keep(self, session: int) -> bool:
        kept = await self.agent.ask("session.keepalive", id=session)
        if kept.ok:
            self._kept = kept.begin / 1e9
        elif kept.slug == "unknown-session":
            self._forget()
        return self._id is not None

    async def _acquire(self, session: int) -> None:
        agent = self.agent
        name = agent.random.choice(NAMES)
        ttl = agent.random.choice((None, None, 1.0))
        wait = agent.random.choice((None, 0.5))
        asked = await agent.ask(
            "lock.acquire", name=name, owner=agent.name, session=session, ttl=ttl, wait=wait
        )
        if asked.ok:
            self._tokens[name] = int(asked.answer["token"])
            await agent.ask("lock.check", name=name, token=self._tokens[name])
        elif asked.slug == "already-held":
            self._tokens[name] = int(asked.answer["grant"]["token"])
        elif asked.slug == "session-gone":
            self._forget()

    async def _outwait(self, session: int) -> None:
        """Wait for a lock for longer than the session lives: nothing is granted to it any more."""
        agent = self.agent
        name = agent.random.choice(NAMES)
        wait = self._ttl + 1.0
        await agent.ask("lock.acquire", name=name, owner=agent.name, session=session, wait=wait)

    async def _release(self, session: int) -> None:
        name = self.agent.random.choice(sorted(self._tokens))
        token = self._tokens.pop(name)
        owner = self.agent.name
        await self.agent.ask("lock.release", name=name, owner=owner, token=token, session=session)

    def _forget(self) -> None:
        self._id = None
        self._tokens.clear()
