"""The orders a running supervisor takes from the other commands."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any

from cluster.member import Member
from cluster.problem import Problem
from cluster.supervisor import Supervisor
from cluster.watch import Say

UNTIL_READY = 60.0
"""Seconds a command waits for a node to be ready; the node goes on without it."""
UNTIL_JOINED = 300.0


class Orders:
    """Carries out orders; those that change which nodes run go one after the other."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self._turn = asyncio.Lock()
        self._on_node: dict[str, Callable[[Member, Say], Awaitable[None]]] = {
            "kill": self.kill,
            "stop": self.stop,
            "start": self.start,
            "pause": self.pause,
            "resume": self.resume,
            "rejoin": self.rejoin,
            "wipe": self.wipe,
        }

    async def obey(self, order: dict[str, Any], say: Say) -> Any:
        """Raises Problem, in the words of the one who gave the order."""
        what = order.get("do")
        if what == "status":
            return await self.status()
        if what == "down":
            return await self.down()
        if what not in self._on_node:
            raise Problem(f"the running supervisor does not know {what!r}; restart the cluster")
        if self.supervisor.stop_asked.is_set():
            raise Problem("the cluster is stopping")
        await self._on_node[what](self.supervisor.member(int(order["node"])), say)
        return None

    async def down(self) -> None:
        self.supervisor.stop_asked.set()
        await self.supervisor.stopped.wait()

    async def kill(self, member: Member, say: Say) -> None:
        if not member.running:
            raise Problem(f"{member.id} does not run")
        pid = member.pid
        member.signal(signal.SIGKILL)
        await member.until(lambda: member.pid != pid, 10)
        again = "; it is started again in a moment" if member.phase == "waiting" else ""
        say(f"killed {member.id} (process {pid}){again}")

    async def stop(self, member: Member, say: Say) -> None:
        async with self._turn:
            await self.supervisor.stop_member(member)
        say(f"stopped {member.id}; `{self._command('start', member)}` starts it")

    async def start(self, member: Member, say: Say) -> None:
        async with self._turn:
            if member.paused:
                raise Problem(
                    f"{member.id} is paused; `{self._command('resume', member)}` wakes it"
                )
            member.failures = 0
            self.supervisor.start(member)
        await self._until_ready(member, UNTIL_READY)
        say(f"{member.id} is ready on {member.place.url}")

    async def _until_ready(self, member: Member, seconds: float) -> None:
        await member.until(lambda: member.phase in ("ready", "refused", "down"), seconds)
        if member.phase == "refused":
            raise Problem(f"{member.id} stays down: {member.reason}")
        if member.phase != "ready":
            raise Problem(f"{member.id} is not ready yet; see `{self._command('logs', member)}`")

    def _command(self, name: str, member: Member) -> str:
        return self.supervisor.folder.places.command(f"{name} {member.place.number}")

    async def pause(self, member: Member, say: Say) -> None:
        if not member.running:
            raise Problem(f"{member.id} does not run")
        member.signal(signal.SIGSTOP)
        member.paused = True
        self.supervisor.watch.lost(member)
        self.supervisor.say(f"{member.id} is paused")
        say(f"paused {member.id}; `{self._command('resume', member)}` wakes it")

    async def resume(self, member: Member, say: Say) -> None:
        if not member.running:
            raise Problem(f"{member.id} does not run")
        member.signal(signal.SIGCONT)
        if member.paused:
            member.paused = False
            member.answered = time.monotonic()
            self.supervisor.say(f"{member.id} is resumed")
        say(f"resumed {member.id}")

    async def wipe(self, member: Member, say: Say) -> None:
        async with self._turn:
            if member.running or member.phase == "waiting":
                raise Problem(f"{member.id} runs; `{self._command('stop', member)}` first")
            self.supervisor.folder.wipe_node(member.place)
        say(f"removed the data of {member.id}; `{self._command('rejoin', member)}` brings it back")

    async def rejoin(self, member: Member, say: Say) -> None:
        supervisor = self.supervisor
        async with self._turn:
            if member.running and member.phase != "starting":
                raise Problem(f"{member.id} runs; there is nothing to rejoin")
            if supervisor.watch.leader is None:
                raise Problem("nobody leads; a majority of the nodes must run to take one back")
            await supervisor.stop_member(member)
            aside = supervisor.folder.begin_rejoin(member.place)
            if aside is not None:
                say(f"its old data is now in {aside.name}")
            supervisor.say(f"{member.id} rejoins, empty, as a learner")
            member.failures = 0
            supervisor.start(member)
        folder, started = supervisor.folder, member.started
        await member.until(
            lambda: folder.known.stages[member.id] == "made" or member.phase == "refused",
            UNTIL_JOINED,
        )
        if folder.known.stages[member.id] != "made":
            await self._until_ready(member, 0.1)
            status = folder.places.command("status")
            raise Problem(f"{member.id} still learns; `{status}` shows how far")
        say(f"{member.id} is a voter again ({time.monotonic() - started:.1f} s)")

    async def status(self) -> dict[str, Any]:
        """Every node's process and what it says of itself now."""
        supervisor = self.supervisor
        await asyncio.gather(*map(supervisor.watch.look, supervisor.members))
        leader = supervisor.watch.leader
        return {
            "cluster": supervisor.folder.known.cluster,
            "supervisor": os.getpid(),
            "seconds": round(time.monotonic() - supervisor.began, 1),
            "leader": leader[0] if leader else None,
            "nodes": [
                {
                    "node": member.id,
                    "url": member.place.url,
                    "pid": member.pid,
                    "phase": "paused" if member.paused else member.phase,
                    "silent": member.silent,
                    "reason": member.reason,
                    "status": member.status if member.running and not member.paused else None,
                }
                for member in supervisor.members
            ],
        }
