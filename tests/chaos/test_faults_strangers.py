"""Bytes that nobody of the cluster meant, as the members see them."""

from collections import Counter

import pytest

from chaos.simulation.endpoint import Endpoint
from tests.chaos.fault_world import Scene


def counted(scene: Scene) -> Counter[str]:
    total = Counter[str]()
    for member in scene.world.members.values():
        if member.node is not None:
            total.update(member.node.status().counters)
    return total


REFUSALS = {
    "noise": {"refused_magic", "refused_timeout", "refused_closed"},
    "a hello": {"refused_secret", "refused_target", "refused_cluster", "refused_malformed"},
    "frames": {"refused_magic", "refused_timeout", "refused_closed"},
    "a replay": {"refused_secret"},
    "silence": {"refused_timeout", "refused_closed", "refused_full"},
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_stranger_is_refused_and_disturbs_nobody(kind: str) -> None:
    scene = Scene()
    before, leader = counted(scene), scene.world.leader()
    for seed in range(100):
        drawn = scene.does("garbage", seed) and f" {kind}, " in scene.told[-1][1]
        if drawn:
            scene.run(3.1)  # a handshake may take 3 seconds
        scene.end()
        more = counted(scene) - before
        if any(more[reason] for reason in REFUSALS[kind]):
            break
    else:
        pytest.fail(f"no {kind} was refused: {more}")
    assert scene.world.leader() == leader
    assert not scene.world.loop.is_alive("stranger")
    scene.settle()


def test_a_damaged_segment_breaks_its_connection() -> None:
    reasons = ("broken_checksum", "broken_length", "broken_body")
    broken = 0
    for seed in range(6):
        scene = Scene(peace=1.0)
        a, _, b = scene.do("damaged_segment", seed).split()
        scene.run(1.0)
        more = sum(counted(scene)[reason] for reason in reasons)
        broken += more
        assert more == 1 or scene.net._damage, "a damaged segment was taken for a whole one"
        assert scene.net.connections(a, b) == 1
    assert broken >= 3


def came_late(scene: Scene, a: str, b: str) -> bool:
    """Whether bytes come from `a` to `b` when there is a newer connection."""
    came = False
    let_go = scene.net.let_go

    def noted(end: Endpoint) -> None:
        nonlocal came
        ends = [e for e in scene.net._endpoints if (e.host.name, e.peer.host.name) == (a, b)]
        newer = [e for e in ends if e.is_open and not e.is_late]
        came |= end.is_late and bool(newer) and bool(end.held)
        let_go(end)

    scene.net.let_go = noted  # type: ignore[method-assign]
    scene.run(3.0)
    scene.net.let_go = let_go  # type: ignore[method-assign]
    scene.run(1.0)
    return came


@pytest.mark.parametrize("dies", [True, False])
def test_late_bytes_come_when_a_newer_connection_is_there(dies: bool) -> None:
    scene = Scene(load=40.0)
    came = 0
    for seed in range(40):
        if not scene.does("late_bytes", seed) or ("former life" in scene.told[-1][1]) != dies:
            scene.end()
            scene.run(1.0)
            continue
        a, _, b = scene.told[-1][1].split(",")[0].split()
        ends = [e for e in scene.net._endpoints if e.is_late]
        assert {(e.host.name, e.peer.host.name) for e in ends} == {(a, b)}
        came += came_late(scene, a, b)
        assert scene.net.connections(a, b) >= 1
        if came == 2:
            break
    assert came == 2
    scene.settle()
