"""Damage behind a journal's last sync marker: left out, and known until all is there again."""

from __future__ import annotations

import pytest

from chaos.simulation.disk import SimDisk
from chaos.simulation.faults.damage import JOURNAL
from chaos.simulation.faults.losses import may_lose
from chaos.simulation.faults.tails import tail_spots
from chaos.simulation.judges.chronicle import Chronicle
from chaos.simulation.judges.logs import Logs
from chaos.simulation.judges.once import Once
from chaos.simulation.judges.platters import Platters
from chaos.simulation.members import Member
from chaos.simulation.outcome import Step
from chaos.simulation.schedule import Trouble
from raftcoord.consensus import records, segments
from raftcoord.consensus.records import Kind
from tests.chaos.fault_world import Scene


def is_cut(member: Member) -> bool:
    return member.node is not None and member.node.raft.log.tail_cut


def test_the_tail_is_what_follows_the_last_marker() -> None:
    scene = Scene(load=40.0)
    kinds = set()
    for _ in range(40):
        scene.run(0.1)
        disk = scene.world.members["n1"].disk
        spots = tail_spots(disk)
        for path, begin, end in spots:
            data = disk.content(path)
            number = segments.number_of(path.rpartition("/")[2])
            assert number is not None
            seed = records.seed("simulated", "n1", number)
            assert records.last_synced(data, begin, seed) is None
            assert data[end - 1 : end] == records.END
            if begin:
                kinds.add(data[begin])
        if spots:
            rest = disk.content(spots[-1][0])[spots[-1][2] :]
            assert not any(rest)
    assert Kind.ENTRY in kinds
    assert Kind.SYNCED not in kinds
    assert tail_spots(SimDisk()) == []


def test_a_new_file_is_tail_up_to_its_first_marker() -> None:
    scene = Scene(load=80.0)
    disk = scene.world.members["n1"].disk
    for _ in range(4000):
        scene.run(0.002)
        spots = tail_spots(disk)
        if spots and spots[0][1] == 0:
            break
    else:
        pytest.fail("no new file was begun")
    number = segments.number_of(spots[0][0].rpartition("/")[2])
    assert number is not None
    assert number > 1
    disk.flip(spots[0][0], 20)
    scene.world.members["n1"].damaged = True
    scene.world.kill("n1")
    scene.world.start("n1")
    scene.run(0.01)
    assert is_cut(scene.world.members["n1"])


def is_damaged(member: Member) -> bool:
    return member.damaged


def struck(scene: Scene, fault: str) -> tuple[str, int]:
    """Who lost its tail by this fault, or by one of a later seed, and what was applied before."""
    applied = 0
    for seed in range(20):
        scene.does(fault, seed)
        end = scene.world.loop.time() + 2.5
        while scene.world.loop.time() < end:
            found = [detail for _, detail in scene.told if ", bit " in detail]
            if found:
                return found[0].split(",")[0], applied
            nodes = [member.node for member in scene.world.members.values()]
            applied = max(node.applied for node in nodes if node is not None)
            scene.run(0.01)
    pytest.fail("nothing was flipped")


@pytest.mark.parametrize("fault", ["flip_tail", "flip_needed_tail"])
def test_a_member_that_lost_its_tail_knows_it_until_it_holds_it_again(fault: str) -> None:
    scene = Scene(load=60.0)
    name, _ = struck(scene, fault)
    member = scene.world.members[name]
    assert is_damaged(member)
    others = [other for other in scene.world.members if other != name]
    seen, end = False, scene.world.loop.time() + 15
    while is_damaged(member) and scene.world.loop.time() < end:
        scene.run(0.02)
        if is_cut(member):
            seen = True
            assert not any(may_lose(scene.world, other) for other in others)
    assert seen
    assert not is_damaged(member)
    assert not is_cut(member)
    scene.settle()


def test_the_leader_is_away_while_a_majority_lacks_what_was_acknowledged() -> None:
    lacking = 0
    for seed in range(6):
        scene = Scene(load=60.0, seed=seed + 1)
        leader = scene.world.leader()
        assert leader is not None
        name, applied = struck(scene, "flip_needed_tail")
        scene.run(0.3)
        rest = [member for other, member in scene.world.members.items() if other != leader]
        ends = [m.node.raft.last().index for m in rest if m.node is not None]
        assert name != leader
        lacking += len(ends) == 2 and max(ends) < applied
        scene.settle()
    assert lacking >= 2, "whoever was left had all that was acknowledged"


def journal(member: Member) -> bytes:
    files = [file for file in member.disk.list(JOURNAL) if file.endswith(".log")]
    return b"".join(member.disk.content(f"{JOURNAL}/{file}") for file in files)


@pytest.mark.parametrize("fault", ["flip_entry", "flip_vote", "flip_journal"])
def test_what_is_flipped_is_told_while_it_is_whole(fault: str) -> None:
    scene = Scene(load=40.0)
    members = scene.world.members
    whole = {name: journal(member) for name, member in members.items()}
    told = dict[str, bytes]()

    def said(name: str, detail: str) -> None:
        if ", bit " in detail:
            who = detail.split(",", maxsplit=1)[0]
            told[who] = journal(members[who])

    Trouble(scene.world, [Step(0.0, fault, seed) for seed in range(9)], said)
    scene.run(0.0)
    assert told
    assert all(before == whole[who] for who, before in told.items())
    assert all(before != journal(members[who]) for who, before in told.items())


def test_the_platters_are_read_before_a_bit_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = list[bool]()
    platters = Platters(Logs(Chronicle(Once(), ())))
    monkeypatch.setattr(platters, "look", lambda: looked.append(True))
    platters.fault(1.0, "flip_entry", "n1, bit 2 of byte 3 of data/journal/journal-00000001.log")
    assert looked
