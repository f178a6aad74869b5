"""The processes of a simulated cluster: how they begin, end, and stand still."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random

from chaos.history import SECOND, Fault, Line
from chaos.simulation.disk import SimDisk
from chaos.simulation.guard import Guard
from chaos.simulation.loop import CallbackError, VirtualLoop
from chaos.simulation.members import Member
from chaos.simulation.observer import Observer
from chaos.simulation.roll import Roll
from chaos.simulation.violation import Violation
from chaos.simulation.watch import Watch
from raftcoord.consensus.core import LEADER
from raftcoord.errors import DataDamaged
from raftcoord.server.process import Process

AGAIN = 1.0
"""Virtual seconds after which a process that could not start is started again."""
FOREVER = float("inf")
STOPPED = 8
"""Seconds of its own, and of a disk that works, in which a process that is told to stop ends."""


class Lives:
    """All hosts, and what runs on them.

    Args:
        members: how many nodes begin the cluster. spares: how many more hosts there are.
        sync: seconds that a job of a disk takes, least and most.
        observers: told of everything; one that raises `Violation` ends the run.

    Attributes:
        hosts: all machines; members: those that belong to the cluster, or are being taken in.
        clocks_honest: no clock ran faster or slower than by the hundredth that leases allow for.
        lines: the history so far.
        violation: what ended the run.
        began: the virtual time of its begin.
    """

    def __init__(
        self,
        seed: int,
        *,
        members: int,
        spares: int,
        sync: tuple[float, float],
        observers: Sequence[Observer],
    ) -> None:
        self.seed = seed
        self.loop = VirtualLoop(seed)
        self.rng = Random(f"{seed}/world")
        self.began = self.loop.time()
        self.sync = sync
        self.clocks_honest = True
        self.lines: list[Line] = []
        self.violation: Violation | None = None
        self.hosts = {f"n{n}": Member(f"n{n}", n, seed) for n in range(1, members + spares + 1)}
        self.members = {m.name: m for m in self.hosts.values() if m.number <= members}
        self._roll = Roll(self.hosts)
        self.observers: Observer = Guard((self._roll, *observers), self.fail, self._bug)
        self._expected: list[tuple[str, str, float]] = []
        self._bugs: list[BaseException] = []
        self.loop.on_error = self._raised
        self.loop.net.watch = self._delivered
        for member in self.hosts.values():
            self._watch_disk(member)

    def now(self) -> int:
        """Nanoseconds on the history's clock."""
        return round(self.loop.time() * SECOND)

    # Lives.

    def start(self, name: str) -> None:
        """Start a process on the host's disk."""
        member = self.hosts[name]
        member.life += 1
        member.stopped_for = None
        self.observers.started(self.loop.time(), name, member.life)
        known = {other.name: other.addresses for other in self.members.values()}
        with self.loop.host(name):
            edges = member.edges_for(
                self.loop, self.sync, lambda reason: self._stopped(name, reason)
            )
            process = member.make(edges, known)
            watch = Watch(self.loop, self.observers, name, member.life, process)
            self.loop.create_task(self._open(member, process, watch))

    async def _open(self, member: Member, process: Process, watch: Watch) -> None:
        try:
            await member.open(process, self.loop, watch)
        except DataDamaged as refusal:
            if not member.damaged:
                text = f"{member.name} finds damage that nobody did: {refusal}"
                self.fail(Violation("crash", text))
            self._end(member, str(refusal), kill=True)
            return
        except OSError as failure:
            # A full or failing disk: the process ends, and whoever watches starts it again.
            self._end(member, f"{failure.strerror} at the start", kill=True)
            self.loop.later(self.loop.time() + AGAIN, self.start_again, member.name)
            return
        if member.start_as == "init":
            member.start_as = "normal"

    def start_again(self, name: str) -> None:
        """Start a process where none runs."""
        if name in self.members and not self.loop.is_alive(name):
            self.start(name)

    def kill(self, name: str, *, power: bool = False) -> None:
        """SIGKILL, or a power cut that takes unsynced writes along."""
        self._end(self.hosts[name], "power cut" if power else "kill", power=power)

    def stop(self, name: str, ended: Callable[[], None]) -> bool:
        """SIGTERM: the process takes nothing new, finishes what is under way and ends.

        `ended` is called then, unless something else ends it first. False where no process has its
        data open, or it was told before.
        """
        member = self.hosts[name]
        process = member.process
        if process is None or member.stopping:
            return False
        member.stopping = True

        async def leave() -> None:
            await process.stop()
            self._end(member, "told to stop")
            ended()

        async def watch() -> None:
            # Second by second: a process that stands still meanwhile has the time behind it.
            left = STOPPED
            while left:
                await asyncio.sleep(1.0)
                left -= member.edges is None or not member.edges.is_stalled
            self.fail(Violation("liveness", f"{name} was told to stop, and runs yet"))

        with self.loop.host(name):
            self.loop.create_task(watch())
            self.loop.create_task(leave())
        return True

    def _end(self, member: Member, why: str, *, power: bool = False, kill: bool = False) -> None:
        ran = self.loop.is_alive(member.name)
        self.loop.kill(member.name)
        member.disk.crash(member.rng, power=power)
        member.process, member.paused, member.stopping = None, False, False
        if kill:
            member.stopped_for = why
        if ran:
            self.lines.append(Fault(self.now(), "kill", 0, (member.name,), detail=why))
            self.observers.stopped(self.loop.time(), member.name, member.life, why)

    def wipe(self, name: str) -> None:
        """Lose the data folder; the node will come back as a learner, as documented."""
        self.kill(name)
        member = self.hosts[name]
        member.disk = SimDisk()
        self._watch_disk(member)
        member.start_as, member.damaged = "join", False

    def pause(self, name: str) -> None:
        """SIGSTOP."""
        self.hosts[name].paused = True
        self.loop.pause(name)

    def resume(self, name: str) -> None:
        """SIGCONT."""
        if self.hosts[name].paused:
            self.hosts[name].paused = False
            self.loop.resume(name)

    def expect_stop(self, name: str, part: str, seconds: float = FOREVER) -> None:
        """A process may end itself for a reason with this part, for so long from now on."""
        self._expected.append((name, part, self.loop.time() + seconds))

    def _stopped(self, name: str, reason: str) -> None:
        self._end(self.hosts[name], reason, kill=True)
        now = self.loop.time()
        expected = any(
            who == name and part in reason and now <= until for who, part, until in self._expected
        )
        if not expected:
            self.fail(Violation("crash", f"{name} ended itself: {reason}"))

    def alive(self) -> list[str]:
        """Members that run and are not paused."""
        return [m.name for m in self.members.values() if m.process is not None and not m.paused]

    def leader(self) -> str | None:
        """Who leads the highest term, among those that run."""
        leads = [
            (m.node.raft.term, m.name)
            for m in self.members.values()
            if m.node is not None and m.node.raft.role == LEADER
        ]
        return max(leads)[1] if leads else None

    # What ends a run.

    def fail(self, violation: Violation) -> None:
        """The run is over."""
        self.violation = self.violation or violation
        self.loop.stop()

    def raise_violation(self) -> None:
        """Raise what ended the run, if something did."""
        if self._bugs:
            raise self._bugs[0]
        if self.violation is not None:
            raise self.violation

    def _bug(self, error: BaseException) -> None:
        """An observer, a client or a fault is wrong: that is no property of the product."""
        self._bugs.append(error)
        self.loop.stop()

    def _raised(self, error: CallbackError) -> None:
        """A callback or a task of the product raised."""
        if isinstance(error.exception, Violation):
            self.fail(error.exception)
        elif error.host not in self.hosts:
            self._bug(error.exception)
        else:
            text = f"a callback of {error.host} raised {error.exception!r}\n{error.text}"
            self.fail(Violation("crash", text))

    # What is seen from outside.

    def _delivered(self, source: str, target: str, sent: float, data: bytes) -> None:
        self.observers.delivered(self.loop.now, source, target, sent, data)

    def _watch_disk(self, member: Member) -> None:
        tell, time, name = self.observers.wrote, self.loop.time, member.name

        def wrote(operation: str, path: str, size: int) -> None:
            tell(time(), name, operation, path, size)

        member.disk.watch = wrote
