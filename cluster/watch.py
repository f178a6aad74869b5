"""Following the nodes by what they answer: who is ready, who leads, who is silent."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

from cluster.http import NoAnswer, request
from cluster.member import PATIENCE, Member

Say = Callable[[str], None]


class Watch:
    """Asks each node for its status, and says what changed in one line.

    leader: id and term of who leads, None while nobody does.
    """

    def __init__(self, cluster: str, members: list[Member], say: Say) -> None:
        self.cluster = cluster
        self.members = members
        self.say = say
        self.leader: tuple[str, int] | None = None
        self.leaderless_since: float | None = None
        self.complained = False
        self.on_status: Callable[[Member], None] = lambda member: None
        self._nudged = asyncio.Event()

    async def follow(self, member: Member) -> None:
        """Ask one node for ever: often while something is open, else twice a second."""
        while True:
            if member.running:
                await self.look(member)
            calm = self.leader is not None and (member.phase == "ready" or not member.running)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5 if calm else 0.05):
                    await self._nudged.wait()

    def nudge(self) -> None:
        """Look at all nodes now: something happened that will show."""
        self._nudged.set()
        self._nudged = asyncio.Event()

    async def look(self, member: Member) -> None:
        """Ask once and draw the conclusions."""
        process = member.process
        status = await self._ask(member)
        if member.process is not process or process is None:
            return
        if status is not None:
            self._heard(member, status)
        elif self._is_silent(member):
            member.silent = True
            self.say(f"{member.id} does not answer")
        self._judge_leader()
        if status is not None:
            self.on_status(member)

    def _is_silent(self, member: Member) -> bool:
        """Whether it should answer, did not for a while, and nobody was told yet."""
        expected = member.phase == "ready" and not member.paused and not member.silent
        return expected and time.monotonic() - member.answered > PATIENCE

    async def _ask(self, member: Member) -> dict[str, Any] | None:
        if member.paused:
            return None
        try:
            reply = await request(member.place.port, "GET", "/v1/status")
        except NoAnswer:
            return None
        status = reply.body
        if not isinstance(status, dict) or status.get("node") != member.id:
            return None
        return status if status.get("cluster") == self.cluster else None

    def _heard(self, member: Member, status: dict[str, Any]) -> None:
        now = time.monotonic()
        member.status, member.answered = status, now
        if member.silent:
            member.silent = False
            self.say(f"{member.id} answers again")
        if member.phase == "starting" and status.get("ready"):
            member.phase, member.ready_since = "ready", now
            if member.died is None:
                self.say(f"{member.id} is ready ({now - member.started:.1f} s)")
            else:
                self.say(f"{member.id} is back ({now - member.died:.1f} s after its end)")
        member.notify()

    def lost(self, member: Member) -> None:
        """A process ended or was paused: if it led, nobody does until somebody says so."""
        if self.leader is not None and self.leader[0] == member.id:
            self.leader, self.leaderless_since = None, time.monotonic()
            self.complained = False
            self.nudge()

    def _judge_leader(self) -> None:
        now = time.monotonic()
        leading = [member for member in self.members if member.leads(now) and not member.paused]
        if not leading:
            if self.leader is not None:
                self.leader, self.leaderless_since, self.complained = None, now, False
            since = self.leaderless_since
            if since is not None and not self.complained and now - since > PATIENCE:
                self.complained = True
                self.say("nobody leads; writes wait for a majority of the nodes")
            return
        first = max(leading, key=Member.term)
        found = (first.id, first.term())
        if found == self.leader:
            return
        gap = ""
        if self.leaderless_since is not None:
            gap = f", {now - self.leaderless_since:.2f} s without a leader"
        self.leader, self.leaderless_since, self.complained = found, None, False
        self.say(f"{found[0]} leads (term {found[1]}{gap})")
