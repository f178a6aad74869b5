"""The journal's face: what the library and the driver see."""

import time

import pytest
from pysyncobj.journal import Journal as LibraryJournal

from raftcoord.consensus import records
from raftcoord.consensus.journal import Journal
from raftcoord.consensus.records import Kind, SnapshotMarker
from tests.consensus.journal_world import FOLDER, NothingKept, World


def made(*steps: tuple, segment_bytes: int = 4096) -> World:
    world = World(segment_bytes)
    world.create()
    world.run(steps)
    return world


def test_it_is_a_list_of_entries() -> None:
    journal = made(("add", 5)).journal
    assert isinstance(journal, LibraryJournal)
    assert len(journal) == 6
    assert journal[0] == (b"\x01", 0, 0)
    assert journal[-1][1] == 5
    assert [e[1] for e in journal[2:4]] == [2, 3]
    assert [e[1] for e in journal[4:]] == [4, 5]
    journal.deleteEntriesFrom(4)
    assert [e[1] for e in journal[:]] == [0, 1, 2, 3]
    journal.deleteEntriesFrom(4)
    assert len(journal) == 4
    journal.onOneSecondTimer()


def test_an_index_that_does_not_follow_is_refused() -> None:
    journal = made(("add", 5)).journal
    for index in (5, 7):
        with pytest.raises(AssertionError):
            journal.add(b"", index, 0)


def test_a_new_journal_is_durable() -> None:
    world = made()
    assert (world.journal.position, world.journal.synced) == (1, 1)
    assert not world.journal.dirty
    world.crash(NothingKept())
    journal = world.open()
    assert (journal.cluster, journal.node, journal.incarnation) == ("crashes", "n1", 1)
    assert journal.boot == 2
    assert journal.synced_index == 0


def test_its_first_entries_and_commit_index() -> None:
    world = World()
    base = [(b"\x01", 41, 3), (b"\x02" + bytes(5000), 42, 3), (b"\x00", 43, 4)]
    journal = Journal.create(
        world.edges,
        "elsewhere/deep/journal",
        cluster="c",
        node="n",
        incarnation=2**63,
        base=base,
        commit=42,
        segment_bytes=1024,
    )
    assert journal[:] == base
    assert (journal.getRaftCommitIndex(), journal.synced_index) == (42, 43)
    assert journal.incarnation == 2**63
    journal._destroy()


def test_the_boot_count_rises_with_every_open() -> None:
    world = made()
    for boot in range(2, 6):
        world.crash(NothingKept())
        assert world.open().boot == boot


def test_what_wants_a_sync() -> None:
    journal = made().journal
    assert journal.take() is None
    journal.add(b"x", 1, 0)
    position = journal.position
    assert journal.dirty
    journal.take()()
    assert not journal.dirty
    assert journal.synced < position, "until the driver was told"
    journal.add(b"y", 2, 0)
    assert journal.dirty
    assert journal.take() is None, "one job at a time"
    journal.taken(None)
    assert journal.synced == position
    assert journal.synced_index == 1
    journal.take()()
    journal.taken(None)
    assert journal.synced_index == 2


def test_a_commit_index_travels_with_the_next_batch() -> None:
    world = made(("add", 3), ("sync",))
    journal, position = world.journal, world.journal.position
    journal.setRaftCommitIndex(2)
    assert not journal.dirty
    assert journal.position == position
    assert journal.getRaftCommitIndex() == 2
    world.crash(NothingKept())
    assert world.open().getRaftCommitIndex() == 0
    world.journal.setRaftCommitIndex(2)
    world.journal.add(b"x", 4, 0)
    world.sync()
    world.crash(NothingKept())
    assert world.open().getRaftCommitIndex() == 2


def test_the_same_term_and_vote_again_write_nothing() -> None:
    journal = made(("vote", "n2"), ("sync",)).journal
    position = journal.position
    journal.setCurrentTerm(1, "n2")
    assert journal.position == position
    journal.setRaftCommitIndex(journal.getRaftCommitIndex())
    assert journal.take() is None


def test_a_vote_is_not_changed_and_a_term_does_not_fall() -> None:
    journal = made(("vote", None), ("vote", "n2")).journal
    for term, vote in ((2, "n3"), (2, None), (1, "n2")):
        with pytest.raises(AssertionError):
            journal.setCurrentTerm(term, vote)
    journal.setCurrentTerm(3, None)
    journal.setCurrentTerm(3, "n3")


def test_the_synced_index_counts_records_not_numbers() -> None:
    """Raft paper, §5.3: an entry that replaced another under its index is a different one."""
    journal = made(("add", 5)).journal
    job = journal.take()
    journal.deleteEntriesFrom(4)
    journal.add(b"other", 4, 1)
    journal.add(b"other", 5, 1)
    job()
    journal.taken(None)
    assert journal.synced_index == 3
    journal.deleteEntriesFrom(3)
    assert journal.synced_index == 2
    journal.add(b"third", 3, 2)
    assert journal.synced_index == 2
    journal.take()()
    journal.taken(None)
    assert journal.synced_index == 3


def test_an_install_starts_the_log_over() -> None:
    world = made(("add", 5), ("commit", 2), ("sync",))
    journal = world.journal
    journal.mark_snapshot(SnapshotMarker(9, 4, "s", 10, 20))
    journal.reset(9, 4, False)
    assert [e[1:] for e in journal[:]] == [(9, 4)]
    assert journal[0][0][:1] == b"\x01"
    assert journal.getRaftCommitIndex() == 9
    assert journal.synced_index == 0, "nothing of the new log is durable"
    journal.add(b"x", 10, 4)
    journal.take()()
    journal.taken(None)
    assert journal.synced_index == 10


def test_an_install_keeps_what_matches_behind_it() -> None:
    world = made(("add", 5), ("commit", 4), ("sync",))
    journal = world.journal
    kept = journal[3:]
    journal.mark_snapshot(SnapshotMarker(3, 0, "s", 10, 20))
    journal.reset(3, 0, True)
    assert journal[:] == kept
    assert journal.synced_index == 5
    journal.mark_snapshot(SnapshotMarker(4, 7, "s", 10, 20))
    journal.reset(4, 7, True)
    assert [e[1:] for e in journal[:]] == [(4, 7)], "another entry stands there"


def test_an_install_that_was_cut_short_is_finished() -> None:
    world = made(("add", 5), ("commit", 2), ("sync",))
    world.journal.mark_snapshot(SnapshotMarker(9, 4, "s", 10, 20))
    world.journal.take()()
    world.crash()
    journal = world.open()
    assert [e[1:] for e in journal[:]] == [(9, 4)]
    assert journal.getRaftCommitIndex() == 9


def test_what_is_in_a_snapshot_is_committed() -> None:
    world = made(("add", 5), ("commit", 3), ("sync",))
    world.journal.mark_snapshot(SnapshotMarker(4, 0, "s", 10, 20))
    world.journal.take()()
    world.crash()
    journal = world.open()
    assert [e[1] for e in journal[:]] == [0, 1, 2, 3, 4, 5]
    assert journal.getRaftCommitIndex() == 4


def test_markers_stand_around_what_must_not_be_lost() -> None:
    world = made(("sync",))
    kinds = []
    offset = world.journal._offset
    world.run([("add", 2), ("sync",), ("vote",), ("sync",), ("add", 1), ("sync",)])
    data = world.disk.content(f"{FOLDER}/journal-00000001.log")
    start = records.seed("crashes", "n1", 1)
    while (record := records.decode(data, offset, start)) is not None:
        kinds.append(Kind(record[0]).name)
        offset += records.OVERHEAD + len(record[1])
    assert kinds == [
        *("SYNCED", "ENTRY", "ENTRY"),
        *("SYNCED", "VOTE", "SYNCED"),
        *("SYNCED", "ENTRY"),
    ]


def test_a_record_beyond_four_gib() -> None:
    """Offsets and indices are 64 bits wide."""
    start = records.seed("c", "n", 2**40)
    near, far = 100, 100 + 2**32
    payload = records.entry(b"x", 2**50, 2**51)
    assert records.encode(Kind.ENTRY, payload, near, start) != records.encode(
        Kind.ENTRY, payload, far, start
    )
    journal = made().journal
    journal._offset, journal._limit = far, 2**34
    journal.add(b"x", 1, 0)
    journal._append(Kind.COMMIT, records.number(2**40))
    assert journal._batch.offset == far
    chunks = b"".join(journal._chunks)
    assert len(chunks) == journal._offset - far


def test_large_numbers_survive() -> None:
    world = World()
    index, term = 2**53, 2**60
    world.model.entries = [(b"\x01", index, term)]
    world.model.commit = 0
    world.history = [world.model.copy()]
    world.create()
    world.journal.add(b"x", index + 1, term)
    world.journal.setCurrentTerm(2**62, "n")
    world.journal.mark_snapshot(SnapshotMarker(index, term, "s", 2**45, 2**32 - 1))
    world.sync()
    world.crash(NothingKept())
    journal = world.open()
    assert journal[-1] == (b"x", index + 1, term)
    assert journal.getCurrentTerm() == 2**62
    assert journal.snapshot == SnapshotMarker(index, term, "s", 2**45, 2**32 - 1)


def test_adding_is_fast() -> None:
    journal = made(segment_bytes=16 << 20).journal
    command, count = bytes(120), 20_000
    best = 1.0
    index = 0
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(count):
            index += 1
            journal.add(command, index, 1)
        best = min(best, (time.perf_counter() - began) / count)
        journal.take()()
        journal.taken(None)
    assert best < 6e-6, f"{best * 1e6:.1f} µs an entry; 1.1 when this was written"
