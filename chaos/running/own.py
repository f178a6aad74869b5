"""A cluster of the run's own: a fresh folder, three node processes, and what is between them."""

from __future__ import annotations

from random import Random

from chaos.nemesis.links import Links
from chaos.nemesis.nodes import STOP_PATIENCE, Nodes
from chaos.nemesis.wires import Wires
from chaos.running.settings import NODES, Settings
from cluster.folder import DataFolder
from cluster.member import last_line
from cluster.places import HOST, PEER_OFFSET, NodePlace, check_ports, is_free
from cluster.problem import Problem
from cluster.processes import describe_end
from cluster.state import write_whole


class Own:
    """The cluster, its folder held. Raises Problem where it cannot be set up.

    Where a fault works on links, they are one of two things. `Links`: the addresses by which the
    members know each other are the proxy's, and each node listens elsewhere, behind the ports for
    callers. `Wires`: each node is in a network namespace of its own, with an address of its own.
    """

    fresh = True

    def __init__(self, settings: Settings, folder: DataFolder) -> None:
        state = folder.settle(NODES, settings.port or free_port())
        check_ports(folder.places.nodes(NODES, state.port), "give others with --port")
        folder.prepare(state)
        places = {place.id: place for place in folder.nodes()}
        self.links: Links | Wires | None = None
        addresses = None
        if settings.namespaces:
            self.links = Wires(places, settings.folder / "wires.log")
            addresses = _move(places, self.links.addresses)
        self.nodes = self.members = Nodes(folder, settings.program, addresses)
        if settings.namespaces:
            for launch in self.nodes.launch.values():
                launch.flags.append("--allow-plaintext")
        elif any(kind.linked for kind in settings.kinds.values()):
            self.links = self._proxy(settings)
        self.ports: dict[str, int | str] = dict(self.nodes.addresses)
        self.shown = f"{NODES} nodes: {', '.join(self.nodes.addresses.values())}"

    def _proxy(self, settings: Settings) -> Links:
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
        """Start all processes. Raises OSError, Problem, LinksFailed, CannotInject."""
        if self.links is not None:
            self.links.start()
        if isinstance(self.links, Wires):
            for node, launch in self.nodes.launch.items():
                launch.before = self.links.inside(node)
        self.nodes.start(*self.nodes.ids)

    def ended(self) -> str | None:
        """Which node ended by itself, with its last words."""
        for node, code in self.nodes.ended().items():
            said = last_line(self.nodes.place(node).log)
            return f"{node} ended by itself ({describe_end(code)}): {said}"
        return None

    def stop(self, patience: float = STOP_PATIENCE) -> None:
        """Stop all that was started; `patience`: seconds in which nodes may end cleanly."""
        self.nodes.stop(patience=patience)
        if self.links is not None:
            self.links.stop()

    def kill_now(self) -> None:
        """SIGKILL to all that run, without waiting; safe in a signal handler."""
        self.nodes.kill_now()
        if self.links is not None:
            self.links.kill_now()


def _move(places: dict[str, NodePlace], addresses: dict[str, str]) -> dict[str, str]:
    """Give the nodes other addresses in all configurations; node → "host:port" for callers."""
    for node, place in places.items():
        text = place.config.read_text(encoding="utf-8")
        for other, address in addresses.items():
            for known in (places[other].peer, places[other].http):
                text = text.replace(f'"{known}"', f'"{known.replace(HOST, address)}"')
        text = text.replace(f'host = "{HOST}"', f'host = "{addresses[node]}"')
        write_whole(place.config, text)
    return {node: place.http.replace(HOST, addresses[node]) for node, place in places.items()}


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
