"""The file system as the kernel shows it: what a node does to files, and what can go wrong."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.nemesis.disks.helper import Helper
from chaos.nemesis.faulty_control import JOURNAL, Control
from chaos.nemesis.fuse import mounting
from cluster.environment import ROOT
from raftcoord.consensus.edges import RealDisk, RealFile
from tests.cluster.harness import wait_for

pytestmark = pytest.mark.skipif(
    mounting.missing() is not None, reason=f"no FUSE here: {mounting.missing()}"
)


class Mounted:
    """A file system with one disk, `n1`."""

    def __init__(self, folder: Path) -> None:
        (folder / "controls").mkdir(parents=True)
        self.control = Control(folder / "controls" / "n1", create=True)
        controls = str(folder / "controls")
        self.helper = Helper("chaos.nemesis.fuse", folder / "fuse", "--controls", controls)
        self.root = folder / "fuse"
        self.disk = self.root / "n1"
        self.disk.mkdir()

    def cut(self, seed: int = 1) -> int:
        """A power cut; how much was lost."""
        return int(self.helper.ask(f"cut n1 {seed}").split()[1])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    made = Mounted(tmp_path_factory.mktemp("fuse"))
    yield made
    made.helper.close()
    assert made.root not in mounting.mounts()


@pytest.fixture
def mounted(shared: Mounted) -> Iterator[Mounted]:
    shared.control.clear()
    yield shared
    shared.control.clear()
    subprocess.run(["find", str(shared.disk), "-mindepth", "1", "-delete"], check=True)


@pytest.fixture
def file(mounted: Mounted) -> Iterator[RealFile]:
    """A file of the product's own edges, durable with its name."""
    disk = RealDisk()
    made = disk.open(str(mounted.disk / "journal-1.log"), create=True)
    made.allocate(1 << 20)
    made.sync()
    disk.sync_dir(str(mounted.disk))
    yield made
    made.close()


def fails(number: int) -> object:
    return pytest.raises(OSError, match=rf"^\[Errno {number}\]")


def test_files_are_written_and_read(mounted: Mounted, file: RealFile) -> None:
    big = os.urandom(900_000)
    file.write(b"front")
    file.write_durable(5, big)
    assert file.read(0, 10) == b"front" + big[:5]
    assert file.read(5, 2_000_000) == big + bytes((1 << 20) - 5 - len(big))
    file.truncate(100)
    assert file.size() == 100
    file.seek(200)
    file.write(b"behind a hole")
    assert file.read(100, 113) == bytes(100) + b"behind a hole"
    with fails(errno.EEXIST):
        RealDisk().open(str(mounted.disk / "journal-1.log"), create=True)
    (mounted.disk / "journal-1.log").write_bytes(b"new")  # O_TRUNC
    assert file.size() == 3


def test_names_and_folders(mounted: Mounted) -> None:
    disk, folder = RealDisk(), mounted.disk / "a" / "b"
    disk.make_dir(str(folder))
    for number in range(300):
        (folder / f"file-{number:03d}-{'x' * 60}").touch()
    assert len(disk.list(str(folder))) == 300
    first = folder / disk.list(str(folder))[0]
    disk.rename(str(first), str(mounted.disk / "moved"))
    assert not disk.exists(str(first))
    disk.rename(str(folder / disk.list(str(folder))[0]), str(mounted.disk / "moved"))
    assert len(disk.list(str(folder))) == 298
    with fails(errno.ENOTEMPTY):
        folder.rmdir()
    with fails(errno.ENOENT):
        disk.remove(str(folder / "none"))
    mode = (mounted.disk / "moved").stat()
    assert mode.st_uid == os.getuid()
    (mounted.disk / "moved").chmod(0o640)
    assert (mounted.disk / "moved").stat().st_mode & 0o777 == 0o640


def test_locks_hold_between_processes(mounted: Mounted) -> None:
    path = str(mounted.disk / "lock")
    assert RealDisk().lock(path)
    other = f"from raftcoord.consensus.edges import RealDisk; print(RealDisk().lock({path!r}))"
    shown = subprocess.run(
        [sys.executable, "-c", other], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert shown.stdout == "False\n"


def test_a_power_cut_leaves_what_was_synced(mounted: Mounted, file: RealFile) -> None:
    file.write_durable(0, b"durable")
    file.seek(4096)
    file.write(b"x" * 4096 * 100)
    assert mounted.cut() > 10
    with fails(errno.EIO):
        file.read(0, 7)  # the machine that had it open is no more
    again = RealDisk().open(str(mounted.disk / "journal-1.log"))
    assert again.read(0, 7) == b"durable"
    left = [again.read(4096 * page, 1) for page in range(1, 101)]
    assert b"\0" in left
    assert again.size() == 1 << 20
    again.close()


def test_a_power_cut_takes_names_that_were_not_synced(mounted: Mounted, file: RealFile) -> None:
    disk = RealDisk()
    left = set()
    for seed in range(30):
        (mounted.disk / "fresh").touch()
        mounted.cut(seed)
        left.add(disk.exists(str(mounted.disk / "fresh")))
        (mounted.disk / "fresh").unlink(missing_ok=True)
        disk.sync_dir(str(mounted.disk))
    assert left == {True, False}
    (mounted.disk / "fresh").touch()
    disk.sync_dir(str(mounted.disk))
    for seed in range(10):
        mounted.cut(seed)
        assert disk.exists(str(mounted.disk / "fresh"))


def test_syncs_fail_and_lose_what_they_were_for(mounted: Mounted, file: RealFile) -> None:
    mounted.control.fail_syncs(times=3)
    with fails(errno.EIO):
        file.write_durable(0, b"lost")
    with fails(errno.EIO):
        file.sync()
    with fails(errno.EIO):
        RealDisk().sync_dir(str(mounted.disk))
    file.sync()
    assert file.read(0, 4) == b"lost"
    mounted.cut()
    again = RealDisk().open(str(mounted.disk / "journal-1.log"))
    assert again.read(0, 4) == bytes(4)
    again.close()


def test_a_slow_sync_holds_up_nothing_else(mounted: Mounted, file: RealFile) -> None:
    mounted.control.slow_syncs(0.3, where=JOURNAL)
    begun = time.monotonic()
    code = "import os, sys; os.fsync(os.open(sys.argv[1], os.O_RDWR)); print('synced')"
    path = str(mounted.disk / "journal-1.log")
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE) as other:
        wait_for(lambda: mounted.control.hits, "a sync is held up")
        (mounted.disk / "other").write_bytes(b"at once")
        assert (mounted.disk / "other").read_bytes() == b"at once"
        assert other.poll() is None
        assert other.wait(20) == 0
    assert time.monotonic() - begun >= 0.3


def test_a_process_whose_sync_stalls_can_be_killed(mounted: Mounted, file: RealFile) -> None:
    mounted.control.stall_syncs()
    code = "import os, sys; os.fsync(os.open(sys.argv[1], os.O_RDWR))"
    path = str(mounted.disk / "journal-1.log")
    with subprocess.Popen([sys.executable, "-c", code, path]) as other:
        wait_for(lambda: mounted.control.hits, "a sync is held up")
        other.kill()
        assert other.wait(20) == -signal.SIGKILL
    assert mounted.control.armed


def test_reads_fail_or_lie(mounted: Mounted, file: RealFile) -> None:
    file.write_durable(0, b"U" * 64)
    mounted.control.fail_reads(where=JOURNAL)
    with fails(errno.EIO):
        file.read(0, 64)
    mounted.control.clear()
    mounted.control.flip_reads(9)
    assert file.read(0, 64) == b"U" + b"W" + b"U" * 62
    mounted.control.clear()
    assert file.read(0, 64) == b"U" * 64


def test_there_is_no_room_and_room_again(mounted: Mounted, file: RealFile) -> None:
    mounted.control.limit_room(8192)
    with fails(errno.ENOSPC):
        file.allocate((1 << 20) + 8193)
    assert os.statvfs(mounted.disk).f_bavail == 2
    file.write_durable(0, b"in place")
    file.allocate((1 << 20) + 8192)
    with fails(errno.ENOSPC):
        (mounted.disk / "more").write_bytes(b"x")
    mounted.control.clear()
    file.allocate(2 << 20)
    assert file.size() == 2 << 20


def test_durable_writes_are_quick(file: RealFile) -> None:
    begun = time.perf_counter()
    for number in range(500):
        file.write_durable(number * 600, b"x" * 600)
    assert 500 / (time.perf_counter() - begun) > 500


def test_it_is_detached_when_its_starter_is_gone(tmp_path: Path) -> None:
    mounted = Mounted(tmp_path)
    held = os.open(mounted.disk / "held", os.O_RDWR | os.O_CREAT)
    assert mounted.helper._process.stdin is not None
    mounted.helper._process.stdin.close()
    wait_for(lambda: mounted.root not in mounting.mounts(), "it is detached while in use")
    with contextlib.suppress(OSError):
        os.close(held)
    mounted.helper.close()


def test_a_process_that_died_leaves_nothing(tmp_path: Path) -> None:
    mounted = Mounted(tmp_path)
    mounted.helper._process.kill()
    mounted.helper._process.wait()
    with fails(errno.ENOTCONN):
        mounted.disk.stat()
    assert mounted.root in mounting.sweep()
    assert mounted.root not in mounting.mounts()
    mounted.helper.close()
