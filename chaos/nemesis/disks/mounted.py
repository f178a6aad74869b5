"""Faults of nodes whose data lies on the file system of `chaos.nemesis.fuse`.

Power cuts exist only here: a process that is killed leaves what it wrote in the page cache of the
operating system, and only this file system throws that away. The other faults are those of
`syncs` and `reads`, below the operating system instead of in the node's own process.
"""

from __future__ import annotations

import time
from pathlib import Path

from chaos.nemesis.disks.helper import Helper
from chaos.nemesis.disks.reads import FlippedRead, ReadError
from chaos.nemesis.disks.small import save
from chaos.nemesis.disks.syncs import SEGMENT, FailedSync, FullDisk, SlowSync
from chaos.nemesis.fault import Site
from chaos.nemesis.faulty_control import JOURNAL, Control
from chaos.nemesis.faulty_nodes import FaultyFault, add_flags, other_program
from chaos.nemesis.fuse import mounting

UNDER_WAY = 0.5
"""Seconds within which nodes under load sync something."""

_helpers: dict[Path, Helper] = {}
_controls: dict[Path, dict[str, Control]] = {}


def attach(site: Site) -> None:
    """Let all nodes that have no other place yet have their data there; done once for a run."""
    folder = _folder(site)
    if folder in _helpers:
        return
    controls = site.folder / "fuse-controls"
    controls.mkdir()
    _controls[folder] = {node: Control(controls / node, create=True) for node in site.nodes.ids}
    _helpers[folder] = Helper("chaos.nemesis.fuse", folder, "--controls", str(controls))
    for node, launch in site.nodes.launch.items():
        if launch.data is None:
            launch.data = folder / node
            launch.data.mkdir(mode=0o700)


def detach(site: Site) -> None:
    """Save what is on it and detach it; done once."""
    folder = _folder(site)
    helper = _helpers.pop(folder, None)
    if helper is not None:
        for control in _controls.pop(folder).values():
            control.clear()
        save(folder, site.folder / "data-of-fuse")
        helper.close()


def cut_power(site: Site, node: str, seed: int) -> str:
    """What a power cut leaves of a node that does not run; what was lost, for people."""
    if not is_on(site, node):
        return f"{node} lies elsewhere"
    _, lost = _helpers[_folder(site)].ask(f"cut {node} {seed}").split()
    return f"{node} lost {lost} pages or names"


def is_on(site: Site, node: str) -> bool:
    """Whether a node's data lies on the file system."""
    return site.nodes.launch[node].data == _folder(site) / node


def _folder(site: Site) -> Path:
    return site.folder / "fuse"


class _OnFuse(FaultyFault):
    """A fault below the operating system."""

    needs = "fuse"

    @classmethod
    def missing(cls) -> str | None:
        """Why there is no FUSE here."""
        return other_program() or mounting.missing()

    @classmethod
    def prepare(cls, site: Site) -> None:
        """Attach the file system."""
        attach(site)

    @classmethod
    def clear(cls, site: Site) -> None:
        """Detach it."""
        detach(site)

    def control_at(self, node: str) -> Control:
        """What the disk of a node obeys."""
        return _controls[_folder(self.site)][node]

    def choose(self, *, leader: float) -> str:
        """Hit one node that lies on the file system, where it may be as asked for."""
        node = super().choose(leader=leader)
        on_it = [node for node in self.site.nodes.ids if is_on(self.site, node)]
        if node not in on_it:
            node = self.random.choice(on_it)
        self.nodes = (node,)
        return node


class FuseFailedSync(_OnFuse, FailedSync):
    """One fsync fails."""

    name = "fuse-failed-sync"
    about = "an fsync of one node's journal fails in the file system; the node ends, and restarts"


class FuseSlowSync(_OnFuse, SlowSync):
    """Each fsync takes longer."""

    name = "fuse-slow-sync"
    about = "fsyncs of one node take 5 to 150 ms longer in the file system"


class FuseFullDisk(_OnFuse, FullDisk):
    """The file system has no room."""

    name = "fuse-full-disk"
    about = "the file system of one node has no room (ENOSPC), then it has"

    @classmethod
    def prepare(cls, site: Site) -> None:
        """Small journal files."""
        attach(site)
        add_flags(site, raft_segment_bytes=SEGMENT)


class FuseReadError(_OnFuse, ReadError):
    """Reads fail."""

    name = "fuse-read-error"
    about = "a node is killed and its file system cannot read its journal (EIO), then it can"


class FuseFlippedRead(_OnFuse, FlippedRead):
    """One bit is read as another."""

    name = "fuse-flipped-read"
    about = "a node is killed, and its file system reads a flipped bit of its journal"


class PowerCut(_OnFuse):
    """A node is killed and its machine loses its power: what was not synced is gone.

    It is hit while a sync is under way, for which the sync is held up: so there is something to
    lose, of which nobody may have been told.
    """

    name = "power-cut"
    about = "one node is killed, and what it had not synced is lost"
    takes = True
    spans = ((0.1, 1.0),)

    def start(self) -> None:
        """Kill it, and lose what was not durable."""
        self.choose(leader=0.5)
        self._cut()

    def stop(self) -> None:
        """Power again."""
        self.site.nodes.start(*self.nodes)

    def _cut(self) -> None:
        controls = [self.control_at(node) for node in self.nodes if is_on(self.site, node)]
        until = time.monotonic() + UNDER_WAY
        for control in controls:
            control.stall_syncs(where=JOURNAL)

        def held() -> bool:
            return time.monotonic() > until or all(control.hits for control in controls)

        self.site.wait(held, "time does not pass")
        self.at = self.site.nodes.kill(*self.nodes)
        lost = [cut_power(self.site, node, self.random.getrandbits(32)) for node in self.nodes]
        self.detail = ", ".join(lost)
        for control in controls:
            control.clear()


class PowerCutAll(PowerCut):
    """The same of all at once."""

    name = "power-cut-all"
    about = "all nodes are killed at once, and what they had not synced is lost"

    def start(self) -> None:
        """Kill all, when somebody led them."""
        self.leader()
        self.nodes = self.site.nodes.ids
        self._cut()
