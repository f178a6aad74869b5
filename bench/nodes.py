"""A system under measurement: three processes of it on this machine, data on one disk."""

from __future__ import annotations

import contextlib
import http.client
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.processes import BenchError, Child, free_ports, wait_for

HOST = "127.0.0.1"
NODES = 3
READY = 30.0
"""Seconds a cluster may take until all nodes follow one leader."""
_CLOSE = 100
"""Log entries that a node may be behind another and still count as caught up."""


@dataclass(frozen=True)
class View:
    """What a node says of itself. me, leader: names in the system's own words."""

    me: str
    leader: str
    applied: int


@dataclass
class Node:
    """One process and where it answers callers."""

    child: Child
    port: int


def ask(method: str, port: int, path: str, body: bytes | None = None) -> Any:
    """A JSON answer with status 200, or None for anything else (also: nobody there)."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2.0)
    try:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        content = answer.read()
        return json.loads(content) if answer.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


class System(ABC):
    """Three nodes. `name` is also the key of its speaker (bench.dialects)."""

    name: str

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.nodes: list[Node] = []

    @classmethod
    @abstractmethod
    def missing(cls) -> str | None:
        """What to install where it is not on this machine; None where it is."""

    @abstractmethod
    def version(self) -> str:
        """For the report; asked of a running node where possible."""

    @abstractmethod
    def _prepare(self, ports: Sequence[int]) -> list[Node]:
        """Write what the nodes need; two ports each. The first start happens with these."""

    def _after_first_start(self) -> None:  # noqa: B027 (most systems have nothing to do)
        """Change what a later start of a node must not repeat."""

    @abstractmethod
    def view(self, node: Node) -> View | None:
        """What a node says; None while it does not answer or knows no leader."""

    def start(self) -> None:
        """Start all nodes and wait until they are settled. Raises BenchError."""
        self._folder.mkdir(parents=True)
        self.nodes = self._prepare(free_ports(2 * NODES))
        for node in self.nodes:
            node.child.start()
        self.settle()
        self._after_first_start()

    def stop(self) -> None:
        """Stop all nodes; never raises for one that is already gone."""
        for node in self.nodes:
            node.child.ask_to_stop()
        for node in self.nodes:
            node.child.stop()

    def settle(self) -> Node:
        """Wait until all nodes live, follow one leader and have caught up; returns the leader.

        Raises BenchError, with the last words of a node that ended.
        """
        found: list[Node] = []

        def settled() -> bool:
            for node in self.nodes:
                if not node.child.alive:
                    raise BenchError(
                        f"{node.child.name} ended by itself; it said:\n{node.child.last_words()}"
                    )
            found[:] = self._leaders()
            return bool(found)

        wait_for(f"{self.name}: three nodes that follow one leader", settled, READY)
        return found[0]

    def _leaders(self) -> list[Node]:
        views = [self.view(node) for node in self.nodes]
        known = [view for view in views if view is not None]
        if len(known) < len(views) or len({view.leader for view in known}) != 1:
            return []
        applied = [view.applied for view in known]
        if max(applied) - min(applied) > _CLOSE:
            return []
        pairs = zip(self.nodes, known, strict=True)
        return [node for node, view in pairs if view.me == view.leader]

    def roles(self) -> tuple[Node, list[Node]]:
        """The leader and the others, once settled."""
        leader = self.settle()
        return leader, [node for node in self.nodes if node is not leader]

    def cpu_seconds(self) -> float:
        """Processor time of all nodes so far."""
        return sum(node.child.cpu_seconds() for node in self.nodes)


@contextlib.contextmanager
def running(systems: Sequence[System]) -> Any:
    """Start them one after the other; stop all of them whatever happens."""
    try:
        for system in systems:
            system.start()
        yield
    finally:
        for system in systems:
            system.stop()
