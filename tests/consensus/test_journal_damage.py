"""What is refused, what is cut, and what the node is told about it."""

from collections.abc import Callable
from random import Random

import pytest

from chaos.simulation.disk import kill_at
from chaos.simulation.inodes import SECTOR
from raftcoord.consensus import records, segments
from raftcoord.consensus.journal import Journal
from raftcoord.consensus.records import Kind, SnapshotMarker
from raftcoord.errors import ConfigInvalid, DataDamaged, DataMissing, UnknownFormat
from tests.consensus.journal_world import CLUSTER, FOLDER, NODE, NothingKept, World, killed


def file(number: int) -> str:
    return f"{FOLDER}/{segments.name(number)}"


def made(*steps: tuple, segment_bytes: int = 4096) -> World:
    world = World(segment_bytes)
    world.create()
    world.run(steps)
    return world


def refused(world: World) -> DataDamaged:
    with pytest.raises(DataDamaged) as error:
        world.open()
    return error.value


def test_a_flipped_bit_before_the_last_marker_names_file_and_offset() -> None:
    world = made(("add", 1), ("sync",))
    offset = world.journal._offset + records.SYNCED_SIZE
    world.run([("add", 4, 50), ("sync",), ("add", 1), ("sync",)])
    world.crash()
    world.disk.flip(file(1), offset + 30, 3)
    error = refused(world)
    assert error.fields == {"file": file(1), "offset": offset}
    assert file(1) in error.detail
    assert str(offset) in error.detail


def test_a_flipped_bit_behind_the_last_marker_is_cut_and_told() -> None:
    world = made(("add", 3), ("commit",), ("sync",))
    offset = world.journal._offset + records.SYNCED_SIZE
    world.run([("add", 4, 50), ("sync",)])
    world.crash()
    world.disk.flip(file(1), offset + 50, 3)
    world.open()
    assert world.journal.tail_cut
    assert world.journal[-1][1] == 3
    assert world.journal.getRaftCommitIndex() == 3


def test_every_flipped_bit_of_an_unmarked_batch_is_told() -> None:
    world = made(("add", 3), ("sync",))
    offset = world.journal._offset
    world.run([("add", 3, 700), ("commit",), ("sync",)])
    end = world.journal._offset
    rng = Random(3)
    for at in rng.sample(range(offset, end), 300):
        twin = made(("add", 3), ("sync",), ("add", 3, 700), ("commit",), ("sync",))
        twin.crash()
        twin.disk.flip(file(1), at, rng.randrange(8))
        twin.open()
        assert twin.journal.tail_cut, f"byte {at}"
        assert twin.journal[-1][1] >= 3


def test_a_cut_is_remembered_until_it_healed() -> None:
    world = made(("add", 3), ("sync",))
    offset = world.journal._offset + records.SYNCED_SIZE
    world.run([("add", 2), ("sync",)])
    world.crash()
    world.disk.flip(file(1), offset + 20)
    world.open()
    for _ in range(3):
        world.crash(NothingKept())
        assert world.open().tail_cut
    world.journal.add(b"from the leader", world.journal[-1][1] + 1, 0)
    world.sync()
    world.journal.heal()
    assert not world.journal.tail_cut
    world.crash(NothingKept())
    assert world.open().tail_cut, "healing was not synced"
    world.journal.heal()
    world.sync()
    world.crash(NothingKept())
    assert not world.open().tail_cut
    assert world.journal[-1][0] == b"from the leader"


def test_a_cut_is_remembered_through_new_files() -> None:
    world = made(("add", 3), ("sync",))
    offset = world.journal._offset + records.SYNCED_SIZE
    world.run([("add", 2), ("sync",)])
    world.crash()
    world.disk.flip(file(1), offset + 20)
    world.open()
    for index in range(world.journal[-1][1] + 1, 40):
        world.journal.add(bytes(300), index, 0)
    world.sync()
    world.crash(NothingKept())
    assert world.open().tail_cut


def test_a_torn_batch_is_cut_without_a_word() -> None:
    left = set()
    for seed in range(40):
        world = made(("add", 3), ("sync",), ("add", 5, 400))
        world.disk.hook = kill_at(world.disk.operations + 2, "before")  # written, not synced
        assert killed(world.sync)
        world.crash(Random(seed))
        world.open()
        assert not world.journal.tail_cut
        assert world.journal[-1][1] >= 3
        left.add(world.journal[-1][1])
    assert len(left) > 2, "torn at several places"


def test_what_was_cut_never_comes_back() -> None:
    world = made(("add", 3), ("sync",), ("add", 4, 600), ("sync",))
    world.crash()
    # The second sector of the last batch never reached the disk.
    image = world.disk._inode(file(1)).cached
    image.put(2 * SECTOR, bytes(SECTOR))
    world.open()
    assert not world.journal.tail_cut
    assert world.journal[-1][1] == 4, "5 was torn, 6 and 7 are whole behind it"
    world.model.entries = world.journal[:]
    world.history, world.durable = [world.model.copy()], 0
    for _ in range(3):
        world.run([("vote",), ("add", 1), ("sync",)])
        world.crash(NothingKept())
        world.open()
        world.check()


def test_a_damaged_header_refuses() -> None:
    world = made(("add", 30, 300), ("sync",), ("add", 1), ("sync",))
    numbers = sorted(n for n in map(segments.number_of, world.disk.list(FOLDER)) if n)
    assert len(numbers) >= 4
    world.crash()
    for number in numbers[:-1]:
        world.disk.flip(file(number), 30)
        assert refused(world).fields == {"file": file(number), "offset": 0}
        world.disk.flip(file(number), 30)
    world.open()
    world.check()


def test_a_damaged_header_of_an_unmarked_file_is_cut_and_told() -> None:
    world = made(("add", 12, 300), ("sync",))
    number = world.journal._segment.number
    assert number == 2
    world.crash()
    world.disk.flip(file(number), 30)
    world.open()
    assert world.journal.tail_cut
    assert file(number) not in [f"{FOLDER}/{name}" for name in world.disk.list(FOLDER)]
    world.crash(NothingKept())
    assert world.open().tail_cut


@pytest.mark.parametrize("adds", [2, 12])
def test_damage_is_told_though_the_open_was_killed(adds: int) -> None:
    """Adds enough for one batch in the first file, or for one that begins the second."""

    def damage() -> World:
        world = made(("add", 1), ("sync",), ("add", adds, 300), ("sync",))
        world.crash()
        number = world.journal._segment.number
        world.disk.flip(file(number), 30 if number == 2 else world.journal._offset - 5)
        return world

    twin = damage()
    first = twin.disk.operations + 1
    assert twin.open().tail_cut
    for number in range(first, twin.disk.operations + 1):
        for moment in ("before", "middle", "after"):
            for cut in (None, NothingKept(), Random(1), Random(2)):
                world = damage()
                world.disk.hook = kill_at(number, moment)
                killed(lambda w=world: w.open() and None)
                world.crash(cut)
                assert world.open().tail_cut


def marked(world: World) -> None:
    world.journal.mark_snapshot(SnapshotMarker(2, 0, "s", 1, 1))


def reset(world: World) -> None:
    marked(world)
    world.sync()
    world.journal.reset(2, 0, True)


def healed(world: World) -> None:
    world.journal._contents.tail_cut = True
    world.journal.heal()


def booted(world: World) -> None:
    world.crash()
    world.open()


@pytest.mark.parametrize("what", [marked, reset, healed, booted])
def test_what_is_guarded_refuses_even_at_the_end(what: Callable[[World], None]) -> None:
    world = made(("add", 3), ("sync",))
    what(world)
    world.sync()
    offset = world.journal._offset - records.SYNCED_SIZE - 4
    world.crash()
    world.disk.flip(file(1), offset)
    assert refused(world).fields["offset"] <= offset


def test_a_flipped_bit_in_an_older_file_refuses() -> None:
    steps = [("add", 3, 50), ("vote",), ("sync",), ("add", 1, 4000), ("sync",)]
    world = made(*steps)
    assert world.journal._segment.number == 2
    data = world.disk.content(file(1))
    end = len(data.rstrip(b"\0"))
    for at in range(end):
        world = made(*steps)
        world.crash()
        world.disk.flip(file(1), at, at % 8)
        error = refused(world)
        assert error.fields["file"] == file(1)
        assert error.fields["offset"] <= at


def test_a_file_that_follows_another_history_refuses() -> None:
    worlds = [made(("vote", who), ("sync",), ("add", 9, 700), ("sync",)) for who in ("n2", "n3")]
    for world in worlds:
        world.crash()
    path = file(2)
    worlds[0].disk.remove(path)
    copy = worlds[0].disk.open(path, create=True)
    copy.write(worlds[1].disk.content(path))
    assert refused(worlds[0]).fields["file"] == file(1)


def test_a_log_that_starts_over_before_its_commit_index_refuses() -> None:
    world = made(("add", 5), ("commit",), ("sync",))
    world.journal._append(Kind.RESET, records.reset(2, 0, False))
    world.journal.take()()
    world.crash()
    assert "before its commit" in refused(world).detail


def test_a_missing_file_refuses() -> None:
    for number in (1, 2):
        world = made(("add", 40, 300), ("sync",))
        world.crash()
        world.disk.remove(file(number))
        refused(world)


def test_a_shortened_file_refuses() -> None:
    world = made(("add", 2), ("sync",))
    world.crash()
    world.disk.open(file(1)).truncate(1000)
    assert refused(world).fields == {"file": file(1), "offset": 1000}


def test_records_do_not_pass_elsewhere() -> None:
    """A record of another file, place, node or cluster is damage, not an entry."""
    world = made(("add", 2, 40), ("sync",))
    data = world.disk.content(file(1))
    start = records.seed(CLUSTER, NODE, 1)
    offset = next(at for at in range(len(data)) if records.decode(data, at, start) is not None)
    assert records.decode(data, offset, records.seed(CLUSTER, NODE, 2)) is None
    assert records.decode(data, offset, records.seed(CLUSTER, "n2", 1)) is None
    assert records.decode(data, offset, records.seed("other", NODE, 1)) is None
    assert records.decode(b"\0" + data, offset + 1, start) is None


def test_records_that_contradict_each_other_refuse() -> None:
    for kind, payload in (
        (Kind.ENTRY, records.entry(b"twice", 3, 0)),
        (Kind.ENTRY, records.entry(b"gap", 7, 0)),
        (Kind.ENTRY, b"short"),
        (Kind.COMMIT, records.number(1)),
        (Kind.VOTE, records.vote(0, "n2")),
        (Kind.TRUNCATE, records.number(2)),
        (Kind.RESET, records.reset(9, 1, True)),
        (Kind.HEADER, b""),
    ):
        world = made(("vote",), ("add", 3), ("commit",), ("sync",))
        world.journal._append(kind, payload)
        offset = world.journal._offset - records.OVERHEAD - len(payload)
        world.journal.take()()
        world.crash()
        assert refused(world).fields == {"file": file(1), "offset": offset}


def test_another_node_or_cluster_refuses() -> None:
    world = made(("add", 1), ("sync",))
    for cluster, node in (("other", NODE), (CLUSTER, "n2")):
        with pytest.raises(ConfigInvalid) as error:
            Journal.open(world.edges, FOLDER, cluster=cluster, node=node)
        assert error.value.fields["file"] == file(1)


def test_an_empty_folder_is_missing_data() -> None:
    world = World()
    world.disk.make_dir(FOLDER)
    assert not Journal.exists(world.edges, FOLDER)
    with pytest.raises(DataMissing):
        world.open()


def test_a_newer_format_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(segments, "FORMAT", 2)
        world = made(("add", 1), ("sync",))
    with pytest.raises(UnknownFormat) as error:
        world.open()
    assert error.value.fields["format"] == 2


def test_a_journal_is_not_made_over_another() -> None:
    world = made(("add", 1), ("sync",))
    with pytest.raises(FileExistsError):
        world.create()


def test_zeros_in_a_command_are_not_taken_for_an_unfinished_write() -> None:
    world = made(("add", 1), ("sync",))
    world.journal.add(bytes(100), 2, 0)
    world.journal.add(bytes(3), 3, 0)
    world.journal.take()()
    world.crash()
    world.open()
    assert [e[0] for e in world.journal[-2:]] == [bytes(100), bytes(3)]
