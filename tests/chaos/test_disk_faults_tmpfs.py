"""A small tmpfs that is full: a real node on it stops acknowledging, and recovers with room."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.nemesis.disks.helper import Helper
from chaos.nemesis.disks.small import FullTmpfs, fill
from chaos.nemesis.fault import CannotInject
from chaos.nemesis.fuse import mounting
from cluster.environment import ROOT
from tests.chaos.real_site import judged, real_site, status
from tests.cluster.harness import wait_for


@pytest.fixture(autouse=True)
def _can_mount(tmp_path: Path) -> None:
    if (reason := FullTmpfs.missing()) is not None:
        pytest.skip(reason)
    try:
        mounting.mount(tmp_path, "tmpfs", "size=1m")
    except OSError as error:
        pytest.skip(f"no tmpfs can be mounted here: {error}")
    mounting.unmount(tmp_path)


def test_a_node_on_a_full_tmpfs_recovers_with_room(tmp_path: Path) -> None:
    with real_site(tmp_path, FullTmpfs) as site:
        data = site.nodes.launch["n3"].data
        assert data is not None
        assert any((data / "journal").iterdir())
        fault = FullTmpfs(site, 0.5)
        with judged(site, pad=2_000) as load:
            fault.start()
            site.wait(lambda: status(site, "n3").get("full") is True, "it says that it is full")
            load.more()
            assert site.nodes.running("n3")
            fault.stop()
            fault.stop()
            site.wait(lambda: status(site, "n3").get("full") is False, "it has room again")
    assert tmp_path / "tmpfs" not in mounting.mounts()
    assert any((tmp_path / "data-of-tmpfs" / "n3" / "journal").iterdir())


def test_a_file_takes_all_the_room(tmp_path: Path) -> None:
    helper = Helper("chaos.nemesis.disks.small", tmp_path / "disk", str(1 << 20))
    try:
        assert fill(tmp_path / "disk" / "ballast") == 1 << 20
        with pytest.raises(OSError, match="No space left"):
            (tmp_path / "disk" / "more").write_bytes(b"x")
    finally:
        helper.close()
    assert tmp_path / "disk" not in mounting.mounts()


def test_what_cannot_be_attached_is_said(tmp_path: Path) -> None:
    with pytest.raises(CannotInject, match=r"could not be attached: tmpfs: .*Invalid argument"):
        Helper("chaos.nemesis.disks.small", tmp_path / "disk", "1,nosuchoption=1")


HOLDER = """
import sys
from pathlib import Path
from chaos.nemesis.disks.helper import Helper
helper = Helper("chaos.nemesis.disks.small", Path(sys.argv[1]), str(1 << 20))
print("attached", helper._process.pid, flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def runner(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that has it attached, and the process id of its helper."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        helper = int(process.stdout.readline().split()[1])
        assert folder in mounting.mounts()
        yield process, helper
    finally:
        process.kill()
        process.communicate()
        mounting.unmount(folder)


def test_it_is_detached_when_the_runner_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    with runner(folder) as (process, _):
        process.kill()
        wait_for(lambda: folder not in mounting.mounts(), "it is detached")


def test_what_a_killed_helper_left_is_detached_at_the_next_start(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    with runner(folder) as (_, helper):
        assert folder not in mounting.sweep()  # whoever answers for it lives
        os.kill(helper, signal.SIGKILL)
        wait_for(lambda: folder in mounting.sweep(), "the helper is gone, and what it left too")
        assert folder not in mounting.mounts()
