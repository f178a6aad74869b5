"""The simulated disk: what it forgets, and that it fails when told to."""

import errno
from collections import Counter
from random import Random

import pytest

from chaos.simulation.disk import Killed, SimDisk, kill_at
from chaos.simulation.inodes import SECTOR


def disk_with(data: bytes, *, synced: bool) -> SimDisk:
    disk = SimDisk()
    file = disk.open("file", create=True)
    file.write(data)
    if synced:
        file.sync()
    disk.sync_dir("")
    return disk


def test_a_kill_keeps_what_was_written() -> None:
    disk = disk_with(b"abc", synced=False)
    disk.crash()
    assert disk.content("file") == b"abc"
    disk.crash(Random(0), power=True)
    assert disk.content("file") in (b"", b"abc")


def test_a_power_cut_keeps_what_was_synced() -> None:
    for seed in range(20):
        disk = disk_with(b"abc", synced=True)
        disk.open("file").write(b"xyz")
        disk.crash(Random(seed), power=True)
        assert disk.content("file") in (b"abc", b"xyz")


def test_unsynced_writes_stay_as_a_prefix_or_here_and_there() -> None:
    seen = Counter()
    for seed in range(400):
        disk = disk_with(b"0000", synced=True)
        file = disk.open("file")
        for at in range(4):
            file.seek(at)
            file.write(b"1")
        disk.crash(Random(seed), power=True)
        seen[disk.content("file")] += 1
    prefixes = {b"0000", b"1000", b"1100", b"1110", b"1111"}
    assert len(seen) == 16
    assert 200 < sum(seen[prefix] for prefix in prefixes) < 380


def test_a_write_is_torn_at_sectors() -> None:
    seen = set()
    for seed in range(200):
        disk = disk_with(bytes(3 * SECTOR), synced=True)
        file = disk.open("file")
        file.seek(100)
        file.write(b"x" * (2 * SECTOR))
        disk.crash(Random(seed), power=True)
        data = disk.content("file")
        pieces = (data[100:SECTOR], data[SECTOR : 2 * SECTOR], data[2 * SECTOR : 2 * SECTOR + 100])
        for piece in pieces:
            assert len(set(piece)) == 1
        seen.add(tuple(piece[0] for piece in pieces))
    assert len(seen) == 8


def test_names_need_a_sync_of_the_folder() -> None:
    seen = set()
    for seed in range(60):
        disk = SimDisk()
        disk.make_dir("a")
        disk.sync_dir("")
        disk.open("a/one", create=True).sync()
        disk.sync_dir("a")
        disk.rename("a/one", "a/two")
        disk.open("a/three", create=True)
        disk.remove("a/two")
        disk.crash(Random(seed), power=True)
        seen.add(tuple(disk.list("a")))
    assert seen == {("one",), ("two",), ("three", "two"), ("three",)}


def test_a_folder_that_was_not_synced_takes_its_files_with_it() -> None:
    disk = SimDisk()
    disk.make_dir("a/b")
    disk.open("a/b/file", create=True).sync()
    disk.sync_dir("a/b")
    disk.sync_dir("a")
    lost = {True: 0, False: 0}
    for seed in range(30):
        twin = SimDisk()
        twin.make_dir("a/b")
        twin.open("a/b/file", create=True).sync()
        twin.sync_dir("a/b")
        twin.sync_dir("a")
        twin.crash(Random(seed), power=True)
        lost[not twin.exists("a/b/file")] += 1
    assert all(lost.values())
    disk.sync_dir("")
    disk.crash(Random(1), power=True)
    assert disk.exists("a/b/file")


def test_handles_and_locks_die_with_the_process() -> None:
    disk = disk_with(b"abc", synced=True)
    file = disk.open("file")
    assert disk.lock("lock")
    assert not disk.lock("lock")
    disk.crash()
    with pytest.raises(Killed):
        file.write(b"x")
    with pytest.raises(Killed):
        file.sync()
    assert disk.lock("lock")


def test_a_killed_process_does_nothing_more() -> None:
    disk = disk_with(b"", synced=True)
    file = disk.open("file")
    disk.hook = kill_at(disk.operations + 2, "middle")
    file.write(b"first")
    with pytest.raises(Killed):
        file.write(b"second")
    for more in (file.sync, lambda: disk.remove("file"), lambda: disk.sync_dir("")):
        with pytest.raises(Killed):
            more()
    disk.crash()
    assert disk.content("file") == b"firstsec"


def test_a_failed_sync_lost_the_data_though_the_next_one_succeeds() -> None:
    disk = disk_with(b"abc", synced=True)
    file = disk.open("file")
    file.write(b"xyz")
    disk.fail_next_sync = True
    with pytest.raises(OSError) as error:
        file.sync()
    assert error.value.errno == errno.EIO
    file.sync()
    assert disk.content("file") == b"xyz"
    disk.crash(Random(0), power=True)
    assert disk.content("file") == b"abc"


def test_a_full_disk() -> None:
    disk = disk_with(b"abc", synced=True)
    disk.capacity = 10
    file = disk.open("file")
    for attempt in (lambda: file.allocate(11), lambda: file.write(bytes(11))):
        with pytest.raises(OSError) as error:
            attempt()
        assert error.value.errno == errno.ENOSPC
    file.allocate(10)
    file.write(bytes(10))
    other = disk.open("other", create=True)
    with pytest.raises(OSError, match="space"):
        other.write(b"x")
    disk.remove("file")
    other.write(b"x")


def test_it_reads_as_a_file_system_does() -> None:
    disk = SimDisk()
    with pytest.raises(FileNotFoundError):
        disk.open("nothing")
    with pytest.raises(FileNotFoundError):
        disk.open("no/folder", create=True)
    with pytest.raises(FileNotFoundError):
        disk.list("no")
    with pytest.raises(FileNotFoundError):
        disk.remove("nothing")
    file = disk.open("file", create=True)
    with pytest.raises(FileExistsError):
        disk.open("file", create=True)
    file.allocate(20)
    assert (file.size(), file.read(0, 100)) == (20, bytes(20))
    file.seek(18)
    file.write(b"abcd")
    assert (file.size(), file.read(17, 4)) == (22, b"\0abc")
    assert file.read(30, 4) == b""
    file.truncate(19)
    assert file.read(17, 9) == b"\0a"
    file.allocate(5)
    assert file.size() == 19
    disk.flip("file", 18, 1)
    assert disk.content("file")[18:] == b"c"


def test_reads_that_fail() -> None:
    disk = disk_with(b"abc", synced=True)
    file = disk.open("file")
    disk.failing_reads = 2
    for _ in range(2):
        with pytest.raises(OSError) as error:
            file.read(0, 1)
        assert error.value.errno == errno.EIO
    assert file.read(0, 3) == b"abc"


def test_who_watches_is_told_what_was_done_also_in_the_next_life() -> None:
    disk = SimDisk()
    seen = []
    disk.watch = lambda *what: seen.append(what)
    file = disk.open("file", create=True)
    file.write_durable(0, b"abc")
    disk.capacity = 3
    with pytest.raises(OSError, match="space"):
        file.write(b"x")
    disk.crash(Random(0), power=True)
    disk.make_dir("a")
    assert seen == [
        ("create", "file", 0),
        ("write", "file", 3),
        ("sync", "file", 0),
        ("make_dir", "a", 0),
    ]
