"""Simulated clients: each a host of its own, with an agent for each load.

They run the loads of `chaos.workloads` as they are and write the same history as real ones.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING

from chaos.history import Invoke, Result
from chaos.simulation.lines import DeskLine, HttpLine, Line
from chaos.workloads import WORKLOADS, workload
from chaos.workloads.caller import Caller
from chaos.workloads.heard import Heard
from chaos.workloads.requests import Request
from chaos.workloads.workload import Workload

if TYPE_CHECKING:
    from chaos.simulation.loop import VirtualLoop

BREATHLESS = 0.5
"""The share of operations that begin right after the one before; the time is made up for later."""
IMPATIENT = 0.01
"""The share of requests whose caller hangs up soon."""

Write = Callable[[Invoke | Result], None]


class SimAgent(Caller):
    """An agent in virtual time.

    Args:
        ports: node → the port of its desk or door.
        pause: mean seconds from the begin of one operation to that of the next, at least.
        write: puts a line into the history.
    """

    def __init__(
        self,
        name: str,
        loop: VirtualLoop,
        ports: Mapping[str, int],
        random: Random,
        write: Write,
        *,
        pause: float = 0.0,
        http: bool = False,
        impatient: float = 0.0,
    ) -> None:
        super().__init__(name, ports, random)
        self.stopping = False
        self._loop = loop
        self._ports = ports
        self._put = write
        self._interval = pause
        self._kind: type[Line] = HttpLine if http else DeskLine
        self._impatient = impatient
        self._lines: dict[str, Line] = {}
        self._resting: asyncio.Future[None] | None = None
        self._next = loop.time() + pause * random.random()

    def stop(self) -> None:
        """Finish what was begun, and rest no more."""
        self.stopping = True
        if self._resting is not None and not self._resting.done():
            self._resting.set_result(None)

    async def pause(self, seconds: float) -> None:
        if self.stopping:
            return
        resting = self._resting = self._loop.create_future()
        timer = self._loop.call_later(seconds, _wake, resting)
        await resting
        timer.cancel()

    def close(self) -> None:
        """Close its connections."""
        for line in self._lines.values():
            line.close()
        self._lines.clear()

    def _now(self) -> int:
        return round(self._loop.time() * 1e9)

    def _write(self, line: Invoke | Result) -> None:
        self._put(line)

    async def _keep_pace(self) -> None:
        now = self._loop.time()
        if now < self._next and not self.chance(BREATHLESS):
            await self.pause(self._next - now)
        self._next = max(now, self._next) + self._interval

    async def _exchange(self, node: str, request: Request, patience: float) -> Heard:
        if self._impatient and self.chance(self._impatient):
            patience = 0.2 * self.random.random() ** 3
        line = self._lines.get(node)
        if line is None or not line.open:
            port = self._ports[node]
            try:
                async with asyncio.timeout(patience):
                    _, line = await self._loop.create_connection(
                        lambda: self._kind(port), port=port
                    )
            except OSError as error:
                return Heard("never-sent", why=f"no connection: {error}")
            self._lines[node] = line
        return await line.ask(request, patience)


def _wake(resting: asyncio.Future[None]) -> None:
    if not resting.done():
        resting.set_result(None)


class Clients:
    """All clients of a world.

    Args:
        count: how many hosts. load: operations of all together in a virtual second.
        loads: names of workloads; all where it is empty.

    Attributes:
        counts: outcome → how many operations.
        waiting: operations that have no outcome yet, by their ids.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        seed: int,
        ports: Mapping[str, int],
        write: Write,
        *,
        count: int,
        load: float,
        loads: tuple[str, ...] = (),
        http: bool = False,
    ) -> None:
        self.counts = Counter[str]()
        self.waiting: dict[str, Invoke] = {}
        self._loop = loop
        self._seed = seed
        self._ports = ports
        self._put = write
        self._http = http
        self._kinds: list[type[Workload]] = [workload(name) for name in loads or WORKLOADS]
        self._count = count
        self._pause = count * len(self._kinds) / load
        self._agents: list[SimAgent] = []
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        """Start them."""
        for number in range(1, self._count + 1):
            host = f"c{number}"
            with self._loop.host(host):
                for kind in self._kinds:
                    agent = self.agent(
                        f"{host}.{kind.name}", pause=self._pause, impatient=IMPATIENT
                    )
                    self._agents.append(agent)
                    self._tasks.append(self._loop.create_task(_work(agent, kind(agent))))

    def agent(
        self,
        name: str,
        *,
        nodes: tuple[str, ...] | None = None,
        pause: float = 0.0,
        impatient: float = 0.0,
    ) -> SimAgent:
        """A caller, of these nodes; of all where it is None."""
        ports = {node: self._ports[node] for node in nodes or self._ports}
        random = Random(f"{self._seed}/{name}")
        return SimAgent(
            name,
            self._loop,
            ports,
            random,
            self._note,
            pause=pause,
            http=self._http,
            impatient=impatient,
        )

    def stop(self) -> None:
        """Let all of them finish."""
        for agent in self._agents:
            agent.stop()

    @property
    def done(self) -> bool:
        """Whether all have finished."""
        return all(task.done() for task in self._tasks)

    def _note(self, line: Invoke | Result) -> None:
        if isinstance(line, Invoke):
            self.waiting[line.id] = line
        else:
            self.counts[line.outcome] += 1
            del self.waiting[line.id]
        self._put(line)


async def _work(agent: SimAgent, load: Workload) -> None:
    while not agent.stopping:
        await load.step()
    agent.close()
