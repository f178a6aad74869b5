"""What a power cut leaves of files and names: what was synced, and no more than was written."""

from __future__ import annotations

import stat
from random import Random

import pytest

from chaos.nemesis.fuse.tree import PAGE, File, Folder, Tree

FOLDER, PLAIN = stat.S_IFDIR | 0o700, stat.S_IFREG | 0o600


@pytest.fixture
def tree() -> Tree:
    return Tree(1 << 30)


@pytest.fixture
def disk(tree: Tree) -> Folder:
    made = tree.make(tree.root, b"n1", FOLDER)
    assert isinstance(made, Folder)
    return made


def new_file(tree: Tree, folder: Folder, name: bytes, size: int = 0) -> File:
    """A file of zeros that is durable, and its name."""
    made = tree.make(folder, name, PLAIN)
    assert isinstance(made, File)
    made.resize(size)
    made.sync()
    folder.sync()
    return made


def test_what_was_synced_stays_whatever_the_luck(tree: Tree, disk: Folder) -> None:
    file = new_file(tree, disk, b"a")
    file.write(10, b"synced")
    file.sync()
    for seed in range(50):
        tree.lose_power("n1", Random(seed))
        assert disk.names == {b"a": file}
        assert file.cached == bytes(10) + b"synced"


def test_of_what_was_not_synced_any_pages_may_be_left(tree: Tree, disk: Folder) -> None:
    file = new_file(tree, disk, b"a", 4 * PAGE)
    seen = set()
    for seed in range(300):
        file.write(0, b"x" * 4 * PAGE)
        lost = tree.lose_power("n1", Random(seed))
        left = tuple(file.cached[page * PAGE] for page in range(4))
        assert left.count(0) == lost
        seen.add(tuple(map(bool, left)))
        file.write(0, bytes(4 * PAGE))
        file.sync()
    assert len(seen) == 16  # every combination


def test_a_durable_write_makes_its_own_pages_durable_alone(tree: Tree, disk: Folder) -> None:
    file = new_file(tree, disk, b"a", 64 * PAGE)
    file.write(0, b"x" * 32 * PAGE)
    file.write(40 * PAGE + 5, b"durable")
    file.sync_range(40 * PAGE + 5, 7)
    assert tree.lose_power("n1", Random(1)) > 0
    assert file.cached[40 * PAGE + 5 : 40 * PAGE + 12] == b"durable"
    for seed in range(1, 5):
        file.write(0, b"x" * 32 * PAGE)
        tree.lose_power("n1", Random(seed))
    assert 0 in {file.cached[page * PAGE] for page in range(32)}


def test_a_length_is_durable_with_the_next_sync(tree: Tree, disk: Folder) -> None:
    file = new_file(tree, disk, b"a", 10)
    file.resize(5 * PAGE)
    tree.lose_power("n1", Random(1))
    assert file.size == 10
    file.resize(5 * PAGE)
    file.sync_range(0, 1)
    tree.lose_power("n1", Random(1))
    assert file.size == 5 * PAGE
    file.resize(3)
    file.sync()
    tree.lose_power("n1", Random(1))
    assert file.size == 3


def test_what_a_sync_failed_for_no_later_one_makes_durable(tree: Tree, disk: Folder) -> None:
    file = new_file(tree, disk, b"a", PAGE)
    file.write(0, b"lost")
    file.fail_sync()
    file.sync()
    assert file.cached[:4] == b"lost"  # as long as the machine runs
    tree.lose_power("n1", Random(1))
    assert file.cached[:4] == bytes(4)
    file.write(0, b"kept")
    file.fail_sync()
    file.write(0, b"kept")  # written again, it is dirty again
    file.sync()
    tree.lose_power("n1", Random(1))
    assert file.cached[:4] == b"kept"


def outcomes(tree: Tree, disk: Folder) -> set[frozenset[bytes]]:
    """The names that power cuts leave, by different luck; the tree is as before, after each."""
    found = set()
    before, durable = dict(disk.names), dict(disk.durable)
    for seed in range(40):
        disk.names, disk.durable = dict(before), dict(durable)
        tree.lose_power("n1", Random(seed))
        found.add(frozenset(disk.names))
    disk.names, disk.durable = before, durable
    return found


def test_names_are_durable_when_their_folder_was_synced(tree: Tree, disk: Folder) -> None:
    file = new_file(tree, disk, b"old")
    tree.rename(disk, b"old", disk, b"new")
    assert outcomes(tree, disk) == {frozenset({b"old"}), frozenset({b"new"})}
    file.sync()  # of the file: its name is no part of that
    assert len(outcomes(tree, disk)) == 2
    disk.sync()
    assert outcomes(tree, disk) == {frozenset({b"new"})}
    tree.remove(disk, b"new")
    assert outcomes(tree, disk) == {frozenset({b"new"}), frozenset()}
    disk.sync()
    assert outcomes(tree, disk) == {frozenset()}


def test_a_removed_file_comes_back_with_what_it_held(tree: Tree, disk: Folder) -> None:
    file = new_file(tree, disk, b"a")
    file.write(0, b"held")
    file.sync()
    tree.remove(disk, b"a")
    for seed in range(20):
        disk.names, disk.durable = {}, {b"a": file}
        tree.lose_power("n1", Random(seed))
        if disk.names:
            break
    assert disk.names[b"a"] is file
    assert file.cached == b"held"


def test_another_disk_keeps_its_power(tree: Tree, disk: Folder) -> None:
    other = tree.make(tree.root, b"n2", FOLDER)
    assert isinstance(other, Folder)
    made = tree.make(other, b"a", PLAIN)
    assert isinstance(made, File)
    made.write(0, b"not synced")
    for seed in range(20):
        tree.lose_power("n1", Random(seed))
    assert other.names == {b"a": made}
    assert made.cached == b"not synced"
    assert set(tree.root.names) == {b"n1", b"n2"}
    assert tree.lose_power("n3", Random(1)) == 0


def test_the_bytes_of_all_files_are_counted(tree: Tree, disk: Folder) -> None:
    new_file(tree, disk, b"a", 100)
    inner = tree.make(disk, b"journal", FOLDER)
    assert isinstance(inner, Folder)
    new_file(tree, inner, b"b", 50)
    assert tree.used() == 150
    with pytest.raises(FileExistsError):
        tree.make(inner, b"b", PLAIN)
    tree.remove(inner, b"b")
    assert tree.used() == 100
    for what in (lambda: tree.remove(inner, b"b"), lambda: tree.rename(inner, b"b", disk, b"c")):
        with pytest.raises(FileNotFoundError):
            what()
