"""A host of a simulated cluster, and the whole product as one process of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Literal, cast

from chaos.simulation.ask import Desk
from chaos.simulation.disk import SimDisk
from chaos.simulation.edges import SimEdges
from chaos.simulation.sizes import Sizes
from raftcoord.server.config import Config, HttpConfig, PeersConfig, RaftConfig
from raftcoord.server.process import Process

if TYPE_CHECKING:
    import socket

    from chaos.simulation.loop import VirtualLoop
    from chaos.simulation.watch import Watch
    from raftcoord.consensus.node import Node
    from raftcoord.machine.state import Machine
    from raftcoord.server.gateway import Gateway

ADDRESS = "127.0.0.1"
PEER_PORT, HTTP_PORT, DESK_PORT = 7000, 8000, 9000
"""Of host number 0; the desk takes requests below HTTP."""
RATES = (0.99, 1.0, 1.0, 1.01)
"""How fast the monotonic clock of a process may run."""
PROMOTE_WITHIN = 20
"""Entries; so few that it matters."""

HEARTBEAT = 0.1
"""Seconds; twice the default: an idle second costs half, and elections take no longer."""

Start = Literal["normal", "init", "join"]


class Listener:
    """What `Process.start` is handed for the port of its callers."""

    def __init__(self, port: int) -> None:
        self._port = port

    def getsockname(self) -> tuple[str, int]:
        """Address and port."""
        return (ADDRESS, self._port)

    def listen(self, backlog: int) -> None:
        """The loop does, when it serves."""


class Member:
    """One host: its disk, and the process that runs on it, if one does.

    Attributes:
        life: how many processes were started, this one included.
        process, node, machine, gateway: None while no process has its data open.
        edges: of the process that was started last.
        start_as: how the next process is started.
        damaged: a fault damaged what was durable: a process may refuse to start.
        stopped_for: why the last process ended itself.
        stopping: the process was told to stop.
        sizes: of whatever has one.
    """

    def __init__(self, name: str, number: int, seed: int) -> None:
        self.name = name
        self.number = number
        self.rng = Random(f"{seed}/{name}")
        self.disk = SimDisk()
        self.edges: SimEdges | None = None
        self.life = 0
        self.process: Process | None = None
        self.paused = False
        self.start_as: Start = "init"
        self.damaged = False
        self.stopped_for: str | None = None
        self.stopping = False
        self.sizes = Sizes()

    @property
    def node(self) -> Node | None:
        """Its consensus, where its data is open."""
        return None if self.process is None else self.process.node

    @property
    def machine(self) -> Machine | None:
        """Its state, where its data is open."""
        return None if self.process is None else self.process.machine

    @property
    def gateway(self) -> Gateway | None:
        """Its gateway, where its data is open."""
        return None if self.process is None else self.process.gateway

    @property
    def addresses(self) -> tuple[str, str]:
        """For peers and for callers, "host:port" each."""
        return (
            f"{ADDRESS}:{PEER_PORT + self.number}",
            f"{ADDRESS}:{HTTP_PORT + self.number}",
        )

    def make(self, edges: SimEdges, known: dict[str, tuple[str, str]]) -> Process:
        """The parts of a process, wired as the product wires them; `known`: members' addresses."""
        config = Config(
            id=self.name,
            data="data",
            cluster="simulated",
            members=known,
            http=HttpConfig(ADDRESS, HTTP_PORT + self.number),
            peers=PeersConfig(ADDRESS, PEER_PORT + self.number, b"known to all members"),
            raft=RaftConfig(
                heartbeat=HEARTBEAT,
                segment_bytes=self.sizes.segment,
                snapshot_bytes=self.sizes.snapshot,
                keep_entries=self.sizes.keep,
            ),
        )
        process = Process(config, self.start_as, edges)
        settings = process.node.settings
        core = dataclasses.replace(settings.core, promote_within=PROMOTE_WITHIN)
        process.node.settings = dataclasses.replace(settings, core=core)
        process.gateway._max_in_flight = self.sizes.in_flight
        process.gateway._max_waiting = self.sizes.waiting
        return process

    async def open(self, process: Process, loop: VirtualLoop, watch: Watch) -> None:
        """Open the data and answer callers. Raises what `Process.start` does."""
        await process.start(cast("socket.socket", Listener(HTTP_PORT + self.number)))
        process.node.raft._queue._limit = self.sizes.queue
        watch.opened()
        self.process = process
        await loop.create_server(lambda: Desk(process.door), ADDRESS, DESK_PORT + self.number)

    def edges_for(
        self, loop: VirtualLoop, sync: tuple[float, float], stopped: Callable[[str], None]
    ) -> SimEdges:
        """The edges of its next process; it is told why that ended itself."""
        self.edges = SimEdges(
            loop, self.disk, self.rng, rate=self.rng.choice(RATES), sync=sync, stopped=stopped
        )
        return self.edges
