"""Nodes of a run that are started under `chaos.nemesis.faulty`, and the words they end with."""

from __future__ import annotations

import os
import shlex
import time
from functools import cache
from pathlib import Path
from typing import ClassVar

from chaos.nemesis.fault import CannotInject, Fault, NotReached, Site
from chaos.nemesis.faulty_control import Control
from cluster.member import last_line
from cluster.up import PROGRAM

PRODUCT = ["-m", "raftcoord"]
"""The end of a program that runs the product's own command line."""


def wrap(site: Site) -> None:
    """Have all nodes start under `faulty` from now on, each with a control of its own.

    Raises CannotInject where the nodes run another program than the product's.
    """
    for node, launch in site.nodes.launch.items():
        file = _file(site, node)
        if file.exists():
            continue
        if launch.program[-2:] != PRODUCT:
            program = " ".join(launch.program)
            raise CannotInject(f"faults of the disk and clock need raftcoord, not `{program}`")
        file.parent.mkdir(exist_ok=True)
        Control(file, create=True)
        words = ["-m", "chaos.nemesis.faulty", "--control", str(file), "--"]
        launch.program = [*launch.program[:-2], *words]


def control_of(site: Site, node: str) -> Control:
    """The control of a node that was wrapped."""
    return _opened(_file(site, node))


def _file(site: Site, node: str) -> Path:
    return site.folder / "faulty" / node


@cache
def _opened(file: Path) -> Control:
    return Control(file)


def add_flags(site: Site, **flags: int) -> None:
    """Start nodes with these flags of `serve`, where they do not have them yet."""
    for launch in site.nodes.launch.values():
        for name, value in flags.items():
            flag = f"--{name.replace('_', '-')}"
            if flag not in launch.flags:
                launch.flags += [flag, str(value)]


def other_program() -> str | None:
    """Why the nodes cannot be wrapped: they run another program than the product's."""
    program = shlex.split(os.environ.get(PROGRAM, ""))
    if not program or program[-2:] == PRODUCT:
        return None
    return f"{PROGRAM} names another program than the product's"


class FaultyFault(Fault):
    """A fault of one node that runs under `faulty`. `ends`: whether the node ends by it."""

    ends: ClassVar[bool] = False

    @classmethod
    def missing(cls) -> str | None:
        """Why it cannot be done with these nodes."""
        return other_program()

    @classmethod
    def prepare(cls, site: Site) -> None:
        """Wrap the nodes."""
        wrap(site)

    @property
    def node(self) -> str:
        """The one that is hit."""
        return self.nodes[0]

    @property
    def control(self) -> Control:
        """What its disk and clock obey."""
        return self.control_at(self.node)

    def control_at(self, node: str) -> Control:
        """What the disk and clock of any node obey."""
        return control_of(self.site, node)

    def stop(self) -> None:
        """No fault any more; a node that ended by it starts again."""
        if not self.nodes:
            return  # it was never begun
        self.control.clear()
        if self.ends and not self.site.nodes.running(self.node):
            self.site.nodes.start(self.node)

    def give_up(self) -> None:
        """A node whose disk answers nothing could not end either."""
        for node in self.nodes:
            self.control_at(node).clear()

    def choose(self, *, leader: float) -> str:
        """Hit one node: the leader with that probability, else a follower."""
        node = self.leader() if self.random.random() < leader else self.follower()
        self.nodes = (node,)
        self.at = time.monotonic_ns()
        return node

    def until_ended(self, *reasons: str) -> None:
        """Wait until the node's process ended by itself, and check its last words.

        Raises NotReached where it does not end, or says none of `reasons`.
        """
        node = self.node
        self.site.wait(lambda: not self.site.nodes.running(node), f"{node} did not end")
        said = last_line(self.site.nodes.place(node).log)
        if not any(reason in said for reason in reasons):
            raise NotReached(f"{node} ended, but said: {said}")
