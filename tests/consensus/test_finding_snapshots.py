"""Findings 4, 5, 6: snapshots between members, on the library's own class and on ours in the same
scenario."""

import msgspec
import pytest

from raftcoord.consensus import messages as msg
from raftcoord.consensus import shipping
from raftcoord.consensus.core import LEADER
from raftcoord.consensus.peers import PeerNode
from tests.consensus.lockstep import SNAPSHOTS, World, acknowledged, kinds
from tests.consensus.stock import SUCCESS, stock


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several chunks for a snapshot of a few entries."""
    monkeypatch.setattr(shipping, "CHUNK", 64)


def behind(world: World, name: str = "A", *mine: str) -> list:
    """B leads C and has a snapshot; `name` led before, was cut off, and lacks all of it."""
    world.elect(name)
    world.pump(rounds=2)
    world.isolate(name)
    told = world.propose(name, *mine)
    world.elect("B", "BC")
    world.propose("B", *(f"b{n}" for n in range(20)))
    world.pump("BC", rounds=4)
    world["B"].take_snapshot()
    world.pump("BC", rounds=2)
    assert world["B"].log[0][1] > world[name].commit
    return told


def ship(world: World, a: str = "B", b: str = "A") -> list[msg.SnapshotChunk]:
    """Let a's snapshot travel to b; the chunks that did."""
    chunks: list[msg.SnapshotChunk] = []
    for _ in range(100):
        chunks += [m for m in world.under_way(a, b) if isinstance(m, msg.SnapshotChunk)]
        world.deliver(a, b)
        world.tick(b)
        world.deliver(b, a)
        world.tick(a)
        if not world[a]._sender.sends_to(b) and chunks:
            return chunks
        world.now += 0.01
    raise AssertionError("the snapshot did not arrive")


def test_finding_04_stock_commits_its_own_end_during_a_transfer() -> None:
    with stock(logCompactionBatchSize=64) as world:
        world.elect("A")
        world.pump()
        world.isolate("A")
        told = world.put("A", "mine")
        world.tick("A", dt=0.2)
        world.elect("B", "BC")
        world.put("B", *range(20))
        world.pump("BC", rounds=8)
        world.compact("B")
        world.pump("BC", rounds=3)
        world.heal("A")
        world.put("B", "after")
        world.tick("B", dt=0.2)
        world.deliver("B", "A")
        world.deliver("A", "B")
        world.tick("B", dt=0.2)
        world.deliver("B", "A", 1)  # the first chunk
        world.tick("A")
        assert told == [("mine", SUCCESS)]
        assert "mine" not in world["B"].seen + world["C"].seen


def test_finding_04_commits_its_own_end_during_a_transfer() -> None:
    world = World(keep_behind=0)
    told = behind(world, "A", "mine")
    before = world["A"].commit
    world.heal("A")
    world.propose("B", "after")
    for _ in range(30):
        world.tick("B", dt=0.06)
        if world.deliver("B", "A", 1) and world["A"]._receiver._marker is not None:
            break
        world.deliver("A", "B")
    assert world["A"]._receiver._marker is not None, "a transfer is under way"
    for _ in range(3):  # beats meanwhile
        world.tick("B", dt=0.06)
        beats = [m for m in world.under_way("B", "A") if not isinstance(m, msg.SnapshotChunk)]
        for beat in beats:
            world.hand("B", "A", beat)
        world.hand("B", "A", msg.Committed(term=world["B"].term, commit=world["B"].commit))
        world.tick("A")
        assert world["A"].commit == before
        assert not told
    world.pump(rounds=10)
    assert kinds(told) == ["unknown"]
    assert world.seen("A") == world.seen("B")


def test_finding_04_a_pushed_commit_says_nothing_of_what_did_not_match() -> None:
    world = World()
    world.elect("A")
    world.pump(rounds=2)
    world.isolate("A")
    told = world.propose("A", "mine", "mine too")
    common = world["C"].last()
    world.elect("B", "BC")
    world.propose("B", "theirs", "theirs too")
    world.pump("BC", rounds=2)
    pushed = msg.Committed(term=world["B"].term, commit=world["B"].commit)
    world.hand("B", "A", pushed)
    assert world["A"].commit == common.index
    beat = msg.Append(
        term=world["B"].term,
        round=1,
        commit=common.index,
        prev_index=common.index,
        prev_term=common.term,
        entries=[],
    )
    world.hand("B", "A", beat)  # so far they match, and no further
    world.hand("B", "A", pushed)
    world.tick("A")
    assert world["A"].commit == common.index
    assert not told


def test_finding_04_what_matched_in_an_older_term_says_nothing_in_this_one() -> None:
    world = World("ABCDE")
    world.elect("C")
    world.pump(rounds=2)
    common = world["A"].commit
    world.propose("C", "lost", "lost too", "and this")
    world.deliver("C", "A")
    world.isolate("C")
    world.elect("B", "BDE")
    world.propose("B", "theirs", "theirs too")
    world.pump("BDE", rounds=2)
    assert common < world["B"].commit <= world["A"].last().index
    world.hand("B", "A", msg.Committed(term=world["B"].term, commit=world["B"].commit))
    world.tick("A")
    assert world["A"].commit == common
    assert world.seen("A") == []
    world.pump("ABDE", rounds=3)
    assert world.seen("A") == ["theirs", "theirs too"]


def test_finding_05_stock_a_second_snapshot_clears_what_was_acknowledged() -> None:
    with stock() as world:
        world.elect("B")
        world.pump()
        world.isolate("A")
        world.put("B", *range(20))
        world.pump("BC", rounds=8)
        world.compact("B")
        world.pump("BC", rounds=3)
        world.heal("A")
        world.tick("B", dt=0.2)
        world.tick("B", dt=0.2)
        world.deliver("B", "A")  # two beats, two answers that ask for a snapshot
        world.deliver("A", "B", 1)
        world.tick("B", dt=0.2)
        world.cut("B", "C")
        told = world.put("B", "new")
        world.tick("B", dt=0.2)
        world.deliver("B", "A")
        world.deliver("A", "B", 1)  # the second of them
        world.tick("B", dt=0.2)
        world.deliver("A", "B")
        world.tick("B")
        assert told == [("new", SUCCESS)]
        last = max(
            n for n, m in enumerate(world.links["B", "A"]) if (m.get("serialized") or [0] * 3)[2]
        )
        world.deliver("B", "A", last + 1)
        world.kill("B")
        world.elect("C")
        world.pump()
        assert "new" not in world["A"].seen + world["C"].seen


def test_finding_05_a_second_snapshot_clears_what_was_acknowledged() -> None:
    world = World(keep_behind=0)
    behind(world)
    world.heal("A")
    chunks = ship(world)
    assert len(chunks) > 3
    world.isolate("C")
    told = world.propose("B", "new")
    world.pump("AB", rounds=2)
    assert acknowledged(told) == ["new"]
    written = world.disks["A"].operations
    for chunk in chunks:
        world.hand("B", "A", chunk)
    world.tick("A")
    assert world.disks["A"].operations == written
    assert world.holds("A", "new")
    assert world["A"].counters["installs"] == 1
    world.kill("B")
    world.heal("C")
    world.elect("A")
    world.pump(rounds=8)
    assert world.seen("A")[-1] == world.seen("C")[-1] == "new"


def test_finding_05_entries_behind_the_snapshot_that_match_are_kept() -> None:
    """A follower that holds and acknowledged more than it knows to be committed."""
    world = World("ABC", keep_behind=0)
    world.elect("B")
    world.pump(rounds=2)
    world.cut("B", "C")
    told = world.propose("B", *(f"b{n}" for n in range(9)))
    later = world.propose("B", "later")  # in an append of its own, sent before any answer
    world.deliver("B", "A")
    world.deliver("A", "B", 1)
    world.tick("B")
    assert len(acknowledged(told)) == 9
    world["B"].take_snapshot()
    world.tick("B")
    world.deliver("A", "B")
    world.tick("B")
    assert acknowledged(later) == ["later"]
    world.drop("B", "A")  # A does not hear that anything is committed
    marker = world["B"].log.snapshot
    assert world["A"].commit < marker.index < world["A"].last().index
    world["B"].send_snapshot(PeerNode("A"))
    world.tick("B")
    ship(world)
    assert world["A"].counters["installs"] == 1
    assert world.holds("A", "later")
    world.kill("B")
    world.restart("A")
    world.elect("A")
    world.pump(rounds=4)
    assert world.seen("A")[-1] == world.seen("C")[-1] == "later"


def test_finding_06_stock_acknowledges_a_snapshot_that_it_cannot_load(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreadable() -> None:
        raise ValueError("a bad checksum, or no room")

    with stock() as world:
        world.elect("A")
        world.pump()
        world.isolate("A")
        world.put("A", *(f"mine-{n}" for n in range(60)))
        world.tick("A", dt=0.2)
        world.elect("B", "BC")
        world.put("B", *range(20))
        world.pump("BC", rounds=8)
        world.compact("B")
        world.pump("BC", rounds=3)
        world.heal("A")
        world.isolate("C")
        monkeypatch.setattr(world.field("A", "serializer"), "deserialize", unreadable)
        told = world.put("B", "alone")
        world.pump("AB", rounds=60)
        assert told == [("alone", SUCCESS)]
        assert not world.holds("A", "alone"), "one copy of three"


@pytest.mark.parametrize("chunk", [64, 128 << 10])
@pytest.mark.parametrize("fault", ["damaged on its way", "no room", "the disk fails"])
def test_finding_06_acknowledges_a_snapshot_that_it_cannot_load(
    fault: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "CHUNK", chunk)
    world = World(keep_behind=0)
    behind(world, "A", *(f"mine-{n}" for n in range(60)))
    world.heal("A")
    world.isolate("C")
    told = world.propose("B", "alone")
    disk = world.disks["A"]
    if fault == "no room":
        disk.capacity = disk.used() + 100
    elif fault == "the disk fails":
        disk.hook = no_write_of_snapshots
    for _ in range(60):
        world.tick("A", "B", dt=0.05)
        world.deliver("A", "B")
        for message in world.under_way("B", "A"):
            is_chunk = isinstance(message, msg.SnapshotChunk)
            if fault == "damaged on its way" and is_chunk and message.offset in (0, 64):
                data = message.data[:40] + bytes([message.data[40] ^ 4]) + message.data[41:]
                message = msgspec.structs.replace(message, data=data)  # noqa: PLW2901
            world.hand("B", "A", message)
        world.drop("B", "A")
        assert not told
        assert world["B"].match_index[PeerNode("A")] == 0
    assert world["A"].counters["installs"] == 0
    assert world["B"].role == LEADER, "it hears A, and that is all it hears"
    disk.capacity = disk.hook = None
    world.pump("AB", rounds=20)
    assert acknowledged(told) == ["alone"], "when it gets through it is tried again"
    assert world.seen("A") == world.seen("B")


def no_write_of_snapshots(number: int, operation: str, path: str, moment: str) -> None:
    if operation == "write" and path.startswith(SNAPSHOTS):
        raise OSError(5, "the disk fails", path)
