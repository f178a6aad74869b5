"""The data folder: held by one supervisor at a time, prepared step by step, wiped whole."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.lock import acquire
from cluster.places import DEFAULT_NODES, DEFAULT_PORT, MOST_NODES, NodePlace, Places
from cluster.problem import Problem
from cluster.processes import Identity
from cluster.state import State, sync_folder, write_whole

CONFIG = """\
[node]
id = "{node.id}"
data = "{node.id}"

[http]
host = "127.0.0.1"
port = {node.port}

[peers]
host = "127.0.0.1"
port = {node.peer_port}
secret_file = "secret"

[cluster]
name = "{cluster}"
"""
MEMBER = """
[cluster.members.{node.id}]
peer = "{node.peer}"
http = "{node.http}"
"""


class DataFolder:
    """The folder while this process holds its lock."""

    def __init__(self, places: Places, lock: int) -> None:
        self.places = places
        self._lock = lock
        self.state: State | None = State.read(places.state)

    @property
    def known(self) -> State:
        assert self.state is not None, "the folder was not prepared"
        return self.state

    def nodes(self) -> list[NodePlace]:
        return self.places.nodes(len(self.known.stages), self.known.port)

    def introduce(self, socket: str) -> None:
        """Say who holds the folder and where it listens for commands."""
        card = {"socket": socket, **Identity.of(os.getpid()).as_json()}
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, json.dumps(card).encode(), 0)

    def settle(self, nodes: int | None, port: int | None) -> State:
        """The state to start with: what is there, or a new one that is not written yet."""
        state = self.state
        if state is None:
            strays = [
                node.id for node in self.places.nodes(MOST_NODES, DEFAULT_PORT) if node.has_data()
            ]
            if strays:
                raise Problem(
                    f"{self.places.shown()} holds data of {', '.join(strays)} but no state.json;"
                    " put that file back, or give another folder with --data"
                )
            return State.fresh(nodes or DEFAULT_NODES, port or DEFAULT_PORT)
        if state.wiping:
            raise Problem(
                f"a wipe of {self.places.shown()} was interrupted; finish it with"
                f" `{self.places.command('wipe --yes')}`"
            )
        if nodes is not None and nodes != len(state.stages):
            raise Problem(
                f"{self.places.shown()} holds a cluster of {len(state.stages)} nodes, not of"
                f" {nodes}; leave --nodes out, or give another folder with --data"
            )
        if port is not None and port != state.port:
            raise Problem(
                f"the cluster in {self.places.shown()} was made with --port {state.port}, and its"
                " nodes know each other by it; leave --port out, or give another folder with --data"
            )
        had_data = any(stage in ("made", "joining") for stage in state.stages.values())
        if had_data and not any(node.has_data() for node in self.nodes()):
            raise Problem(
                f"the nodes of {self.places.shown()} had data and all of it is gone; put it back,"
                f" or forget it with `{self.places.command('wipe --yes')}` and start empty"
            )
        return state

    def prepare(self, state: State) -> None:
        """Write what the nodes need, each step on disk before the next."""
        self.state = state
        self.save()
        if not self.places.secret.exists():
            write_whole(self.places.secret, secrets.token_hex(32) + "\n")
        added = self.places.settings
        more = "\n" + added.read_text(encoding="utf-8") if added.exists() else ""
        for node in self.nodes():
            members = "".join(MEMBER.format(node=other) for other in self.nodes())
            config = CONFIG.format(node=node, cluster=state.cluster) + members + more
            write_whole(node.config, config)
        fresh = [node for node in self.nodes() if state.stages[node.id] == "new"]
        for node in fresh:
            node.data.mkdir(mode=0o700, exist_ok=True)
        if fresh:
            sync_folder(self.places.folder)
            for node in fresh:
                state.stages[node.id] = "begun"
            self.save()

    def save(self) -> None:
        self.known.write(self.places.state)

    def start_flags(self, node: NodePlace) -> list[str]:
        """How to start a node; raises Problem where it must not start."""
        stage = self.known.stages[node.id]
        if stage == "joining":
            return ["--join"]
        if node.has_data():
            self.note_data(node)
            return []
        if stage == "begun" and node.data.is_dir():
            return ["--init"]
        raise Problem(
            f"the data of {node.id} is gone while the cluster has some, and {node.id} may have"
            f" voted before; `{self.places.command(f'rejoin {node.number}')}` brings it back as a"
            " learner"
        )

    def note_data(self, node: NodePlace) -> None:
        """A node that has data is never initialised again."""
        if self.known.stages[node.id] == "begun" and node.has_data():
            self._note_made(node)

    def note_joined(self, node: NodePlace) -> None:
        """A node that came back empty is a voter again."""
        if self.known.stages[node.id] == "joining":
            self._note_made(node)

    def _note_made(self, node: NodePlace) -> None:
        before = self.known.stages[node.id]
        self.known.stages[node.id] = "made"
        try:
            self.save()
        except OSError:
            # A full disk must not stop the supervisor; it comes back here with the next look.
            self.known.stages[node.id] = before

    def begin_rejoin(self, node: NodePlace) -> Path | None:
        """Make room for a node to come back empty; where its old data was put, if it had any."""
        aside = None
        if node.has_data():
            aside = free_name(node.data)
            node.data.rename(aside)
        self.known.stages[node.id] = "joining"
        self.save()
        node.data.mkdir(mode=0o700, exist_ok=True)
        sync_folder(self.places.folder)
        return aside

    def wipe_node(self, node: NodePlace) -> None:
        """Remove one node's data; that it had some stays known."""
        self.note_data(node)
        if node.data.is_dir():
            shutil.rmtree(node.data)

    def wipe(self) -> None:
        """Remove all that `up` ever made here, and nothing else; the state goes last."""
        self.known.wiping = True
        self.save()
        for node in self.nodes():
            for folder in (node.data, *self.places.folder.glob(f"{node.id}.aside-*")):
                if folder.is_dir():
                    shutil.rmtree(folder)
            for file in (node.config, node.log, node.log.with_name(node.log.name + ".1")):
                file.unlink(missing_ok=True)
        for file in (
            self.places.secret,
            self.places.log,
            self.places.log.with_name(self.places.log.name + ".1"),
            self.places.running,
            self.places.folder / "control.sock",
            self.places.state,
            self.places.lock,
        ):
            file.unlink(missing_ok=True)
        if not any(self.places.folder.iterdir()):
            self.places.folder.rmdir()


def free_name(folder: Path) -> Path:
    number = 1
    while (aside := folder.with_name(f"{folder.name}.aside-{number}")).exists():
        number += 1
    return aside


@contextmanager
def held(places: Places, *, make: bool = False) -> Iterator[DataFolder]:
    """Hold the folder's lock; raises Problem that says who holds it, or that nothing is there."""
    try:
        if make:
            places.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        elif not places.folder.is_dir():
            raise Problem(f"there is no cluster in {places.shown()}")
        lock = acquire(places)
    except OSError as error:
        raise cannot_use(places, error) from error
    try:
        yield DataFolder(places, lock)
    finally:
        os.close(lock)


def cannot_use(places: Places, error: OSError) -> Problem:
    return Problem(
        f"{places.shown()} cannot be used: {error.strerror}; give another folder with --data"
    )
