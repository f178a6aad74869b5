"""A cluster that somebody else started: it is loaded, asked and judged, and none of its processes
is touched. Faults of its nodes are the user's own command's business."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterable
from typing import ClassVar
from urllib.parse import urlsplit

from chaos.nemesis.fault import CannotInject, Fault
from chaos.nemesis.members import Members, status_of
from chaos.running.settings import CannotRun

COMMAND_PATIENCE = 120.0
"""Seconds that the user's command may take."""


class Foreign:
    """The cluster. `addresses`: "host:port" of its nodes. Raises CannotRun where one is silent."""

    fresh = False
    nodes = None
    links = None

    def __init__(self, addresses: Iterable[str]) -> None:
        found: dict[str, str] = {}
        for address in addresses:
            status = status_of(address, timeout=5.0)
            node = status.get("node")
            if not isinstance(node, str):
                raise CannotRun(f"{address} does not answer as a node of a cluster does")
            if node in found:
                raise CannotRun(f"{address} and {found[node]} are the same node, {node}")
            found[node] = address
        self.members = Members(found)
        self.ports: dict[str, int | str] = dict(found)
        self.shown = ", ".join(f"{node} at {address}" for node, address in found.items())

    def start(self) -> None:
        """It runs already."""

    def ended(self) -> str | None:
        """Its processes are not ours to watch."""
        return None

    def stop(self, patience: float = 0.0) -> None:
        """It goes on."""

    def kill_now(self) -> None:
        """It goes on."""


class Injected(Fault):
    """The user's own fault: COMMAND start NAME, later COMMAND stop NAME."""

    about = "the command given with --inject"
    spans = ((1.0, 3.0), (3.0, 8.0))
    foreign = True
    command: ClassVar[tuple[str, ...]] = ()

    def start(self) -> None:
        """Call it."""
        self._call("start")

    def stop(self) -> None:
        """Call it again."""
        self._call("stop")

    def give_up(self) -> None:
        """What the command did lies outside of the run: it has to be undone."""
        with contextlib.suppress(CannotInject):
            self.stop()

    def _call(self, word: str) -> None:
        command = [*self.command, word, self.name]
        try:
            ended = subprocess.run(
                command, stdin=subprocess.DEVNULL, timeout=COMMAND_PATIENCE, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CannotInject(f"{' '.join(command)}: {error}") from error
        if ended.returncode != 0:
            raise CannotInject(f"{' '.join(command)} ended with {ended.returncode}")


def injected(name: str, command: Iterable[str]) -> type[Fault]:
    """A fault of the user's own, by name. Raises ValueError for a name that is none."""
    if not name.replace("-", "").isalnum() or not name.isascii():
        raise ValueError(f"{name!r} is no name of a fault: letters, digits and dashes")
    return type("Injected", (Injected,), {"name": name, "command": tuple(command)})


def address_of(url: str) -> str:
    """ "host:port" of a node's URL. Raises ValueError where it is none."""
    parts = urlsplit(url if "//" in url else f"http://{url}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/") or port is None:
        raise ValueError(f"{url!r} is no address of a node: http://host:port")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port}"
