"""How long nobody can write after the leader is killed.

From the moment of the SIGKILL a new write (a lock nobody has) begins every STEP seconds at each of
the surviving nodes, without waiting for the earlier ones: a system that lets a request hang over
the election is not measured by the patience of that one request. The time runs until the first
of these writes is accepted. Then the killed node is started again, and the next kill waits until
all three follow one leader.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

from bench.dialects import SPEAKERS
from bench.nodes import HOST, Node, System
from bench.wire import Connection

STEP = 0.01
LIMIT = 20.0
"""Seconds after which a kill counts as never recovered."""
_INTRODUCTION = 5.0
_TTL = 60


@dataclass
class Kills:
    """seconds: one per kill that was survived. refused: reason → writes refused meanwhile."""

    seconds: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)


class _Probe:
    """One connection to a survivor that carries one write at a time."""

    def __init__(self, round_: _Round, port: int) -> None:
        self._round = round_
        self._port = port
        self._speaker = SPEAKERS[round_.system.name](f"{HOST}:{port}", "probe", _TTL)
        self._speaker.introduced(*round_.introduction)
        self._connection: Connection | None = None
        self.idle = True

    async def write(self, name: str) -> None:
        """Send one; `_on_answer` takes it from there."""
        self.idle = False
        if self._connection is None:
            loop = asyncio.get_running_loop()
            _, self._connection = await loop.create_connection(
                lambda: Connection(self._on_answer, self._on_lost), HOST, self._port
            )
        self._speaker.rename(name)
        self._connection.send(self._speaker.acquire())

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _on_answer(self, status: int, body: bytes) -> None:
        self.idle = True
        if self._speaker.token(status, body) is not None:
            self._round.accept()
        else:
            self._round.refuse(f"status {status}")

    def _on_lost(self, reason: str) -> None:
        self._connection = None
        self.idle = True
        self._round.refuse(reason)


class _Round:
    """The writes that begin after one kill."""

    def __init__(
        self, system: System, name: str, introduction: tuple[int, bytes], refused: Counter[str]
    ) -> None:
        self.system = system
        self.introduction = introduction
        self.accepted: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._name = name
        self._refused = refused
        self._probes: dict[int, list[_Probe]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self) -> None:
        if not self.accepted.done():
            self.accepted.set_result(perf_counter())

    def refuse(self, reason: str) -> None:
        if not self.accepted.done():
            self._refused[reason] += 1

    async def write_until_accepted(self, ports: Sequence[int]) -> float:
        """Begin writes until one is accepted; when that was. Raises TimeoutError."""
        writer = asyncio.create_task(self._write(ports))
        try:
            return await asyncio.wait_for(asyncio.shield(self.accepted), LIMIT)
        finally:
            writer.cancel()
            await asyncio.gather(writer, *self._tasks, return_exceptions=True)
            for probes in self._probes.values():
                for probe in probes:
                    probe.close()

    async def _write(self, ports: Sequence[int]) -> None:
        number = 0
        while True:
            for port in ports:
                number += 1
                task = asyncio.create_task(self._one(port, f"{self._name}-{number}"))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(STEP)

    async def _one(self, port: int, name: str) -> None:
        probes = self._probes.setdefault(port, [])
        probe = next((probe for probe in probes if probe.idle), None)
        if probe is None:
            probe = _Probe(self, port)
            probes.append(probe)
        try:
            await probe.write(name)
        except OSError as error:
            probe.idle = True
            self.refuse(f"cannot connect: {error}")


async def _introduce(system: System, node: Node) -> tuple[int, bytes]:
    """What the writes of a round need beforehand (etcd: a lease). Raises OSError, TimeoutError."""
    loop = asyncio.get_running_loop()
    request = SPEAKERS[system.name](f"{HOST}:{node.port}", "probe", _TTL).introduction()
    if request is None:
        return 200, b""
    answered: asyncio.Future[tuple[int, bytes]] = loop.create_future()

    def lost(reason: str) -> None:
        if not answered.done():
            answered.set_exception(OSError(reason))

    _, connection = await loop.create_connection(
        lambda: Connection(lambda status, body: answered.set_result((status, body)), lost),
        HOST,
        node.port,
    )
    connection.send(request)
    try:
        return await asyncio.wait_for(answered, _INTRODUCTION)
    finally:
        connection.close()


async def _kill_once(system: System, leader: Node, others: Sequence[Node], kills: Kills) -> None:
    number = len(kills.seconds) + sum(kills.errors.values())
    try:
        introduction = await _introduce(system, others[0])
    except (OSError, TimeoutError) as error:
        kills.errors[f"no write possible before the kill: {error}"] += 1
        return
    name = f"failover-{leader.port}-{number}-{int(perf_counter() * 1000)}"
    round_ = _Round(system, name, introduction, kills.refused)
    killed = perf_counter()
    leader.child.kill()
    try:
        accepted = await round_.write_until_accepted([node.port for node in others])
    except TimeoutError:
        kills.errors[f"no write accepted within {LIMIT:g} s"] += 1
        return
    kills.seconds.append(accepted - killed)


def kill_leader(system: System, kills: Kills) -> None:
    """Kill the leader once and add what was seen; the node lives again afterwards.

    Raises BenchError when the cluster does not come together again.
    """
    leader, others = system.roles()
    asyncio.run(_kill_once(system, leader, others, kills))
    if leader.child.alive:
        leader.child.kill()
    leader.child.wait()
    leader.child.start()
    system.settle()
