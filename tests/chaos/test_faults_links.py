"""Faults of links: which directions they hurt, and for how long."""

from itertools import pairwise

import pytest

from tests.chaos.fault_world import Scene


def lasts(said: str) -> float:
    return float(said.rpartition(" for ")[2].split()[0])


def test_two_groups_do_not_hear_each_other_until_it_is_over() -> None:
    scene = Scene("five")
    said = scene.do("split")
    silent = scene.silent()
    assert silent
    assert silent == {way[::-1] for way in silent}
    group = {"n1"} | {b for b in scene.world.members if b != "n1" and ("n1", b) not in silent}
    rest = scene.world.members.keys() - group
    assert silent == {(a, b) for a in group for b in rest} | {(b, a) for a in group for b in rest}
    scene.run(lasts(said) - 0.05)
    assert scene.silent() == silent
    scene.run(0.1)
    assert scene.silent() == set()


def test_the_leader_alone() -> None:
    scene = Scene()
    leader = scene.world.leader()
    scene.do("isolate_leader")
    others = scene.world.members.keys() - {leader}
    assert scene.silent() == {(leader, b) for b in others} | {(b, leader) for b in others}


def test_deaf_and_mute() -> None:
    scene = Scene()
    scene.do("deaf")
    silent = scene.silent()
    (name,) = {b for _, b in silent}
    assert silent == {(a, name) for a in scene.world.members if a != name}
    scene.end()
    assert scene.silent() == set()
    scene.do("mute")
    (name,) = {a for a, _ in scene.silent()}
    assert scene.silent() == {(name, b) for b in scene.world.members if b != name}


def test_one_direction_and_one_link() -> None:
    scene = Scene()
    scene.do("one_way")
    assert len(scene.silent()) == 1
    scene.end()
    scene.do("cut_link")
    (one, other) = scene.silent()
    assert one == other[::-1]


def test_a_direction_that_two_faults_cut_is_whole_when_both_are_over() -> None:
    scene = Scene()
    assert scene.does("isolate_leader", 1, 3)
    first, second = (lasts(said) for _, said in scene.told)
    assert abs(first - second) > 0.2
    silent = scene.silent()
    scene.run(min(first, second) + 0.05)
    assert scene.silent() == silent
    scene.run(abs(first - second))
    assert scene.silent() == set()


@pytest.mark.parametrize("seed", range(4))
def test_clients_and_members(seed: int) -> None:
    scene = Scene()
    scene.do("cut_clients", seed)
    silent = scene.silent()
    assert silent
    assert all({a[0], b[0]} == {"n", "c"} for a, b in silent)


def test_a_link_comes_and_goes() -> None:
    scene = Scene()
    scene.do("flapping")
    seen = []
    for _ in range(200):
        scene.run(0.02)
        seen.append(bool(scene.silent()))
    assert sum(a != b for a, b in pairwise(seen)) > 5


def test_slowness_of_one_direction_and_of_all() -> None:
    scene = Scene()
    said = scene.do("slow_link")
    ((way, more),) = scene.net._slow.items()
    assert said.startswith(f"{way[0]} > {way[1]} {more * 1000:.0f} ms for ")
    scene.run(lasts(said) + 0.05)
    assert not scene.net._slow
    scene.do("slow_network")
    assert len(scene.net._slow) == 6
    scene.end()
    assert scene.net.is_whole


def test_a_narrow_link_and_losses_end() -> None:
    scene = Scene()
    for fault in ("narrow_link", "loss", "loss_with_reset"):
        said = scene.do(fault)
        assert not scene.net.is_whole
        scene.run(lasts(said) + 0.1)
        assert scene.net.loss == scene.net.loss_reset == 0
        assert not scene.net._narrow


def connections(scene: Scene) -> int:
    nodes = [member.node for member in scene.world.members.values()]
    return sum(node.status().counters["connections"] for node in nodes if node is not None)


def test_resets_break_links_that_are_made_anew() -> None:
    scene = Scene()
    assert connections(scene) == 6
    a, b = scene.do("reset").split()
    scene.run(1)
    assert connections(scene) == 8
    assert scene.net.connections(a, b) == 1
    scene.do("storm")
    scene.run(8)
    assert connections(scene) > 8 + 3 * 2
    assert all(scene.net.connections("n1", name) == 1 for name in ("n2", "n3"))
