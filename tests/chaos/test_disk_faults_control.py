"""The control, and what a file of the operating system does by it."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from chaos.nemesis.faulty import FaultyDisk, FaultyEdges, FaultyFile
from chaos.nemesis.faulty_control import JOURNAL, OTHER, SNAPSHOTS, Control, place_of
from cluster.environment import ROOT


@pytest.fixture
def control(tmp_path: Path) -> Control:
    return Control(tmp_path / "control", create=True)


@pytest.fixture
def file(tmp_path: Path, control: Control) -> FaultyFile:
    made = FaultyDisk(control).open(str(tmp_path / "journal-1.log"), create=True)
    assert isinstance(made, FaultyFile)
    return made


def fails(number: int) -> object:
    return pytest.raises(OSError, match=rf"^\[Errno {number}\]")


def test_both_sides_see_the_same(tmp_path: Path, control: Control) -> None:
    other = Control(tmp_path / "control")
    control.fail_syncs(times=1)
    assert other.armed
    assert other.sync_error(JOURNAL) == errno.EIO
    assert control.hits == 1
    assert control.sync_error(JOURNAL) == 0
    control.clear()
    assert not other.armed
    assert other.hits == 0


def test_what_is_no_control_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"x")
    (tmp_path / "other").write_bytes(bytes(4096))
    for name in ("short", "other"):
        with pytest.raises(ValueError, match=name):
            Control(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        Control(tmp_path / "none")
    ended = subprocess.run(
        [sys.executable, "-m", "chaos.nemesis.faulty", "--control", "none", "--", "serve"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2
    assert "none" in ended.stderr


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/d/n1/journal/journal-00000001.log", JOURNAL),
        ("/d/n1/journal/journal-00000001.log.tmp", JOURNAL),
        ("/d/n1/journal", JOURNAL),
        ("/d/n1/snapshots/snapshot-1-1.snap", SNAPSHOTS),
        ("/d/n1/snapshots", SNAPSHOTS),
        ("/d/n1/lock", OTHER),
    ],
)
def test_files_are_told_by_their_names(path: str, place: int) -> None:
    assert place_of(path) == place


def test_syncs_fail_as_often_as_asked_and_the_bytes_are_written(
    file: FaultyFile, control: Control, tmp_path: Path
) -> None:
    file.write_durable(0, b"before")
    control.fail_syncs(times=2)
    with fails(errno.EIO):
        file.write_durable(6, b"after")
    with fails(errno.EIO):
        file.sync()
    file.sync()
    assert file.read(0, 100) == b"beforeafter"
    assert control.hits == 2


def test_only_what_is_asked_for_fails(tmp_path: Path, file: FaultyFile, control: Control) -> None:
    disk = FaultyDisk(control)
    (tmp_path / "snapshots").mkdir()
    control.fail_syncs(where=SNAPSHOTS)
    file.sync()
    with fails(errno.EIO):
        disk.sync_dir(str(tmp_path / "snapshots"))
    control.clear()
    disk.sync_dir(str(tmp_path / "snapshots"))


def test_a_slow_sync_takes_longer(file: FaultyFile, control: Control) -> None:
    control.slow_syncs(0.05)
    begun = time.monotonic()
    file.write_durable(0, b"x")
    assert time.monotonic() - begun >= 0.05


def test_a_stalled_sync_ends_when_the_fault_does(file: FaultyFile, control: Control) -> None:
    control.stall_syncs()
    thread = threading.Thread(target=file.sync)
    thread.start()
    while not control.hits:
        assert thread.is_alive()
    thread.join(0.05)
    assert thread.is_alive()
    control.clear()
    thread.join(10)
    assert not thread.is_alive()


def test_reads_fail_or_lie_by_one_bit(file: FaultyFile, control: Control) -> None:
    written = bytes(range(1, 200))
    file.write(written)
    control.fail_reads()
    with fails(errno.EIO):
        file.read(0, 10)
    control.clear()
    control.flip_reads(77, times=1)
    flipped = file.read(0, 199)
    differ = [a ^ b for a, b in zip(written, flipped, strict=True) if a != b]
    assert len(differ) == 1
    assert differ[0].bit_count() == 1
    assert file.read(0, 199) == written


def test_what_is_zero_is_not_flipped(file: FaultyFile, control: Control) -> None:
    file.truncate(100)
    control.flip_reads(3)
    assert file.read(0, 100) == bytes(100)
    assert control.hits == 0


def test_files_grow_as_far_as_there_is_room(file: FaultyFile, control: Control) -> None:
    file.allocate(100)
    control.limit_room(50)
    file.write(bytes(100))
    file.write(bytes(50))
    for grow in (lambda: file.write(b"x"), lambda: file.allocate(151)):
        with fails(errno.ENOSPC):
            grow()
    with fails(errno.ENOSPC):
        file.write_durable(150, b"x")
    assert file.size() == 150
    file.write_durable(0, b"in place")
    control.clear()
    file.allocate(300)
    assert file.size() == 300


# Clocks.


def test_a_clock_runs_fast_and_never_falls(control: Control) -> None:
    edges = FaultyEdges(control)
    assert abs(edges.monotonic() - time.monotonic()) < 0.5
    control.set_rate(100.0)
    first, true = edges.monotonic(), time.monotonic()
    while time.monotonic() - true < 0.02:
        pass
    assert edges.monotonic() - first >= 2.0
    control.set_rate(0.5)
    shown = [edges.monotonic() for _ in range(1_000)]
    assert shown == sorted(shown)
    passed = shown[-1] - shown[0]
    control.set_rate(1.0)
    assert edges.monotonic() >= shown[-1]
    assert passed < 1.0


def test_a_clock_jumps_once_for_each_time_it_is_told(control: Control) -> None:
    edges = FaultyEdges(control)
    before = edges.monotonic()
    control.jump(1_000.0)
    assert 1_000.0 <= edges.monotonic() - before < 1_060.0
    assert 1_000.0 <= edges.monotonic() - before < 1_060.0
    control.jump(500.0)
    assert 1_500.0 <= edges.monotonic() - before < 1_560.0
    assert FaultyEdges(control).monotonic() < before + 60.0  # another process starts rightly


WALL = """
import sys, time
right = time.time()
from pathlib import Path
from chaos.nemesis.faulty import bend_wall_clock
from chaos.nemesis.faulty_control import Control
control = Control(Path(sys.argv[1]), create=True)
bend_wall_clock(control)
control.set_wall(-86_400.0)
print(time.time() - right, time.time_ns() / 1e9 - right, time.mktime(time.localtime()) - right)
print(time.gmtime(0).tm_year, time.localtime(right)[:6] == time.localtime(int(right))[:6])
"""


def test_a_wall_clock_is_off_by_what_is_said(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WALL, str(tmp_path / "wall")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    off, plain = ended.stdout.splitlines()
    assert all(-86_402 < float(word) < -86_300 for word in off.split())
    assert plain == "1970 True"
