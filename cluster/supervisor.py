"""The supervisor: starts the nodes of a data folder, starts again what died, stops all cleanly.

It runs one event loop and no threads. Its nodes are its children, so it never signals a process
that it did not start, and on Linux none of them outlives it, even when it is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import Callable

from cluster.environment import ROOT
from cluster.folder import DataFolder
from cluster.member import REFUSALS, Member, last_line, trim
from cluster.problem import Problem
from cluster.processes import Identity, describe_end, spawn
from cluster.state import write_whole
from cluster.watch import Say, Watch

GRACE = 10.0
"""Seconds a node has for a clean stop."""
FIRST_DELAY, LONGEST_DELAY = 1.0, 30.0
"""Seconds before a node that died is started again; doubled each time it dies young."""
YOUNG = 5.0
"""Seconds of being ready after which a death is the first of a new row."""


class Supervisor:
    """Runs the nodes of `folder`, which is prepared and held.

    Args:
        program: what runs a node, before `serve --config …`.
        restart: whether a node that died is started again.
        say: takes one line per event.
        on_ready: called once, when all nodes that did not refuse are ready and one leads.
    """

    def __init__(
        self,
        folder: DataFolder,
        *,
        program: list[str],
        restart: bool,
        say: Say,
        on_ready: Callable[[Supervisor], None] = lambda supervisor: None,
    ) -> None:
        self.folder = folder
        self.program = program
        self.restart = restart
        self.say = say
        self.on_ready = on_ready
        self.members = [Member(place) for place in folder.nodes()]
        self.watch = Watch(folder.known.cluster, self.members, say)
        self.watch.on_status = self._heard
        self.began = time.monotonic()
        self.failure: Problem | None = None
        self.stop_asked = asyncio.Event()
        self.stopped = asyncio.Event()
        self._hurry = False
        self._announced = False

    async def run(self) -> None:
        """Until asked to stop; raises Problem when too few nodes could be started at all."""
        self.heed_signals()
        followers: list[asyncio.Task[None]] = []
        try:
            for member in self.members:
                self.start(member)
            followers = [asyncio.create_task(self.watch.follow(m)) for m in self.members]
            followers.append(asyncio.create_task(self._keep_logs_small()))
            await self.stop_asked.wait()
        finally:
            for task in followers:
                task.cancel()
            await self._stop_all()
            self.stopped.set()
        if self.failure is not None:
            raise self.failure

    def heed_signals(self) -> None:
        """From here on a signal is a request for a clean stop; within a running loop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGCHLD, self._reap)

    def stop(self) -> None:
        """Stop cleanly; asked a second time, at once."""
        if self.stop_asked.is_set():
            self._hurry = True
            for member in self.members:
                member.signal(signal.SIGKILL)
        self.stop_asked.set()

    # One node.

    def member(self, number: int) -> Member:
        """Raises Problem where there is no such node."""
        if not 1 <= number <= len(self.members):
            raise Problem(f"there is no node {number}; there are n1 to n{len(self.members)}")
        return self.members[number - 1]

    def start(self, member: Member) -> None:
        """Start a node that does not run, with the flags its data allows."""
        member.forget_timer()
        if member.running or self.stop_asked.is_set():
            return
        try:
            flags = self.folder.start_flags(member.place)
        except Problem as problem:
            self._refuse(member, str(problem))
            return
        command = [*self.program, "serve", "--config", str(member.place.config), *flags]
        member.paused = member.stopping = member.silent = False
        member.status, member.reason = None, ""
        member.phase, member.started = "starting", time.monotonic()
        try:
            member.process = spawn(command, ROOT, member.place.log)
        except OSError as error:
            self._try_again(member, f"{member.id} cannot be started: {error}")
        self._note_running()
        self.watch.nudge()

    async def stop_member(self, member: Member) -> None:
        """Ask a node to stop, and end it if it does not; returns when its process is gone."""
        member.forget_timer()
        if not member.running:
            member.phase = "down"
            return
        member.stopping = True
        member.signal(signal.SIGKILL if self._hurry else signal.SIGTERM)
        if member.paused:
            member.signal(signal.SIGCONT)
        if not await member.until(lambda: not member.running, GRACE):
            self.say(f"{member.id} does not stop; killing it")
            member.signal(signal.SIGKILL)
            await member.until(lambda: not member.running, GRACE)

    def _reap(self) -> None:
        """Deal with every child that ended (several can end with one signal)."""
        for member in self.members:
            if member.process is not None and (code := member.process.poll()) is not None:
                member.process = None
                self._ended(member, code)
                member.notify()
        self._note_running()

    def _ended(self, member: Member, code: int) -> None:
        self.folder.note_data(member.place)
        self.watch.lost(member)
        lived = time.monotonic() - member.ready_since if member.phase == "ready" else 0.0
        member.paused = False
        if member.stopping:
            member.phase, member.died = "down", None
            self.say(f"{member.id} stopped")
            return
        member.died = time.monotonic()
        reason = last_line(member.place.log) if code > 0 else ""
        if code in REFUSALS:
            self._refuse(member, f"{describe_end(code)}: {reason or 'it gave no reason'}")
            return
        if lived > YOUNG:
            member.failures = 0
        member.reason = describe_end(code)
        self._try_again(
            member, f"{member.id} died ({describe_end(code)}{': ' + reason if reason else ''})"
        )

    def _try_again(self, member: Member, text: str) -> None:
        if not self.restart or self.stop_asked.is_set():
            member.phase = "down"
            self.say(text)
            return
        delay = min(FIRST_DELAY * 2**member.failures, LONGEST_DELAY)
        member.failures += 1
        member.phase = "waiting"
        member.timer = asyncio.get_running_loop().call_later(delay, self.start, member)
        self.say(f"{text}; starting it again in {delay:.0f} s")

    def _refuse(self, member: Member, reason: str) -> None:
        member.phase, member.reason = "refused", reason
        self.say(f"{member.id} stays down: {reason}")
        refused = sum(other.phase == "refused" for other in self.members)
        if not self._announced and refused > (len(self.members) - 1) // 2:
            self.failure = Problem(
                f"{refused} of {len(self.members)} nodes refused to start, and the others are no"
                " majority"
            )
            self.stop_asked.set()
        self._announce()

    # All nodes.

    def _heard(self, member: Member) -> None:
        self.folder.note_data(member.place)
        status = member.status or {}
        if status.get("ready") and status.get("role") in ("leader", "follower"):
            self.folder.note_joined(member.place)
        self._announce()

    def _announce(self) -> None:
        open_phases = ("starting", "waiting")
        settled = not any(member.phase in open_phases for member in self.members)
        if not self._announced and settled and self.watch.leader and self.failure is None:
            self._announced = True
            self.on_ready(self)

    async def _stop_all(self) -> None:
        for member in self.members:
            member.forget_timer()
        await asyncio.gather(*map(self.stop_member, self.members))
        with contextlib.suppress(FileNotFoundError):
            self.folder.places.running.unlink()

    def _note_running(self) -> None:
        """Who runs, for the next supervisor, should this one be killed where no system call makes
        its nodes die with it."""
        ids = {m.id: Identity.of(m.pid).as_json() for m in self.members if m.pid is not None}
        with contextlib.suppress(OSError):
            write_whole(self.folder.places.running, json.dumps(ids))

    async def _keep_logs_small(self) -> None:
        logs = [*(member.place.log for member in self.members), self.folder.places.log]
        while True:
            for log in logs:
                trim(log)
            await asyncio.sleep(5)
