"""Snapshots on their way and on the disk, in runs of real cores (Raft paper §7)."""

import itertools
from collections.abc import Callable

import msgspec
import pytest

from chaos.simulation.disk import Killed, kill_at
from raftcoord.consensus import messages as msg
from raftcoord.consensus import shipping
from raftcoord.consensus.peers import PeerNode
from tests.consensus.lockstep import SNAPSHOTS, World, acknowledged, kinds


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several windows of chunks for a snapshot of some entries."""
    monkeypatch.setattr(shipping, "CHUNK", 64)


VALUES = [f"value-{n:02}" for n in range(60)]


def behind(**core: int) -> World:
    """A leads B and has a snapshot; C was cut off and lacks all of it, and hears A again."""
    world = World(**{"keep_behind": 0, **core})
    world.elect("A")
    world.pump(rounds=2)
    world.isolate("C")
    world.propose("A", *VALUES)
    world.pump("AB", rounds=4)
    world["A"].take_snapshot()
    world.pump("AB", rounds=2)
    assert world["A"].log[0][1] > world["C"].last().index
    world.heal("C")
    return world


def chunks(world: World) -> list[msg.SnapshotChunk]:
    """Those that are under way to C."""
    return [m for m in world.under_way("A", "C") if isinstance(m, msg.SnapshotChunk)]


def until_chunks(world: World, count: int) -> None:
    """Let C receive that many, one by one."""
    for _ in range(200):
        if world["C"]._receiver._expected >= count * 64:
            return
        world.tick("A", dt=0.01)
        world.deliver("A", "C", 1)
        world.tick("C")
        world.deliver("C", "A")
        world.deliver("A", "B")
        world.deliver("B", "A")
    raise AssertionError("the snapshot does not travel")


def arrives(world: World, *, installs: int = 1) -> None:
    """After a while C has everything, by snapshot, and takes part."""
    world.pump(rounds=20)
    assert world.leaders, "somebody leads"
    [leader] = world.leaders
    told = world.propose(leader, "later")
    world.pump(rounds=3)
    assert acknowledged(told) == ["later"]
    assert world["C"].counters["installs"] == installs
    assert world.seen("C") == world.seen("A") == [*VALUES, "later"]
    assert world["C"].machine.clock == world["A"].machine.clock
    assert world["A"].match_index[PeerNode("C")] == world["A"].last().index or leader != "A"


def test_section_7_a_follower_that_misses_the_logs_front_gets_a_snapshot() -> None:
    world = behind()
    sent: list[msg.SnapshotChunk] = []
    for _ in range(60):
        world.tick("A", dt=0.005)
        sent += chunks(world)
        assert len(chunks(world)) <= shipping.WINDOW, "bounded"
        world.exchange(rounds=1)
    assert [chunk.offset for chunk in sent] == list(range(0, sent[0].size, 64))
    assert all(len(chunk.data) <= 64 for chunk in sent)
    arrives(world)
    assert world.members["C"].host.installs == 1


@pytest.mark.parametrize("at", [0, 1, 2, 5, 6, 9])
def test_a_connection_lost_in_the_middle_starts_it_again(at: int) -> None:
    world = behind()
    until_chunks(world, at)
    world.connect("A", "C")
    arrives(world)


@pytest.mark.parametrize("at", [1, 5])
def test_a_receiver_that_is_killed_in_the_middle_starts_again(at: int) -> None:
    world = behind()
    until_chunks(world, at)
    world.restart("C", power=True)
    arrives(world)


@pytest.mark.parametrize("at", [1, 5])
def test_a_leader_that_is_killed_in_the_middle_is_followed_by_another_with_a_file(at: int) -> None:
    """B's own snapshot is the same file, or it still has the entries."""
    world = behind()
    world["B"].take_snapshot()
    until_chunks(world, at)
    world.kill("A")
    world.elect("B")
    world.start("A")
    arrives(world)


def test_an_older_leaders_chunk_is_refused() -> None:
    world = behind()
    until_chunks(world, 2)
    world.tick("A", dt=0.01)
    old = chunks(world)
    assert old
    world["C"].follow(world["A"].term + 1, None)  # a campaign of B's reached it
    expected = world["C"]._receiver._expected
    assert old[0].offset == expected
    for chunk in old:
        world.hand("A", "C", chunk)
    assert world["C"]._receiver._expected == expected
    assert world["C"].leader is None


def damage(position: int) -> Callable[[msg.SnapshotChunk], msg.SnapshotChunk]:
    """Flip a bit of the chunk that covers a position of the file."""

    def damaged(chunk: msg.SnapshotChunk) -> msg.SnapshotChunk:
        at = position - chunk.offset
        if not 0 <= at < len(chunk.data):
            return chunk
        data = chunk.data[:at] + bytes([chunk.data[at] ^ 16]) + chunk.data[at + 1 :]
        return msgspec.structs.replace(chunk, data=data)

    return damaged


@pytest.mark.parametrize("position", [3, 20, 100, 400, 830])
def test_a_damaged_chunk_is_acknowledged_to_nobody(position: int) -> None:
    world = behind()
    change = damage(position)
    for _ in range(40):
        world.tick("A", dt=0.05)
        world.deliver("A", "B")
        world.deliver("B", "A")
        for message in world.under_way("A", "C"):
            is_chunk = isinstance(message, msg.SnapshotChunk)
            world.hand("A", "C", change(message) if is_chunk else message)
        world.drop("A", "C")
        world.tick("C")
        answers = world.under_way("C", "A")
        assert not [m for m in answers if isinstance(m, msg.SnapshotAnswer) and m.done]
        world.deliver("C", "A")
    assert world["C"].applied == world["C"].commit
    assert world.seen("C") == []
    assert world["A"].match_index[PeerNode("C")] == 0
    arrives(world)


@pytest.mark.parametrize("power", [False, True])
def test_killed_after_every_operation_of_an_install(power: bool) -> None:
    """Received, synced, renamed, marked, cut: wherever C dies, it comes back and gets there."""
    for number in itertools.count(1):
        world = behind()
        until_chunks(world, 12)
        disk = world.disks["C"]
        disk.hook = kill_at(disk.operations + number, "after")
        try:
            world.pump(rounds=4)
        except Killed:
            pass
        else:
            assert number > 6
            return
        world.restart("C", power=power)
        assert world["C"].applied in (0, world["A"].log.snapshot.index)
        arrives(world, installs=int(world["C"].applied == 0))


def test_callers_of_entries_that_a_snapshot_covers_are_answered() -> None:
    world = World(keep_behind=0)
    world.elect("C")
    world.pump(rounds=2)
    world.isolate("C")
    covered = world.propose("C", "mine", "mine too")
    world.elect("A", "AB")
    world.propose("A", *VALUES)
    world.pump("AB", rounds=4)
    world["A"].take_snapshot()
    world.pump("AB", rounds=2)
    world.heal("C")
    world.pump(rounds=20)
    assert kinds(covered) == ["unknown", "unknown"]
    assert world.seen("C") == VALUES


def test_a_read_that_waits_is_served_by_a_snapshot() -> None:
    world = behind()
    world.pump(rounds=1)
    read = world.read("C")
    world.pump(rounds=20)
    assert read == [world["A"].log.snapshot.index]


def test_entries_behind_a_snapshot_spare_the_slow_a_transfer() -> None:
    world = World(keep_behind=100)
    world.elect("A")
    world.pump(rounds=2)
    world.isolate("C")
    world.propose("A", *VALUES)
    world.pump("AB", rounds=4)
    world["A"].take_snapshot()
    world.pump("AB", rounds=2)
    assert world["A"].log.snapshot is not None
    world.heal("C")
    arrives(world, installs=0)


def test_one_is_due_when_the_log_behind_the_last_is_large() -> None:
    world = World("A", snapshot_bytes=2_000, segment=1 << 12, keep_behind=2)
    world.elect("A")
    for n in range(120):
        world.propose("A", f"{n:03}" + "x" * 100)
        world.tick("A")
    taken = world["A"].counters["snapshots"]
    assert taken == 3, "behind 2,000 bytes, then each behind as much as the last one holds"
    snapshots = [n for n in world.disks["A"].list(SNAPSHOTS) if n.endswith(".snap")]
    assert len(snapshots) == 1, "older ones are removed"
    assert world["A"].log[0][1] >= world["A"].log.snapshot.index - 2
    seen = world.seen("A")
    world.restart("A")
    world.elect("A")
    world.tick("A")
    assert world.seen("A") == seen


def test_one_that_cannot_be_written_is_tried_again_later() -> None:
    world = World("A", keep_behind=0)
    world.elect("A")
    world.propose("A", *VALUES)
    world.tick("A")
    disk = world.disks["A"]
    disk.capacity = disk.used() + 10
    world["A"].take_snapshot()
    assert world["A"].log.snapshot is None
    assert disk.list(SNAPSHOTS) == [], "nothing is left of it"
    disk.capacity = None
    world["A"].take_snapshot()
    assert world["A"].log.snapshot is None, "not at once again"
    world.tick("A", dt=6.0)
    world["A"].take_snapshot()
    world.tick("A")
    assert world["A"].log.snapshot is not None
    told = world.propose("A", "later")
    world.tick("A")
    assert acknowledged(told) == ["later"]


def test_a_members_own_snapshot_gives_way_to_a_newer_one_of_the_leaders() -> None:
    """The leader's was installed while the child that packs C's was slow."""
    world = behind()
    edges = world.members["C"].edges
    edges.hold("fork")
    world["C"].take_snapshot()
    world.pump(rounds=20)
    newest = world["C"].log.snapshot
    assert newest.index > 2
    edges.let_go()
    world.tick("C")
    assert world["C"].log.snapshot == newest
    world.restart("C")
    assert world.seen("C") == VALUES


def test_the_end_of_an_install_is_told_when_it_is_durable() -> None:
    world = behind()
    until_chunks(world, 12)
    edges = world.members["C"].edges
    edges.hold("journal")
    for _ in range(5):
        world.tick("A", dt=0.01)
        world.deliver("A", "C")
        world.tick("C")
        answers = [m for m in world.under_way("C", "A") if isinstance(m, msg.SnapshotAnswer)]
        assert not any(answer.done for answer in answers)
        world.deliver("C", "A")
    assert world["C"].counters["installs"] == 1
    edges.let_go()
    answers = [m for m in world.under_way("C", "A") if isinstance(m, msg.SnapshotAnswer)]
    assert any(answer.done for answer in answers)
