"""A node that had data is never initialised again, whatever was killed or removed, and when."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from cluster.folder import DataFolder, held
from cluster.places import NodePlace, Places
from cluster.problem import Problem
from cluster.state import State
from tests.cluster.harness import LocalCluster


def stop(cluster: LocalCluster) -> None:
    cluster.screens[-1].process.send_signal(signal.SIGTERM)
    assert cluster.screens[-1].end() == 0


def test_a_node_whose_data_is_gone_stays_down_until_it_rejoins(cluster: LocalCluster) -> None:
    cluster.up()
    stop(cluster)
    shutil.rmtree(cluster.folder / "n2")
    screen = cluster.start()
    screen.shows("2 of 3 nodes are ready")
    assert f"`python3 -m cluster rejoin 2 --data {cluster.folder}` brings it back" in screen.text
    assert "may have voted before" in cluster.refused("start", "2")
    assert cluster.starts("n2") == ["--init"], "it was not even tried"

    assert "n2 is a voter again" in cluster.run("rejoin", "2").stdout
    assert cluster.starts("n2") == ["--init", "--join"]
    cluster.run("stop", "2")
    cluster.run("start", "2")
    assert cluster.starts("n2") == ["--init", "--join", ""]
    assert "there is nothing to rejoin" in cluster.refused("rejoin", "2")


def test_rejoin_sets_old_data_aside_and_removes_nothing(cluster: LocalCluster) -> None:
    cluster.up()
    cluster.run("stop", "3")
    (cluster.folder / "n3" / "journal" / "1").write_text("damaged")
    done = cluster.run("rejoin", "3")
    assert "its old data is now in n3.aside-1" in done.stdout
    assert (cluster.folder / "n3.aside-1" / "journal" / "1").read_text() == "damaged"


def test_a_wiped_node_is_not_initialised(cluster: LocalCluster) -> None:
    cluster.up()
    assert "n2 runs" in cluster.refused("wipe", "2", "--yes")
    cluster.run("stop", "2")
    assert "say --yes" in cluster.refused("wipe", "2")
    cluster.run("wipe", "2", "--yes")
    assert "rejoin 2" in cluster.refused("start", "2")


def test_wipe_removes_what_up_made_and_nothing_else(cluster: LocalCluster) -> None:
    cluster.up()
    stop(cluster)
    (cluster.folder / "notes.txt").write_text("mine")
    (cluster.folder / "started").unlink()
    (cluster.folder / "leader").unlink()
    assert "say --yes" in cluster.refused("wipe")
    cluster.run("wipe", "--yes")
    assert [entry.name for entry in cluster.folder.iterdir()] == ["notes.txt"]
    assert "nothing to wipe" in cluster.run("wipe", "--yes").stdout
    cluster.up()
    assert cluster.starts("n1") == ["--init"]


class Folder:
    """A data folder without processes: what would each node be started with?"""

    def __init__(self, folder: Path) -> None:
        self.places = Places(folder / "cluster")

    def start(self) -> dict[str, str]:
        with held(self.places, make=True) as folder:
            folder.prepare(folder.settle(None, None))
            return {node.id: self._flags(folder, node) for node in folder.nodes()}

    def _flags(self, folder: DataFolder, node: NodePlace) -> str:
        try:
            return " ".join(folder.start_flags(node))
        except Problem as problem:
            return "rejoin" if "rejoin" in str(problem) else str(problem)

    def write(self, node: str, name: str = "journal/1") -> None:
        file = self.places.folder / node / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("data")


def test_killed_before_a_node_wrote_its_first_byte_it_is_initialised_the_next_time(
    tmp_path: Path,
) -> None:
    folder = Folder(tmp_path)
    assert folder.start() == {"n1": "--init", "n2": "--init", "n3": "--init"}
    folder.write("n1")
    folder.write("n2", "lock")
    folder.write("n2", "journal/1.tmp")
    assert folder.start() == {"n1": "", "n2": "--init", "n3": "--init"}
    folder.write("n2")
    folder.write("n3")
    assert folder.start() == {"n1": "", "n2": "", "n3": ""}
    shutil.rmtree(folder.places.folder / "n3" / "journal")
    assert folder.start() == {"n1": "", "n2": "", "n3": "rejoin"}


@pytest.mark.parametrize("steps", range(1, 40))
def test_killed_between_any_two_steps_no_data_is_initialised_over(
    tmp_path: Path, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start is cut off after each of its steps on the disk in turn, then made again while the
    nodes have data or not; what a node wrote once is never followed by --init on an empty folder.
    """
    folder = Folder(tmp_path)
    cut = Cut(monkeypatch, steps)
    with cut:
        folder.start()
    if not cut.happened:
        return
    first = folder.start()
    assert set(first.values()) == {"--init"}, "nobody had data"
    for node in first:
        folder.write(node)
    assert set(folder.start().values()) == {""}
    shutil.rmtree(folder.places.folder / "n1")
    assert folder.start() == {"n1": "rejoin", "n2": "", "n3": ""}


class Cut:
    """Ends the process, as it were, at the n-th call that changes the disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
        self.monkeypatch = monkeypatch
        self.left = steps
        self.happened = False

    def __enter__(self) -> None:
        import os

        for name in ("replace", "fsync", "mkdir"):
            self.monkeypatch.setattr(os, name, self._counted(getattr(os, name)))

    def _counted(self, call):  # type: ignore[no-untyped-def]
        def counted(*arguments, **named):  # type: ignore[no-untyped-def]
            self.left -= 1
            if self.left == 0:
                self.happened = True
                raise Killed
            return call(*arguments, **named)

        return counted

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        self.monkeypatch.undo()
        return kind is Killed


class Killed(BaseException):
    pass


def test_when_all_data_is_gone_nothing_starts(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.start()
    for node in ("n1", "n2", "n3"):
        folder.write(node)
    folder.start()
    for node in ("n1", "n2", "n3"):
        shutil.rmtree(folder.places.folder / node)
    with pytest.raises(Problem, match="all of it is gone"):
        folder.start()


def test_data_without_its_state_is_not_taken_for_a_new_cluster(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.start()
    folder.write("n2")
    folder.places.state.unlink()
    with pytest.raises(Problem, match=r"holds data of n2 but no state\.json"):
        folder.start()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"stages": {"n1": "made"}}', "\x00"])
def test_a_damaged_state_is_one_sentence(tmp_path: Path, text: str) -> None:
    folder = Folder(tmp_path)
    folder.start()
    folder.places.state.write_text(text)
    with pytest.raises(Problem, match="is damaged or of another version"):
        folder.start()


def test_an_interrupted_wipe_must_be_finished(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.start()
    state = json.loads(folder.places.state.read_text())
    folder.places.state.write_text(json.dumps({**state, "wiping": True}))
    with pytest.raises(Problem, match="wipe --yes"):
        folder.start()
    with held(folder.places) as data:
        data.wipe()
    assert not folder.places.folder.exists()
    assert State.read(folder.places.state) is None
