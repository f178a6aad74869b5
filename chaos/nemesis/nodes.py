"""The cluster under test: its node processes, and what they say of themselves.

Only processes that were started here are ever signalled; each is a child that was not waited for
yet, so that its number cannot be another's.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import Any

from cluster.environment import ROOT
from cluster.folder import DataFolder
from cluster.places import HOST, NodePlace
from cluster.processes import spawn

STOP_PATIENCE = 10.0


@dataclass(frozen=True)
class Said:
    """What a node says of itself; `role` as in /v1/status."""

    role: str
    term: int
    revision: int
    ready: bool


class Nodes:
    """The nodes of a data folder that is prepared and held.

    Args:
        program: what runs a node, before `serve --config …`.
    """

    def __init__(self, folder: DataFolder, program: list[str]) -> None:
        self._folder = folder
        self._program = program
        self._places = {place.id: place for place in folder.nodes()}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def ids(self) -> tuple[str, ...]:
        """The nodes, in their order."""
        return tuple(self._places)

    @property
    def ports(self) -> dict[str, int]:
        """Node → its port for callers."""
        return {node: place.port for node, place in self._places.items()}

    def place(self, node: str) -> NodePlace:
        """Its files and ports."""
        return self._places[node]

    def start(self, *nodes: str) -> None:
        """Start their processes. Raises OSError, and cluster.problem.Problem for lost data."""
        for node in nodes:
            place = self._places[node]
            flags = self._folder.start_flags(place)
            command = [*self._program, "serve", "--config", str(place.config), *flags]
            self._processes[node] = spawn(command, ROOT, place.log)

    def kill(self, *nodes: str) -> int:
        """SIGKILL, to all before any is waited for; when all were sent, in monotonic ns."""
        processes = [self._processes.pop(node) for node in nodes if node in self._processes]
        for process in processes:
            process.send_signal(signal.SIGKILL)
        killed = time.monotonic_ns()
        for process in processes:
            process.wait()
        return killed

    def kill_now(self) -> None:
        """SIGKILL to all that run, without waiting; safe in a signal handler."""
        for process in self._processes.values():
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)

    def ended(self) -> dict[str, int]:
        """Node → return code, of those whose process ended by itself."""
        codes = {node: process.poll() for node, process in self._processes.items()}
        return {node: code for node, code in codes.items() if code is not None}

    def stop(self) -> None:
        """Stop all cleanly; kill those that do not stop."""
        processes = [process for process in self._processes.values() if process.poll() is None]
        for process in processes:
            process.send_signal(signal.SIGTERM)
        until = time.monotonic() + STOP_PATIENCE
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.01, until - time.monotonic()))
        self.kill(*self._processes)

    def said(self, node: str, timeout: float = 1.0) -> Said | None:
        """What the node says of itself now; None where it does not answer."""
        status = self._get(node, "/v1/status", timeout)
        try:
            return Said(
                str(status["role"]),
                int(status["term"]),
                int(status["revision"]),
                bool(status["ready"]),
            )
        except (KeyError, TypeError, ValueError):
            return None

    def leader(self) -> str | None:
        """The node that calls itself leader, of two the one of the higher term."""
        said = {node: self.said(node) for node in self.ids}
        leading = [
            (what.term, node)
            for node, what in said.items()
            if what is not None and what.role == "leader" and what.ready
        ]
        return max(leading)[1] if leading else None

    def _get(self, node: str, path: str, timeout: float) -> dict[str, Any]:
        connection = http.client.HTTPConnection(HOST, self._places[node].port, timeout=timeout)
        try:
            connection.request("GET", path)
            body = connection.getresponse().read()
            answer = json.loads(body)
        except (OSError, http.client.HTTPException, ValueError):
            return {}
        finally:
            connection.close()
        return answer if isinstance(answer, dict) else {}
