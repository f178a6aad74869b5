"""Where everything of a local cluster lies: its folder, its nodes' files, their ports."""

from __future__ import annotations

import os
import random
import shlex
import socket
from dataclasses import dataclass
from pathlib import Path

from cluster.environment import ROOT
from cluster.problem import Problem

HOST = "127.0.0.1"
PEER_OFFSET = 10_000
DEFAULT_PORT = 8080
DEFAULT_NODES, MOST_NODES = 3, 9
LAST_PORT = 65_535 - PEER_OFFSET - MOST_NODES
DEFAULT_FOLDER = ROOT / ".cluster"


@dataclass(frozen=True)
class NodePlace:
    """One node's files and its port for callers; its port for peers is PEER_OFFSET higher."""

    number: int
    folder: Path
    port: int

    @property
    def id(self) -> str:
        return f"n{self.number}"

    @property
    def data(self) -> Path:
        return self.folder / self.id

    @property
    def config(self) -> Path:
        return self.folder / f"{self.id}.toml"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.id}.log"

    @property
    def peer_port(self) -> int:
        return self.port + PEER_OFFSET

    @property
    def http(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def peer(self) -> str:
        return f"{HOST}:{self.peer_port}"

    @property
    def url(self) -> str:
        return f"http://{self.http}"

    def has_data(self) -> bool:
        """Whether the node ever wrote something it answers for: a lock file and files that were
        not finished are nothing yet."""
        return any(
            not name.endswith(".tmp") and name != "lock"
            for _, _, names in os.walk(self.data)
            for name in names
        )


@dataclass(frozen=True)
class Places:
    """The files that belong to the cluster as a whole."""

    folder: Path

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def state(self) -> Path:
        return self.folder / "state.json"

    @property
    def settings(self) -> Path:
        """Sections that a user adds to every node's configuration; may not exist."""
        return self.folder / "settings.toml"

    @property
    def secret(self) -> Path:
        return self.folder / "secret"

    @property
    def log(self) -> Path:
        return self.folder / "cluster.log"

    @property
    def running(self) -> Path:
        return self.folder / "running.json"

    def nodes(self, count: int, port: int) -> list[NodePlace]:
        return [NodePlace(number, self.folder, port + number - 1) for number in range(1, count + 1)]

    def command(self, words: str) -> str:
        """A command on this cluster as one would type it in the project's folder. The path is
        whole: what a supervisor says is read in another folder than its own."""
        data = "" if self.folder == DEFAULT_FOLDER else f" --data {shlex.quote(str(self.folder))}"
        return f"python3 -m cluster {words}{data}"

    def shown(self) -> str:
        """The folder as one would type it here."""
        try:
            return str(self.folder.relative_to(Path.cwd()))
        except ValueError:
            return str(self.folder)


def check_ports(nodes: list[NodePlace], advice: str) -> None:
    """Raises Problem naming the first port that somebody else listens on."""
    for node in nodes:
        for port, use in ((node.port, "callers"), (node.peer_port, "peers")):
            if not is_free(port):
                raise Problem(
                    f"port {port}, which {node.id} needs for its {use}, is in use by another"
                    f" program; {advice}"
                )


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do it: connections that linger after a close do not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def free_port(count: int) -> int:
    """A first port for `count` nodes such that all their ports are free now."""
    for _ in range(200):
        # Both ranges lie below the ports that outgoing connections get (32,768 on Linux).
        port = random.randrange(11_000, 22_000)
        numbers = range(port, port + count)
        if all(is_free(number) and is_free(number + PEER_OFFSET) for number in numbers):
            return port
    raise Problem("no free ports were found on 127.0.0.1; stop what uses them")
