"""Snapshots: the old one or the new one, whole, or a refusal that names file and offset."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.simulation.disk import kill_at
from raftcoord.consensus import snapshot_file
from raftcoord.consensus.records import SnapshotMarker
from raftcoord.consensus.snapshots import SnapshotMeta, Snapshots
from raftcoord.errors import ConfigInvalid, DataDamaged, DataMissing, UnknownFormat
from tests.consensus.journal_world import DirectEdges, NothingKept, World, killed

FOLDER = "data/snapshots"
CHUNKS = [b"first", bytes(70_000), b"last"]


def meta(index: int = 7, term: int = 2) -> SnapshotMeta:
    return SnapshotMeta("c", index, term, b"members", 123_456)


def fresh(edges: DirectEdges | None = None) -> tuple[DirectEdges, Snapshots]:
    edges = edges or World().edges
    return edges, Snapshots(edges, FOLDER, cluster="c")


def content(snapshots: Snapshots, marker: SnapshotMarker) -> tuple[SnapshotMeta, list[bytes]]:
    found, chunks = snapshots.load(marker)
    return found, list(chunks)


def receive(snapshots: Snapshots, marker: SnapshotMarker, data: bytes, step: int) -> SnapshotMarker:
    snapshots.begin(marker)
    for offset in range(0, len(data), step):
        snapshots.put(offset, data[offset : offset + step])
    return snapshots.finish()


def test_written_described_loaded() -> None:
    edges, snapshots = fresh()
    marker = snapshots.write(meta(), iter(CHUNKS))
    assert marker.name == Snapshots.name(7, 2)
    assert (marker.index, marker.term) == (7, 2)
    assert marker.size == len(edges.disk.content(f"{FOLDER}/{marker.name}"))
    assert snapshots.describe(marker.name) == marker
    assert content(snapshots, marker) == (meta(), CHUNKS)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=3000), max_size=12))
def test_any_chunks_come_back(chunks: list[bytes]) -> None:
    _, snapshots = fresh()
    marker = snapshots.write(meta(), chunks)
    assert content(snapshots, marker) == (meta(), [chunk for chunk in chunks if chunk])


def test_names_sort_as_their_indices() -> None:
    names = [Snapshots.name(index, 1) for index in (9, 10, 99, 100, 2**63)]
    assert names == sorted(names)


def test_killed_at_every_operation_there_is_the_old_one_or_the_new_one() -> None:
    edges, snapshots = fresh()
    snapshots.write(meta(7), CHUNKS)
    first = edges.disk.operations + 1
    snapshots.write(meta(9), [b"new", *CHUNKS])
    seen = set()
    for number in range(first, edges.disk.operations + 1):
        for moment in ("before", "middle", "after"):
            for cut in (None, NothingKept(), Random(1), Random(2), Random(3)):
                edges, snapshots = fresh()
                old = snapshots.write(meta(7), CHUNKS)
                edges.disk.hook = kill_at(number, moment)
                killed(lambda s=snapshots: s.write(meta(9), [b"new", *CHUNKS]) and None)
                edges.disk.crash(cut, power=cut is not None)
                _, again = fresh(edges)
                assert content(again, old) == (meta(7), CHUNKS)
                name = Snapshots.name(9, 2)
                if name in edges.disk.list(FOLDER):
                    # Renamed only after it was synced: whole, though nobody marked it.
                    whole = content(again, again.describe(name))
                    assert whole == (meta(9), [b"new", *CHUNKS])
                seen.add(name in edges.disk.list(FOLDER))
                again.sweep([old.name], newer=True)
                assert edges.disk.list(FOLDER) == [old.name]
    assert seen == {True, False}


def test_a_snapshot_that_was_reported_survives_a_power_cut() -> None:
    edges, snapshots = fresh()
    marker = snapshots.write(meta(), CHUNKS)
    edges.disk.crash(NothingKept(), power=True)
    assert content(fresh(edges)[1], marker) == (meta(), CHUNKS)


def test_received_in_pieces() -> None:
    edges, leader = fresh()
    marker = leader.write(meta(), CHUNKS)
    pieces = []
    offset = 0
    while offset < marker.size:
        pieces.append(leader.read(marker, offset, 1000))
        offset += len(pieces[-1])
    edges, follower = fresh()
    got = receive(follower, marker, b"".join(pieces), 1000)
    assert got == marker
    edges.disk.crash(NothingKept(), power=True)
    assert content(fresh(edges)[1], got) == (meta(), CHUNKS)


def test_received_damaged_is_given_up() -> None:
    edges, leader = fresh()
    marker = leader.write(meta(), CHUNKS)
    data = leader.read(marker, 0, marker.size)
    edges, follower = fresh()
    for at in (0, 9, 30, 1000, len(data) - 1):
        bad = bytearray(data)
        bad[at] ^= 1
        with pytest.raises(DataDamaged):
            receive(follower, marker, bytes(bad), 4096)
        assert edges.disk.list(FOLDER) == []
    for short in (b"", data[:-1]):
        with pytest.raises(DataDamaged):
            receive(follower, marker, short, 4096)
        assert edges.disk.list(FOLDER) == []
    with pytest.raises(ValueError, match="no snapshot"):
        follower.finish()
    assert receive(follower, marker, data, 4096) == marker


def test_another_snapshot_than_announced_is_given_up() -> None:
    _, leader = fresh()
    marker = leader.write(meta(7), CHUNKS)
    other = leader.write(meta(8), CHUNKS)
    _, follower = fresh()
    with pytest.raises(DataDamaged):
        receive(follower, marker, leader.read(other, 0, other.size), 4096)


def test_pieces_that_do_not_follow_are_refused() -> None:
    _, snapshots = fresh()
    marker = SnapshotMarker(7, 2, "../../etc/passwd", 100, 0)
    with pytest.raises(ValueError, match="do not follow"):
        snapshots.put(0, b"x")
    snapshots.begin(marker)
    snapshots.put(0, b"x" * 60)
    for offset in (0, 59, 61):
        with pytest.raises(ValueError, match="do not follow"):
            snapshots.put(offset, b"x")
    with pytest.raises(ValueError, match="announced"):
        snapshots.put(60, b"x" * 41)


def test_a_name_from_another_node_is_not_a_path() -> None:
    edges, leader = fresh()
    marker = leader.write(meta(), CHUNKS)
    edges, follower = fresh()
    strange = SnapshotMarker(7, 2, "../../etc/passwd", marker.size, marker.crc)
    got = receive(follower, strange, leader.read(marker, 0, marker.size), 4096)
    assert got == marker
    assert edges.disk.list(FOLDER) == [marker.name]


def test_a_new_transfer_takes_the_place_of_the_old_one() -> None:
    edges, leader = fresh()
    marker = leader.write(meta(), CHUNKS)
    edges, follower = fresh()
    follower.begin(SnapshotMarker(9, 9, "", 100, 0))
    follower.put(0, b"half")
    assert receive(follower, marker, leader.read(marker, 0, marker.size), 50_000) == marker
    follower.begin(marker)
    follower.abandon()
    follower.abandon()
    assert edges.disk.list(FOLDER) == [marker.name]


def test_killed_while_receiving() -> None:
    _, leader = fresh()
    marker = leader.write(meta(), CHUNKS)
    data = leader.read(marker, 0, marker.size)
    edges, follower = fresh()
    first = edges.disk.operations + 1
    receive(follower, marker, data, 20_000)
    for number in range(first, edges.disk.operations + 1):
        for cut in (None, NothingKept(), Random(4)):
            edges, follower = fresh()
            edges.disk.hook = kill_at(number, "after")
            killed(lambda f=follower: receive(f, marker, data, 20_000) and None)
            edges.disk.crash(cut, power=cut is not None)
            _, again = fresh(edges)
            if marker.name in edges.disk.list(FOLDER):
                assert content(again, marker) == (meta(), CHUNKS)
            assert receive(again, marker, data, 20_000) == marker


def test_sweeping_leaves_what_is_newer() -> None:
    edges, snapshots = fresh()
    names = [snapshots.write(meta(index), CHUNKS).name for index in (5, 10, 15)]
    edges.disk.open(f"{FOLDER}/snapshot-{3:020d}-1.snap.tmp", create=True)
    edges.disk.open(f"{FOLDER}/snapshot-{20:020d}-1.snap.tmp", create=True)
    edges.disk.open(f"{FOLDER}/notes.txt", create=True)
    assert len(snapshots.sweep([])) == 0
    assert snapshots.sweep([names[1]]) == [f"snapshot-{3:020d}-1.snap.tmp", names[0]]
    assert snapshots.sweep([names[1]], newer=True) == [names[2], f"snapshot-{20:020d}-1.snap.tmp"]
    assert edges.disk.list(FOLDER) == ["notes.txt", names[1]]
    assert snapshots.sweep([], newer=True) == [names[1]]


def test_a_snapshot_that_is_gone() -> None:
    edges, snapshots = fresh()
    marker = snapshots.write(meta(), CHUNKS)
    edges.disk.remove(f"{FOLDER}/{marker.name}")
    with pytest.raises(DataMissing):
        snapshots.load(marker)
    with pytest.raises(DataMissing):
        snapshots.describe(marker.name)


def test_another_file_under_a_marked_name() -> None:
    edges, snapshots = fresh()
    marker = snapshots.write(meta(), CHUNKS)
    snapshots.write(meta(), [b"other"])
    found, chunks = snapshots.load(marker)
    with pytest.raises(DataDamaged, match="marked"):
        list(chunks)
    edges.disk.rename(
        f"{FOLDER}/{snapshots.write(meta(8), CHUNKS).name}", f"{FOLDER}/{marker.name}"
    )
    with pytest.raises(DataDamaged, match="ends at 8"):
        snapshots.load(marker)
    assert found.index == 7


def test_bytes_that_follow_the_end_are_damage() -> None:
    edges, snapshots = fresh()
    marker = snapshots.write(meta(), CHUNKS)
    file = edges.disk.open(f"{FOLDER}/{marker.name}")
    file.seek(marker.size)
    file.write(b"\0")
    with pytest.raises(DataDamaged) as error:
        snapshots.describe(marker.name)
    assert error.value.fields["offset"] == marker.size


def test_another_cluster_and_a_newer_format_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    edges, snapshots = fresh()
    marker = snapshots.write(meta(), CHUNKS)
    with pytest.raises(ConfigInvalid):
        Snapshots(edges, FOLDER, cluster="other").load(marker)
    monkeypatch.setattr(snapshot_file, "FORMAT", 9)
    with pytest.raises(UnknownFormat):
        snapshots.load(marker)


def test_a_full_disk_leaves_nothing() -> None:
    edges, snapshots = fresh()
    old = snapshots.write(meta(), CHUNKS)
    edges.disk.capacity = edges.disk.used() + 1000
    with pytest.raises(OSError, match="space"):
        snapshots.write(meta(9), CHUNKS)
    assert edges.disk.list(FOLDER) == [old.name]
