"""Room on the disk: files made ahead, a full disk met early, entries larger than a file."""

import errno

import pytest

from raftcoord.consensus import segments
from raftcoord.consensus.journal import Journal
from raftcoord.consensus.records import SnapshotMarker
from tests.consensus.journal_world import FOLDER, NothingKept, Stopped, World


def made(segment_bytes: int = 2048) -> World:
    world = World(segment_bytes)
    world.create()
    return world


def files(world: World) -> list[str]:
    return [name for name in world.disk.list(FOLDER) if segments.number_of(name)]


def test_one_file_is_always_ahead() -> None:
    world = made()
    assert len(files(world)) == 2
    world.run([("add", 5, 400), ("sync",)])
    assert len(files(world)) == 3
    assert world.journal.room > 2048


def test_a_full_disk_is_met_while_there_is_room() -> None:
    world = made()
    world.disk.capacity = world.disk.used()
    world.run([("add", 5, 400)])
    assert world.journal.full
    assert 0 < world.journal.room < 2048
    world.run([("vote",), ("sync",)])
    assert world.journal.synced_index == 5
    world.crash(NothingKept())
    world.open()
    world.check()


def test_it_goes_on_when_there_is_room_again() -> None:
    world = made()
    world.disk.capacity = world.disk.used()
    world.run([("add", 5, 400), ("sync",)])
    for _ in range(3):
        world.journal.retry_space()
        assert world.journal.full
    world.disk.capacity += 2048
    world.journal.retry_space()
    assert not world.journal.full
    assert world.journal.room > 2048
    world.disk.capacity = None
    world.run([("add", 20, 400), ("sync",)])
    world.crash(NothingKept())
    world.open()
    world.check()


def test_what_has_no_room_waits_in_memory() -> None:
    world = made()
    world.disk.capacity = world.disk.used()
    woken = []
    world.journal.wake = lambda: woken.append(True)
    world.run([("add", 20, 400)])
    journal = world.journal
    job = journal.take()
    job()
    journal.taken(None)
    assert journal.dirty
    assert journal.room == 0
    assert journal.synced < journal.position
    assert 0 < journal.synced_index < 20
    assert journal.take() is None, "no file to write to"
    promised = journal.synced_index
    world.disk.capacity = None
    journal.retry_space()
    assert woken
    world.sync()
    assert journal.synced_index == 20 > promised
    world.crash(NothingKept())
    world.open()
    world.check()


def test_nothing_is_written_to_a_file_before_it_is_ready() -> None:
    world = made()
    world.edges.hold = True
    world.run([("add", 14, 400)])
    journal = world.journal
    journal.take()()
    journal.taken(None)
    assert journal.synced_index < 14
    world.crash(NothingKept())
    world.open()
    assert world.journal[-1][1] < 14
    world.check()


def test_files_ahead_are_made_one_after_another() -> None:
    world = made()
    world.edges.hold = True
    world.run([("add", 30, 400)])
    assert len(world.edges.held) == 1
    world.edges.hold = False
    world.edges.let_go()
    world.sync()
    assert world.journal.synced_index == 30


def test_an_attempt_that_failed_leaves_nothing() -> None:
    world = made()
    world.disk.capacity = world.disk.used()
    world.run([("add", 5, 400)])
    assert len(files(world)) == 2


@pytest.mark.parametrize("size", [1990, 2048, 5000, 100_000])
def test_an_entry_larger_than_a_file(size: int) -> None:
    world = made()
    world.run([("add", 1), ("sync",), ("add", 1, size), ("add", 1), ("sync",), ("add", 1, size)])
    world.sync()
    world.crash(NothingKept())
    world.open()
    world.check()


def test_an_entry_larger_than_a_file_on_a_full_disk() -> None:
    world = made()
    world.disk.capacity = world.disk.used()
    world.run([("add", 1, 5000)])
    journal = world.journal
    assert journal.full
    world.disk.capacity = None
    journal.retry_space()
    world.sync()
    assert journal.synced_index == 1
    world.crash(NothingKept())
    world.open()
    world.check()


def test_a_disk_that_fails_otherwise_ends_the_node() -> None:
    world = made()
    world.disk.fail_next_sync = True  # of the next file ahead, as it is made
    with pytest.raises(Stopped, match="journal file"):
        world.run([("add", 5, 400)])


def test_a_failed_sync_is_fatal_and_not_repeated() -> None:
    world = made()
    world.run([("add", 2)])
    job = world.journal.take()
    world.disk.fail_next_sync = True
    with pytest.raises(OSError) as failed:
        job()
    assert failed.value.errno == errno.EIO
    with pytest.raises(OSError):
        world.journal.taken(failed.value)
    assert world.journal.take() is None, "what was written is unknown for ever"
    assert world.journal.synced_index == 0


def test_what_a_failed_sync_left_is_durable_once_it_was_read() -> None:
    """Rebello et al., ATC 2020: after a failed sync the system takes lost pages for written."""
    world = made()
    world.run([("add", 3), ("sync",), ("add", 2), ("vote",)])
    job = world.journal.take()
    world.disk.fail_next_sync = True
    with pytest.raises(OSError):
        job()
    world.crash()  # the process ended; the page cache did not
    world.open()
    read, term = world.journal[:], world.journal.getCurrentTerm()
    world.crash(NothingKept())
    world.open()
    assert world.journal[:] == read
    assert world.journal.getCurrentTerm() == term


def test_opening_on_a_full_disk_works_while_nothing_new_is_needed() -> None:
    world = made()
    world.run([("add", 5, 300), ("sync",)])
    world.crash(NothingKept())
    world.disk.capacity = world.disk.used() - 2048
    world.open()
    assert world.journal.full
    world.check()
    world.run([("add", 1, 20), ("sync",)])


def test_opening_on_a_full_disk_says_so_where_the_next_file_is_needed() -> None:
    world = made()
    while world.journal._limit - world.journal._offset > 60:
        world.run([("add", 1, 1), ("sync",)])
    world.crash(NothingKept())
    world.disk.capacity = world.disk.used() - 2048
    with pytest.raises(OSError, match="no room for the journal's next file") as caught:
        world.open()
    assert caught.value.errno == errno.ENOSPC
    world.disk.capacity = None
    world.open()


def test_forgetting_gives_the_room_back() -> None:
    world = made()
    world.run([("add", 60, 400), ("commit",), ("sync",), ("mark",), ("sync",)])
    before = world.disk.used()
    removed = world.journal.forget(58)
    assert len(removed) > 5
    assert world.disk.used() == before - 2048 * len(removed)
    assert world.journal[0][1] == 58
    world.crash(NothingKept())
    assert Journal.exists(world.edges, FOLDER)
    world.open()
    assert world.journal[0][1] <= 58


def test_only_what_a_durable_snapshot_covers_is_forgotten() -> None:
    world = made()
    world.run([("add", 9), ("commit",), ("sync",)])
    with pytest.raises(AssertionError):
        world.journal.forget(3)
    world.run([("mark",)])
    with pytest.raises(AssertionError):
        world.journal.forget(3)
    world.run([("sync",)])
    with pytest.raises(AssertionError):
        world.journal.forget(10)
    assert world.journal.forget(3) == []
    assert world.journal[0][1] == 3


def test_what_a_snapshot_of_the_leader_replaced_is_removed() -> None:
    world = made()
    world.run([("add", 30, 400), ("sync",), ("install", 90), ("sync",)])
    old = set(files(world))
    world.journal.forget(90)
    assert len(old - set(files(world))) == len(old) - 2  # the file in use and the one ahead stay
    world.crash(NothingKept())
    assert [e[1] for e in world.open()[:]] == [90]


def test_files_of_entries_that_were_cut_are_removed() -> None:
    world = made()
    world.run([("add", 30, 400), ("sync",), ("cut", 25), ("add", 4), ("commit",), ("sync",)])
    world.run([("mark",), ("sync",)])
    world.journal.forget(8)
    assert len(files(world)) == 2
    world.crash(NothingKept())
    assert [e[1] for e in world.open()[:]][-2:] == [8, 9]


def test_files_are_needed_until_the_next_one_is_durable() -> None:
    world = made()
    world.run([("add", 3), ("sync",)])
    world.journal.mark_snapshot(SnapshotMarker(90, 1, "s", 1, 1))
    world.sync()
    world.journal.add(bytes(2000), 4, 0)  # in the next file, not synced
    world.journal.reset(90, 1, False)
    assert world.journal.forget(90) == []
    world.crash(NothingKept())
    assert [e[1:] for e in world.open()[:]] == [(90, 1)]


def test_a_new_journal_is_durable_without_a_file_ahead() -> None:
    world = World(2048)
    world.disk.capacity = 2048
    world.create()
    assert world.journal.full
    world.crash(NothingKept())
    world.open()
    world.check()


def test_half_a_million_forgotten_entries_are_freed_bit_by_bit() -> None:
    world = made(1 << 20)
    world.run([("add", 10_000, 1), ("commit",), ("sync",), ("mark",), ("sync",)])
    world.journal.forget(10_000)
    assert len(world.journal) == 1
    sizes = []
    while world.journal._forgotten:
        sizes.append(len(world.journal._forgotten))
        world.journal.take()
    assert sizes == [10_000, 5_904, 1_808]
