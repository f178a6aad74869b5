"""Faults of processes: who dies when, and comes back."""

import asyncio
from itertools import pairwise

import pytest

from chaos.simulation.violation import Violation
from raftcoord.server.process import Process
from tests.chaos.fault_world import Scene


def started(scene: Scene, name: str) -> int:
    return sum(what == ("started", name, life) for what in scene.seen.lives for life in (what[2],))


async def deaf(process: Process) -> None:
    """Does not end when it is told to."""
    await asyncio.sleep(60)


def test_a_kill_now_and_a_kill_in_the_midst_of_writing() -> None:
    scene = Scene()
    ways = set()
    for seed in range(30):
        said = scene.do("kill", seed)
        scene.run(3.6)  # 2 of them until it dies while it writes
        name = scene.told[-2][1].partition(",")[0]
        ways.add("at once" if said == name else "in an operation")
        assert set(scene.world.alive()) == set(scene.world.members)
        details = [detail for _, detail in scene.told if " middle write of " in detail]
        if details and len(ways) == 2:
            break
    assert ways == {"at once", "in an operation"}
    assert details
    assert set(scene.seen.why) == {"kill"}
    scene.settle()


def test_a_power_cut_in_the_midst_of_writing_leaves_half_a_record() -> None:
    torn = 0
    for seed in range(30):
        scene = Scene(peace=1.0)
        if not scene.does("power_cut", seed):
            continue
        scene.run(2.5)
        details = [detail for _, detail in scene.told if " of data/journal" in detail]
        torn += any("middle write" in detail or "after write" in detail for detail in details)
        assert set(scene.seen.why) <= {"power cut"}
        if torn == 2:
            break
    assert torn == 2


def test_one_dies_again_while_it_starts() -> None:
    scene = Scene()
    scene.do("kill_at_start")
    scene.run(4)
    lives = [what for what in scene.seen.lives if what[1] == scene.told[0][1].partition(",")[0]]
    unopened = [a for a, b in pairwise(lives) if a[0] == "started" and b[0] == "stopped"]
    assert unopened, "every process came to open its data"
    assert lives[-1][0] == "opened"


def test_all_and_a_majority() -> None:
    for fault, least in (("kill_all", 3), ("power_cut_of_all", 3), ("power_cut_of_majority", 2)):
        scene = Scene()
        assert len(scene.do(fault).split()) == least
        assert len(scene.world.alive()) == 3 - least
        scene.run(2)
        assert len(scene.world.alive()) == 3
        assert len(scene.seen.why) == least


def test_one_that_was_away_for_long() -> None:
    scene = Scene()
    scene.do("kill_for_long")
    scene.run(4.9)  # 2 of them until it dies while it writes
    assert len(scene.world.alive()) == 2
    scene.run(8)
    assert len(scene.world.alive()) == 3


def test_a_process_stands_still_and_goes_on() -> None:
    scene = Scene()
    leader = scene.world.leader()
    said = scene.do("pause_leader")
    name, seconds = said.split()[0], float(said.split()[2])
    assert name == leader
    assert scene.world.members[name].paused
    assert name not in scene.world.alive()
    scene.run(seconds - 0.05)
    assert scene.world.members[name].paused
    scene.run(0.1)
    assert not scene.world.members[name].paused
    assert scene.seen.why == []


def test_a_pause_does_not_wake_the_next_life() -> None:
    scene = Scene()
    name = scene.do("pause").split()[0]
    scene.world.kill(name)
    scene.world.start(name)
    scene.run(0.2)
    scene.world.pause(name)
    scene.end()
    assert scene.world.members[name].paused


def test_all_are_restarted_one_by_one() -> None:
    ways = set()
    for seed in range(12):
        scene = Scene()
        order = scene.do("rolling_restart", seed).split()
        scene.run(12)
        assert sorted(order) == ["n1", "n2", "n3"]
        stops = [name for what, name, _ in scene.seen.lives if what == "stopped"]
        assert stops == order
        behind = scene.seen.lives[6:]
        assert [what for what, _, _ in behind] == ["stopped", "started", "opened"] * 3
        ways.add(tuple(scene.seen.why))
        if len(ways) == 2:
            break
    assert ways == {("kill",) * 3, ("told to stop",) * 3}


def test_one_is_told_to_stop_and_comes_back() -> None:
    scene = Scene(load=40.0)
    leader = scene.world.leader()
    name = scene.do("stop_leader")
    assert name == leader
    scene.run(5)
    assert scene.seen.why == ["told to stop"]
    assert set(scene.world.alive()) == set(scene.world.members)
    assert scene.do("stop") in scene.world.members
    scene.settle()


def test_one_that_does_not_end_when_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Process, "stop", deaf)
    scene = Scene()
    name = scene.do("stop")
    assert not scene.world.stop(name, lambda: None), "it is told once"
    scene.run(7.5)
    with pytest.raises(Violation, match=f"liveness: {name} was told to stop, and runs yet"):
        scene.run(1)


def test_one_that_dies_while_it_stops_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Process, "stop", deaf)
    scene = Scene()
    name = scene.do("stop")
    scene.world.kill(name)
    scene.world.start(name)
    scene.run(10)
    assert scene.seen.why == ["kill"]
    assert name in scene.world.alive()
