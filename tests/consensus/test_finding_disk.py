"""Findings 7, 10, 11, 25: what a node answers rests on its disk, on the library's own class and
on ours in the same scenario. (test_journal_findings has the journal's part of them.)"""

import itertools
import struct
from pathlib import Path

import pytest
from pysyncobj.journal import ResizableFile

from chaos.simulation.disk import Killed, kill_at
from raftcoord.consensus.core import FOLLOWER, LEADER
from raftcoord.consensus.peers import PeerNode
from raftcoord.errors import DataDamaged
from tests.consensus.lockstep import JOURNAL, SNAPSHOTS, World, acknowledged
from tests.consensus.stock import SUCCESS, StockWorld, stock


def lose_page(folder: Path, world: StockWorld, name: str, kept: int) -> None:
    """Leave only the first entries of a member's journal, as a page that was never written does."""
    end = 40 + sum(len(command) + 24 for command, _, _ in world.log(name)[:kept])
    with (folder / f"{name}.journal").open("r+b") as file:
        file.seek(36)
        file.write(struct.pack("<I", end))


def test_finding_10_stock_answers_alone_after_the_end_was_lost(tmp_path: Path) -> None:
    with stock(folder=tmp_path) as world:
        world.elect("A")
        world.put("A", *range(10))
        world.pump(rounds=30)
        for name in "ABC":
            journal = world.field(name, "raftLog")
            journal.onOneSecondTimer()
            journal.flush()
            lose_page(tmp_path, world, name, 6)
        for name in "ABC":
            world.kill(name)
        for name in "ABC":
            world.start(name)
        world.campaign("A")
        for name in "BC":
            world.deliver("A", name)
            world.deliver(name, "A")
        assert world.leads("A")
        world.isolate("A")
        told = world.put("A", "alone")
        for _ in range(5):
            world.tick("A", dt=0.05)
        assert told == [("alone", SUCCESS)]


def test_finding_10_answers_alone_after_the_end_was_lost() -> None:
    """All three lose the batch that held their last entries: nobody leads, nobody answers."""
    world = World()
    world.elect("A")
    world.pump(rounds=2)
    told = world.propose("A", *(f"value-{n}" for n in range(9)))
    world.pump(rounds=2)
    assert len(acknowledged(told)) == 9
    for name in "ABC":
        world.kill(name)
        world.damage(name, "value-6")
    for name in "ABC":
        world.start(name)
        assert world[name].log.tail_cut
    for name in "ABCABC":
        world.campaign(name)
        world.exchange(rounds=6)
        assert world.leaders == ""
    world.isolate("A")
    told = world.propose("A", "alone")
    world.pump("A", rounds=10)
    assert not acknowledged(told)


def test_finding_10_a_log_that_ends_before_its_commit_refuses() -> None:
    """The same page, lost after the commit index had gone to the disk behind it."""
    world = World()
    world.elect("A")
    world.propose("A", "first")
    world.pump(rounds=2)
    world.propose("A", "second")
    world.pump(rounds=2)
    world.kill("B")
    world.damage("B", "first")
    with pytest.raises(DataDamaged) as refused:
        world.start("B")
    assert refused.value.fields["file"].startswith(JOURNAL)
    assert refused.value.fields["offset"] > 0


def test_finding_11_stock_answers_and_syncs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    monkeypatch.setattr(ResizableFile, "flush", synced.append)
    with stock("A", folder=tmp_path) as world:
        world.elect("A")
        told = world.put("A", "value")
        world.pump(rounds=30)
        assert told == [("value", SUCCESS)]
        assert not synced


def test_finding_11_a_single_node_answers_and_syncs_nothing() -> None:
    world = World("A")
    world.elect("A")
    world.pump(rounds=2)
    world.members["A"].edges.hold()
    told = world.propose("A", "value")
    world.pump(rounds=30)
    assert not told
    assert world.seen("A") == []
    world.restart("A", power=True)
    world.elect("A")
    assert world.seen("A") == []
    world.members["A"].edges.hold()
    told = world.propose("A", "value")
    world.members["A"].edges.let_go()
    world.tick("A")
    assert acknowledged(told) == ["value"]
    world.restart("A", power=True)
    world.elect("A")
    world.tick("A")
    assert world.seen("A") == ["value"]


def test_finding_11_a_leader_counts_itself_when_it_has_synced() -> None:
    """It sends before its own sync; with one follower's sync alone nothing is committed."""
    world = World()
    world.elect("A")
    world.pump(rounds=2)
    world.isolate("C")
    world.members["A"].edges.hold()
    told = world.propose("A", "value")
    world.deliver("A", "B")
    world.deliver("B", "A")
    world.tick("A")
    end = world["A"].last().index
    assert world["A"].match_index[PeerNode("B")] == end, "B has it on its disk"
    assert world["A"].commit < end
    assert not told
    world.members["A"].edges.let_go()
    world.tick("A")
    assert world["A"].commit == end
    assert acknowledged(told) == ["value"]


def test_finding_11_two_followers_that_synced_are_a_majority() -> None:
    world = World()
    world.elect("A")
    world.pump(rounds=2)
    world.members["A"].edges.hold()
    told = world.propose("A", "value")
    world.exchange()
    assert acknowledged(told) == ["value"]
    world.restart("A", power=True)
    world.elect("B")
    world.pump(rounds=3)
    assert world.seen("A") == world.seen("B") == ["value"]


def test_finding_11_a_follower_acknowledges_when_it_has_synced() -> None:
    world = World()
    world.elect("A")
    world.pump(rounds=2)
    world.isolate("C")
    world.members["B"].edges.hold()
    told = world.propose("A", "value")
    world.deliver("A", "B")
    world.tick("B")
    assert world["B"].last() == world["A"].last()
    assert not world.under_way("B", "A")
    world.restart("B", power=True)
    assert not world.holds("B", "value")
    assert not told
    world.pump("AB", rounds=2)
    assert acknowledged(told) == ["value"]


def test_finding_11_one_sync_serves_everything_that_gathered() -> None:
    world = World()
    world.elect("A")
    world.pump(rounds=2)
    edges = world.members["A"].edges
    edges.hold()
    told = [outcome for n in range(50) for outcome in [world.propose("A", f"value-{n:02}")]]
    assert len(edges.held) == 1, "the job that is out took the first; the others gather"
    edges.let_go(1)
    assert len(edges.held) == 1
    edges.let_go(1)
    assert not edges.held
    world.pump(rounds=3)
    assert [acknowledged(outcomes) for outcomes in told] == [[f"value-{n:02}"] for n in range(50)]


def test_finding_11_a_sync_that_failed_is_not_tried_again() -> None:
    world = World()
    world.elect("A")
    world.pump(rounds=2)
    world.disks["A"].fail_next_sync = True
    with pytest.raises(OSError, match="Input/output error"):
        world.propose("A", "value")
    world.restart("A", power=True)
    assert world["A"].role == FOLLOWER
    world.elect("B")
    assert world["B"].role == LEADER


def test_finding_07_stock_a_kill_between_dump_and_cut_loses_what_was_acknowledged(
    tmp_path: Path,
) -> None:
    with stock("FGL", folder=tmp_path) as world:
        world.elect("L")
        world.put("L", *(f"v{n}" for n in range(8)))
        world.pump(rounds=6)
        world.cut("L", "G")
        told = world.put("L", *(f"w{n}" for n in range(4)))
        world.tick("L", dt=0.2)
        world.deliver("L", "F")
        world.compact("F")
        world.tick("F")  # writes the dump; the journal is cut in the next turn
        world.deliver("F", "L")
        world.tick("L")
        assert len(told) == 4
        world.kill("F")
        world.start("F")
        world.tick("F")
        world.kill("L")
        world.elect("F")
        world.pump()
        assert "w3" not in world["F"].seen


@pytest.mark.parametrize("power", [False, True])
def test_finding_07_a_kill_between_dump_and_cut_loses_what_was_acknowledged(power: bool) -> None:
    """Killed after every single operation on its disk from the snapshot on."""
    for number in itertools.count(1):
        world = World("FGL", keep_behind=0)
        world.elect("L")
        world.propose("L", *(f"v{n}" for n in range(8)))
        world.pump(rounds=3)
        world.cut("L", "G")
        told = world.propose("L", *(f"w{n}" for n in range(4)))
        world.tick("L")
        world.deliver("L", "F")
        world.deliver("F", "L")
        world.tick("L")
        assert len(acknowledged(told)) == 4
        disk = world.disks["F"]
        disk.hook = kill_at(disk.operations + number, "after")
        try:
            world["F"].take_snapshot()
            for _ in range(4):
                world.tick("F")
        except Killed:
            pass
        else:
            assert number > 6, "written, synced, renamed, folder synced, marked, forgotten"
            return
        world.restart("F", power=power)
        world.kill("L")
        world.elect("F")
        world.pump(rounds=3)
        assert (
            world.seen("F")
            == world.seen("G")
            == [
                *(f"v{n}" for n in range(8)),
                *(f"w{n}" for n in range(4)),
            ]
        )


def test_finding_25_stock_leads_with_an_empty_state(tmp_path: Path) -> None:
    with stock(folder=tmp_path) as world:
        world.elect("A")
        world.put("A", *range(10))
        world.pump()
        world.compact("A")
        world.pump(rounds=4)
        world.kill("A")
        dump = tmp_path / "A.dump"
        data = bytearray(dump.read_bytes())
        data[len(data) // 2] ^= 1
        dump.write_bytes(data)
        world.start("A")
        world.tick("A")
        world.elect("A")
        world.put("A", "new")
        world.pump()
        assert world.leads("A")
        assert world["A"].seen == []
        assert world["B"].seen[-1] == "new"


def test_finding_25_leads_with_an_empty_state() -> None:
    world = World(keep_behind=0)
    world.elect("A")
    world.propose("A", *map(str, range(10)))
    world.pump(rounds=2)
    world["A"].take_snapshot()
    world.pump(rounds=2)
    name = world["A"].log.snapshot.name
    world.kill("A")
    world.disks["A"].flip(f"{SNAPSHOTS}/{name}", 100)
    with pytest.raises(DataDamaged) as refused:
        world.start("A")
    assert refused.value.fields["file"] == f"{SNAPSHOTS}/{name}"
