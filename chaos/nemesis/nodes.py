"""The cluster under test: its node processes.

Only processes that were started here are ever signalled; each is a child that was not waited for
yet, so that its number cannot be another's.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chaos.nemesis.members import Members, Said
from cluster.environment import ROOT
from cluster.folder import DataFolder
from cluster.places import NodePlace
from cluster.processes import spawn

STOP_PATIENCE = 10.0

__all__ = ["Launch", "Nodes", "Said"]


@dataclass
class Launch:
    """How one node's process is started; a fault changes it for the starts that come.

    Args:
        program: what runs the node, before `serve --config …`.
        before: words in front of all, as `["ip", "netns", "exec", "n1"]`.
        environment: variables on top of the run's own.
        flags: of `serve`; they win over the configuration's file.
        data: the folder of its data, where it is not the configuration's.
    """

    program: list[str]
    before: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    data: Path | None = None

    def command(self, serve: list[str]) -> list[str]:
        """The whole command, of the words behind the program."""
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        env = ["env", *variables] if variables else []
        moved = [] if self.data is None else ["--data", str(self.data)]
        return [*self.before, *env, *self.program, *serve, *moved, *self.flags]


@dataclass(frozen=True)
class _Moved(NodePlace):
    """A place whose data lies elsewhere."""

    elsewhere: Path = Path()

    @property
    def data(self) -> Path:
        return self.elsewhere


class Nodes(Members):
    """The nodes of a data folder that is prepared and held.

    Args:
        program: what runs a node, before `serve --config …`.
        addresses: node → "host:port" for callers, where that is not the folder's.

    `launch`: node → how it is started.
    """

    def __init__(
        self,
        folder: DataFolder,
        program: list[str],
        addresses: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder
        self._places = {place.id: place for place in folder.nodes()}
        own = {node: place.http for node, place in self._places.items()}
        super().__init__(addresses or own)
        self.launch = {node: Launch(list(program)) for node in self._places}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._may_end: set[str] = set()

    @property
    def ports(self) -> dict[str, int]:
        """Node → its port for callers."""
        return {node: place.port for node, place in self._places.items()}

    def place(self, node: str) -> NodePlace:
        """Its files and ports."""
        place, elsewhere = self._places[node], self.launch[node].data
        if elsewhere is None:
            return place
        return _Moved(place.number, place.folder, place.port, elsewhere)

    def pid(self, node: str) -> int | None:
        """Its process, where one was started that nobody waited for yet."""
        process = self._processes.get(node)
        return None if process is None else process.pid

    def start(self, *nodes: str) -> None:
        """Start their processes. Raises OSError, and cluster.problem.Problem for lost data."""
        for node in nodes:
            place = self.place(node)
            serve = ["serve", "--config", str(place.config), *self._folder.start_flags(place)]
            self._may_end.discard(node)
            self._processes[node] = spawn(self.launch[node].command(serve), ROOT, place.log)

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

    def pause(self, *nodes: str) -> None:
        """SIGSTOP."""
        for node in nodes:
            self._processes[node].send_signal(signal.SIGSTOP)

    def resume(self, *nodes: str) -> None:
        """SIGCONT, to those that still run."""
        for node in nodes:
            if node in self._processes and self._processes[node].poll() is None:
                self._processes[node].send_signal(signal.SIGCONT)

    def expect_end(self, *nodes: str) -> None:
        """These may end by themselves until they are started anew."""
        self._may_end.update(nodes)

    def running(self, node: str) -> bool:
        """Whether its process runs."""
        process = self._processes.get(node)
        return process is not None and process.poll() is None

    def ended(self) -> dict[str, int]:
        """Node → return code, of those whose process ended by itself and should not have."""
        codes = {node: process.poll() for node, process in self._processes.items()}
        return {
            node: code
            for node, code in codes.items()
            if code is not None and node not in self._may_end
        }

    def stop(self, *nodes: str, patience: float = STOP_PATIENCE) -> None:
        """Stop these cleanly, without names all; kill those that do not stop.

        Args:
            patience: seconds that all of them together have.
        """
        asked = nodes or tuple(self._processes)
        processes = {
            node: process
            for node, process in self._processes.items()
            if node in asked and process.poll() is None
        }
        for process in processes.values():
            process.send_signal(signal.SIGTERM)
            # One that a fault has paused hears it only when it goes on.
            process.send_signal(signal.SIGCONT)
        until = time.monotonic() + patience
        for process in processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.01, until - time.monotonic()))
        self.kill(*asked)

    def set_aside(self, node: str) -> None:
        """Take the data of a node that does not run away for good: it is to come back empty, by
        the documented way (`serve --join`)."""
        aside = self._folder.begin_rejoin(self.place(node))
        if aside is not None:
            shutil.rmtree(aside)

    def note_joined(self, node: str) -> bool:
        """Whether a node that came back empty is a voter again; from then on it starts as any."""
        said = self.said(node)
        if said is None or not said.ready or said.role not in ("leader", "follower"):
            return False
        self._folder.note_joined(self.place(node))
        return True
