"""Faults of disks, and data that is damaged or lost."""

import pytest

from chaos.simulation.disk import SimDisk
from chaos.simulation.faults.damage import JOURNAL, record_spots
from chaos.simulation.faults.losses import may_leave, may_lose
from raftcoord.consensus import records, segments
from raftcoord.consensus.records import Kind
from tests.chaos.fault_world import Scene


def test_slow_and_stalled() -> None:
    scene = Scene()
    name = scene.do("slow_disk").split(",")[0]
    edges = scene.world.members[name].edges
    assert edges is not None
    assert edges.sync[1] > scene.world.sync[1]
    scene.end()
    assert edges.sync == scene.world.sync
    name = scene.do("stalled_disk").split()[0]
    edges = scene.world.members[name].edges
    done = []
    edges.run(lambda: None, lambda *_: done.append(scene.world.loop.time()))
    began = scene.world.loop.time()
    seconds = float(scene.told[-1][1].split()[2])
    scene.run(seconds + 0.1)
    assert done[0] - began > seconds - 0.01


def test_a_full_disk_and_room_again() -> None:
    scene = Scene(load=40.0)
    name = next(
        detail.split()[0]
        for seed in range(20)
        if (detail := scene.do("full_disk", seed)).endswith(" 0 bytes left") or scene.end()
    )
    disk = scene.world.members[name].disk
    with pytest.raises(OSError, match="space"):
        disk.open("more", create=True).allocate(1)
    scene.run(7)
    assert disk.capacity is None
    scene.settle()


def test_most_disks_are_full_and_nothing_is_committed() -> None:
    scene = Scene(load=40.0)
    names = scene.do("full_disk_of_majority").split(" for ")[0].split()
    disks = [scene.world.members[name].disk for name in names]
    assert len(disks) == 2
    assert all(disk.capacity == disk.used() for disk in disks)
    scene.run(6)
    assert all(disk.capacity is None for disk in disks)
    scene.settle()


def test_a_failed_sync_ends_the_process_and_it_comes_back() -> None:
    scene = Scene(load=40.0)
    name = scene.do("failed_sync")
    scene.run(0.5)
    assert len(scene.seen.why) == 1
    assert "Input/output error" in scene.seen.why[0]
    scene.run(3)
    assert name in scene.world.alive()


def test_reads_that_fail_at_the_start() -> None:
    scene = Scene()
    for seed in range(10):
        scene.do("failing_reads", seed)
        scene.run(2.5)
        scene.end()
    assert any("Input/output error" in why for why in scene.seen.why)
    scene.settle()


def test_where_the_records_are() -> None:
    scene = Scene()
    disk = scene.world.members["n1"].disk
    votes = record_spots(disk, Kind.VOTE)
    entries = record_spots(disk, Kind.ENTRY)
    assert votes
    assert len(entries) > 10
    for path, begin, end in (*votes, *entries):
        assert disk.content(path)[end - 1 : end] == records.END
        assert disk.content(path)[begin] in (Kind.VOTE, Kind.ENTRY)
    heads = record_spots(disk, Kind.HEADER)
    assert heads[0][1] == 0
    assert disk.content(heads[0][0]).startswith(b"RCjrnl")
    assert record_spots(SimDisk(), Kind.ENTRY) == []


@pytest.mark.parametrize("fault", ["flip_vote", "flip_entry", "flip_snapshot"])
def test_damage_is_refused_and_the_member_rejoins(fault: str) -> None:
    refused = 0
    for seed in range(12):
        scene = Scene(load=40.0, peace=3.0)
        if fault == "flip_snapshot":
            scene.do("snapshot", seed)
            scene.run(0.5)
        said = scene.do(fault, seed)
        name = said.split(",")[0]
        member = scene.world.members[name]
        assert member.damaged
        node = member.node
        before = None if node is None else node.incarnation
        path = said.split(" of ")[2].split(",")[0]
        scene.run(8)
        why = [text for text in scene.seen.why if text.startswith(path)]
        if why:
            assert " at byte " in why[0]
            assert member.node is not None
            assert member.node.incarnation != before
            assert member.node.raft.is_voter()
            refused += 1
        assert not member.damaged
        scene.settle()
        if refused:
            return
    pytest.fail("no damage was found")


def test_a_flip_changes_one_bit_of_one_file_of_one_member() -> None:
    scene = Scene()

    def journals() -> dict[str, bytes]:
        disks = {name: member.disk for name, member in scene.world.members.items()}
        return {
            f"{name}/{file}": disk.content(f"{JOURNAL}/{file}")
            for name, disk in disks.items()
            for file in disk.list(JOURNAL)
            if segments.number_of(file) is not None
        }

    before = journals()
    said = scene.do("flip_entry")
    after = journals()
    changed = [file for file in before if before[file] != after[file]]
    assert changed == [f"{said.split(',')[0]}/{said.split(' of ')[2].split(',')[0].split('/')[-1]}"]
    pairs = zip(before[changed[0]], after[changed[0]], strict=True)
    assert sum((a ^ b).bit_count() for a, b in pairs) == 1


def test_never_more_than_a_minority_is_lost() -> None:
    scene = Scene()
    assert all(may_lose(scene.world, name) for name in scene.world.members)
    scene.world.wipe("n1")
    assert not may_lose(scene.world, "n2")
    assert may_lose(scene.world, "n1")
    for fault in ("wipe", "flip_vote", "flip_entry", "flip_journal"):
        for seed in range(10):
            if scene.does(fault, seed):
                assert scene.told[-1][1].startswith("n1")
            assert not scene.world.members["n2"].damaged
    scene.world.start_again("n1")
    scene.run(2)
    assert all(may_lose(scene.world, name) for name in scene.world.members)


def test_a_learner_counts_as_the_voter_that_it_will_be() -> None:
    scene = Scene("five")
    scene.world.wipe("n1")
    assert may_lose(scene.world, "n2")
    assert may_lose(scene.world, "n6")
    scene.world.add("n6")
    assert not may_lose(scene.world, "n2")
    assert not may_lose(scene.world, "n3")
    scene.run(0.1)


def test_five_bear_the_loss_of_two_and_are_not_made_fewer_than_three() -> None:
    scene = Scene("five")
    assert may_leave(scene.world, "n5")
    scene.world.wipe("n1")
    assert may_lose(scene.world, "n2")
    assert may_leave(scene.world, "n2")
    scene.world.wipe("n2")
    assert not may_lose(scene.world, "n3")
    assert not may_leave(scene.world, "n3")
    three = Scene()
    assert not may_leave(three.world, "n1")


def test_a_wiped_member_comes_back_as_another_folder() -> None:
    scene = Scene()
    name = scene.do("wipe")
    scene.run(3)
    node = scene.world.members[name].node
    assert node is not None
    assert node.incarnation > 0
    assert node.raft.is_voter()
