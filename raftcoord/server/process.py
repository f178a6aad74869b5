"""A node as a process: edges, machine, node, gateway and door, wired, started and stopped."""

import asyncio
import errno
import gc
import logging
import resource
import signal
import socket
import sys
from collections.abc import Callable
from typing import Literal

from raftcoord.consensus.core import CoreSettings
from raftcoord.consensus.edges import Edges, RealEdges
from raftcoord.consensus.node import MemberAddress, Node, NodeSettings
from raftcoord.errors import DataDamaged, NodeError, RaftcoordError
from raftcoord.machine.state import Machine
from raftcoord.server.app import build
from raftcoord.server.config import Config
from raftcoord.server.door import Door, DoorServer
from raftcoord.server.duties import advance_payload
from raftcoord.server.front import Front
from raftcoord.server.gateway import Gateway
from raftcoord.server.logs import configure

_log = logging.getLogger("raftcoord.process")

Start = Literal["normal", "init", "join"]

STOP_PATIENCE = 2.0
"""Seconds for what is in flight when the process is told to stop."""
RESERVED_FILES = 256
"""Descriptors that connections leave to the journal, the snapshots and the peers."""
MOST_FILES = 65_536
CANNOT_START = 74
"""Exit code where the operating system refuses something (sysexits: EX_IOERR)."""


class PortInUse(NodeError):
    """The port for callers is another program's. Fields: host, port."""

    exit_code = 75


def run(config: Config, start: Start) -> int:
    """Run a node until it is told to stop; the exit code."""
    configure()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(config, start))
    except RaftcoordError as error:
        sys.stderr.write(f"raftcoord: {error.detail}{_way_out(config, error)}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"raftcoord: {config.id} cannot go on: {error}\n")
        return CANNOT_START
    return 0


def _way_out(config: Config, error: RaftcoordError) -> str:
    if not isinstance(error, DataDamaged):
        return ""
    if len(config.members) < 2:
        return "; nothing was changed. No other node has a copy: keep the folder"
    return (
        f"; nothing was changed. Move the data away and let {config.id} come back empty:"
        f" `python3 -m cluster rejoin {config.id}` (serve --join)"
    )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def node_settings(config: Config, start: Start) -> NodeSettings:
    """What consensus is told."""
    timeout = config.raft.election_timeout
    return NodeSettings(
        id=config.id,
        cluster=config.cluster,
        data=config.data,
        host=config.peers.host,
        port=config.peers.port,
        secret=config.peers.secret,
        members={name: MemberAddress(*both) for name, both in config.members.items()},
        start=start,
        segment_bytes=config.raft.segment_bytes,
        core=CoreSettings(
            heartbeat=config.raft.heartbeat,
            # Around the time that was asked for, far enough apart that votes rarely split.
            election_min=0.8 * timeout,
            election_max=1.4 * timeout,
            snapshot_bytes=config.raft.snapshot_bytes,
            keep_behind=config.raft.keep_entries,
            advance=advance_payload,
        ),
    )


async def _serve(config: Config, start: Start) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # The port first: who cannot be reached should not touch the data.
    with _bind(config.http.host, config.http.port) as listener:
        process = Process(config, start, RealEdges())
        await process.start(listener)
        # What is here now stays: later collections need not look at it, and a child that packs
        # a snapshot does not copy it.
        gc.collect()
        gc.freeze()
        await stop.wait()
        _log.info("%s: stopping", config.id)
        await process.stop()
    _log.info("%s: stopped", config.id)


class Process:
    """All parts of one node."""

    def __init__(self, config: Config, start: Start, edges: Edges) -> None:
        self.config = config
        self.machine = Machine()
        self.gateway = Gateway(self.machine)
        self.node = Node(
            node_settings(config, start),
            self.machine,
            edges,
            on_applied=self.gateway.on_applied,
            on_installed=self.gateway.resync,
            on_leader=self.gateway.leader_changed,
        )
        self.door: Door = build(
            Front(self.gateway, self.node.status),
            revision=lambda: self.node.applied,
            incident=lambda: edges.random_bytes(6).hex(),
            hosts=_host_names(config),
            simple_protocol=config.http.simple,
        )

    async def start(self, listener: socket.socket) -> None:
        """Open the data, take part, and answer callers who come to `listener`.

        Raises:
            NodeError: as `consensus.node.Node.start`.
        """
        await self.node.start()
        # From here on callers are taken: while the data was read they were refused at once, and
        # went to another node instead of waiting here.
        _listen(listener)
        self.gateway.open(self.node, _gateway_name(self.node), self.node.boot)
        self.manager = DoorServer(self.door, limit=_connection_limit())
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(self.manager, sock=listener, backlog=1_024)
        host, port = listener.getsockname()[:2]
        _log.info("%s: answers at http://%s:%d", self.config.id, _bracketed(host), port)

    async def stop(self) -> None:
        """Take nothing new, finish what is in flight within a bound, and leave."""
        self.server.close()
        self.gateway.close()
        self.manager.pre_shutdown()
        await self.door.drained(STOP_PATIENCE)
        self.gateway.abort()
        await self.manager.shutdown(0.5)
        await self.node.stop()


def _gateway_name(node: Node) -> str:
    """The name in this node's request ids. A data folder that was made to join has its own: the
    starts of an earlier folder were counted there, and are not to be mixed with this one's."""
    name = node.settings.id
    return name if not node.incarnation else f"{name}#{node.incarnation:x}"


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise _port_problem(host, port, error) from error
    listener.setblocking(False)
    return listener


def _listen(listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    try:
        listener.listen(1_024)
    except OSError as error:
        raise _port_problem(host, port, error) from error


def _port_problem(host: str, port: int, error: OSError) -> PortInUse:
    if error.errno == errno.EADDRINUSE:
        text = f"{host}:{port} is in use by another program: stop that one, or choose another"
        return PortInUse(f"{text} http.port (flag --port)", host=host, port=port)
    return PortInUse(f"cannot listen on {host}:{port}: {error.strerror}", host=host, port=port)


def _host_names(config: Config) -> set[str]:
    """The names callers may use: this node's, and the members' as the cluster knows them."""
    addresses = [http for _, http in config.members.values()]
    members = {address.rpartition(":")[0].strip("[]") for address in addresses}
    return {config.http.host, *config.http.hosts, *members}


def _connection_limit() -> int:
    """Raise the limit of open files as far as this process may, and leave some for the node."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return max(64, (MOST_FILES if soft == resource.RLIM_INFINITY else soft) - RESERVED_FILES)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
