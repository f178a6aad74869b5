"""Strangers that speak the protocol, and the judge of who is taken for whom."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from chaos.simulation.faults.strangers import HOST
from chaos.simulation.judges.strangers import Strangers
from chaos.simulation.outcome import Step
from chaos.simulation.profiles import PROFILES, replace
from chaos.simulation.simulate import simulate
from chaos.simulation.violation import Violation
from raftcoord.consensus.handshake import Handshake
from tests.chaos.fault_world import Scene


def refused(scene: Scene) -> int:
    return sum(
        member.node.status().counters["refused_secret"]
        for member in scene.world.members.values()
        if member.node is not None
    )


def test_an_intruder_is_refused_for_its_proof_and_moves_nobody() -> None:
    scene = Scene()
    leader, terms = scene.world.leader(), set()
    for seed in range(8):
        before, said = refused(scene), scene.do("intruder", seed)
        scene.run(3.1)  # none of them is longer there
        assert refused(scene) - before == int(said.split()[1]), said
        terms |= {m.node.raft.term for m in scene.world.members.values() if m.node is not None}
    assert scene.world.leader() == leader
    assert len(terms) == 1
    scene.end()
    assert not scene.world.loop.is_alive(HOST)
    scene.settle()


def test_an_intruder_that_is_believed_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    calm = replace(PROFILES["three"], seconds=4.0, http_every=0)
    steps = [Step(2.0, "intruder", 1)]
    assert simulate(1, calm, steps=steps).broken is None
    monkeypatch.setattr(Handshake, "_check_proof", lambda *_: None)
    broken = simulate(1, calm, steps=steps).broken
    assert broken is not None
    assert broken.judge == "strangers"


def world(name: str, caller: str, *, linked: bool = True) -> Any:
    """n1 has a connection that counts as `name`'s, and ends at `caller`."""
    end = SimpleNamespace(peer=SimpleNamespace(host=SimpleNamespace(name=caller)))
    link = SimpleNamespace(is_linked=linked, _transport=end)
    net = SimpleNamespace(_links={name: link})
    up, down = SimpleNamespace(node=SimpleNamespace(_net=net)), SimpleNamespace(node=None)
    return SimpleNamespace(hosts={"n1": up, "n2": down})


@pytest.mark.parametrize(("name", "caller"), [("n2", HOST), ("n2", "n3"), ("n3", "c1")])
def test_whoever_is_taken_for_another_is_seen(name: str, caller: str) -> None:
    judge, bad = Strangers(), world(name, caller)
    judge.began(bad)
    with pytest.raises(Violation, match=f"n1 takes {caller} for {name}"):
        judge.looked(1.0, bad)
    with pytest.raises(Violation, match=f"n1 takes {caller} for {name}"):
        judge.delivered(1.0, HOST, "n1", 0.9, b"x")


def test_members_and_those_who_are_not_believed_are_no_strangers() -> None:
    for good in (world("n2", "n2"), world("n2", HOST, linked=False)):
        judge = Strangers()
        judge.began(good)
        judge.looked(1.0, good)
        judge.delivered(1.0, HOST, "n1", 0.9, b"x")
        judge.delivered(1.0, HOST, "n2", 0.9, b"x")
        judge.delivered(1.0, "n2", "n1", 0.9, b"x")
        judge.delivered(1.0, "n1", "c1", 0.9, b"x")
