"""Operations of a disk that fail once: the process ends itself, or does without the file."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from chaos.simulation.disk import SimDisk
from tests.chaos.fault_world import Scene


def test_a_write_fails_half_done_and_once() -> None:
    disk = SimDisk()
    file = disk.open("file", create=True)
    disk.fail_next = "write"
    with pytest.raises(OSError, match="Input/output error") as failed:
        file.write(b"abcdef")
    assert failed.value.errno == errno.EIO
    assert disk.content("file") == b"abc"
    file.write(b"abcdef")
    assert disk.content("file") == b"abcdef"


@pytest.mark.parametrize("operation", ["create", "rename", "remove", "sync_dir"])
def test_a_folder_is_as_it_was_where_its_change_fails(operation: str) -> None:
    disk = SimDisk()
    disk.open("file", create=True).close()
    disk.fail_next = operation
    changes: dict[str, Callable[[], object]] = {
        "create": lambda: disk.open("other", create=True),
        "rename": lambda: disk.rename("file", "other"),
        "remove": lambda: disk.remove("file"),
        "sync_dir": lambda: disk.sync_dir("."),
    }
    change = changes[operation]
    with pytest.raises(OSError, match="Input/output error"):
        change()
    assert disk.list(".") == ["file"]
    change()
    assert disk.fail_next is None


@pytest.mark.parametrize("fault", ["failed_write", "failed_folder"])
def test_a_process_whose_disk_failed_ends_itself_and_comes_back(fault: str) -> None:
    stopped = set()
    scene = Scene(load=60.0)
    for seed in range(6):
        name = scene.do(fault, seed).split(",")[0]
        before = len(scene.seen.why)
        scene.run(4.5)
        why = scene.seen.why[before:]
        assert all("Input/output error" in text for text in why)
        stopped |= set(why)
        assert name in scene.world.alive()
        assert scene.world.hosts[name].disk.fail_next is None
    assert stopped
    scene.settle()


def test_the_leaders_disk_is_full_and_another_leads() -> None:
    scene = Scene(load=80.0)
    leader = scene.do("full_disk_of_leader").split()[0]
    assert leader == scene.world.leader()
    scene.run(4.0)
    assert scene.world.leader() != leader
    scene.settle()
    assert scene.world.members[leader].disk.capacity is None
