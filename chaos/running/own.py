"""A cluster of the run's own: a fresh folder, three node processes, and the proxy between them."""

from __future__ import annotations

from random import Random

from chaos.nemesis.links import Links
from chaos.nemesis.nodes import Nodes
from chaos.running.settings import NODES, Settings
from cluster.folder import DataFolder
from cluster.member import last_line
from cluster.places import HOST, PEER_OFFSET, check_ports, is_free
from cluster.problem import Problem
from cluster.processes import describe_end


class Own:
    """The cluster, its folder held. Raises Problem where it cannot be set up.

    Where a fault works on links, the addresses by which the members know each other are the
    proxy's, and each node listens elsewhere: behind the ports for callers.
    """

    fresh = True

    def __init__(self, settings: Settings, folder: DataFolder) -> None:
        state = folder.settle(NODES, settings.port or free_port())
        check_ports(folder.places.nodes(NODES, state.port), "give others with --port")
        folder.prepare(state)
        self.nodes = self.members = Nodes(folder, settings.program)
        self.links: Links | None = None
        if any(kind.linked for kind in settings.kinds.values()):
            self.links = self._links(settings)
        self.ports: dict[str, int | str] = dict(self.nodes.ports)
        self.shown = f"{NODES} nodes on {', '.join(map(str, self.ports.values()))}"

    def _links(self, settings: Settings) -> Links:
        ports = {}
        for node in self.nodes.ids:
            place = self.nodes.place(node)
            inner = place.port + NODES
            if not is_free(inner):
                raise Problem(f"port {inner}, which {node} needs behind the link proxy, is in use")
            self.nodes.launch[node].flags += ["--peers-port", str(inner)]
            ports[node] = (place.peer_port, inner)
        return Links(ports, settings.folder / "links.log", f"{settings.seed}/links")

    def start(self) -> None:
        """Start all processes. Raises OSError, Problem, LinksFailed."""
        if self.links is not None:
            self.links.start()
        self.nodes.start(*self.nodes.ids)

    def ended(self) -> str | None:
        """Which node ended by itself, with its last words."""
        for node, code in self.nodes.ended().items():
            said = last_line(self.nodes.place(node).log)
            return f"{node} ended by itself ({describe_end(code)}): {said}"
        return None

    def stop(self) -> None:
        """Stop all that was started."""
        self.nodes.stop()
        if self.links is not None:
            self.links.stop()

    def kill_now(self) -> None:
        """SIGKILL to all that run, without waiting; safe in a signal handler."""
        self.nodes.kill_now()
        if self.links is not None:
            self.links.kill_now()


def free_port() -> int:
    """A first port for the nodes such that all their ports are free.

    Below the ports that the system gives to outgoing connections (Linux: from 32768): one of those
    could take the port of a node that is down.
    """
    random = Random()
    for _ in range(200):
        port = random.randrange(10_500, 20_000)
        callers = range(port, port + 2 * NODES)
        peers = range(port + PEER_OFFSET, port + PEER_OFFSET + NODES)
        if all(map(is_free, [*callers, *peers])):
            return port
    raise Problem(f"no free ports were found on {HOST}; stop what uses them, or give --port")
