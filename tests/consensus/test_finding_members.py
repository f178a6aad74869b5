"""Findings 13, 22: membership, on the library's own class and on ours in the same scenario."""

from pysyncobj.node import Node

from raftcoord.consensus.core import LEADER
from raftcoord.consensus.membership import Member
from raftcoord.consensus.proposals import Outcome
from tests.consensus.lockstep import World, acknowledged, kinds
from tests.consensus.stock import SUCCESS, stock


def test_finding_13_stock_removes_a_majority_one_by_one() -> None:
    with stock(dynamicMembershipChange=True) as world:
        world.elect("A")
        world.pump()
        world.isolate("A")
        world["A"].removeNodeFromCluster(Node("B"))
        world["A"].removeNodeFromCluster(Node("C"))
        left = world.put("A", "left")
        for _ in range(3):
            world.tick("A", dt=0.1)
        world.elect("B", "BC")
        right = world.put("B", "right")
        world.pump("BC", rounds=6)
        assert (left, right) == ([("left", SUCCESS)], [("right", SUCCESS)])
        assert (world["A"].seen, world["B"].seen) == (["left"], ["right"])


def test_finding_13_removes_a_majority_one_by_one() -> None:
    world = World()
    world.elect("A")
    world.pump(rounds=2)
    world.isolate("A")
    removed: list[Outcome] = []
    for name in "BC":
        new = world["A"].history.current.without(name)
        world["A"].change_configuration(new, removed.append)
    assert kinds(removed) == ["refused"], "the first one is not committed"
    assert world["A"].voters == {"A", "C"}
    left = world.propose("A", "left")
    for _ in range(3):
        world.tick("A", dt=0.1)
    assert not left
    world.elect("B", "BC")
    right = world.propose("B", "right")
    world.pump("BC", rounds=3)
    assert acknowledged(right) == ["right"]
    world.heal("A")
    world.pump(rounds=4)
    assert kinds(left) == ["unknown"]
    assert kinds(removed) == ["refused", "unknown"]
    assert world["A"].voters == set("ABC"), "undone with its entry"
    assert world.seen("A") == world.seen("B") == world.seen("C") == ["right"]


def test_finding_22_stock_an_empty_node_stops_the_writes() -> None:
    with stock(dynamicMembershipChange=True) as world:
        world.elect("A")
        world.pump()
        world.isolate("C")
        world["A"].addNodeToCluster(Node("D"))
        told = world.put("A", "value")
        world.pump("AB", rounds=50)
        assert not told, "two of four"


def test_finding_22_an_empty_node_stops_the_writes() -> None:
    world = World()
    world.elect("A")
    world.pump(rounds=2)
    world.isolate("C")
    added: list[Outcome] = []
    learner = Member("D:1", "D:2", incarnation=7, voter=False, promote=True)
    new = world["A"].history.current.with_member("D", learner)
    world["A"].change_configuration(new, added.append)
    told = world.propose("A", "value")
    world.pump("AB", rounds=50)
    assert kinds(added) == ["applied"]
    assert acknowledged(told) == ["value"]
    assert world["A"].voters == set("ABC"), "what never caught up is never promoted"


def test_finding_22_a_learner_is_promoted_when_it_has_caught_up() -> None:
    world = World(promote_within=5, batch=100)
    world.elect("A")
    world.propose("A", *(f"value-{n:02}" for n in range(40)))
    world.pump(rounds=10)
    world.join("D", 7)
    learner = Member("D:1", "D:2", incarnation=7, voter=False, promote=True)
    new = world["A"].history.current.with_member("D", learner)
    world["A"].change_configuration(new, lambda outcome: None)
    behind = []
    for _ in range(100):
        world.tick("A", dt=0.01)
        world.deliver("A", "D", 1)
        for name in "BC":
            world.deliver("A", name)
            world.deliver(name, "A")
        world.deliver("D", "A")
        if "D" in world["A"].voters:
            break
        behind.append(world["A"].last().index - world["D"].last().index)
    assert "D" in world["A"].voters
    assert max(behind) > 30
    assert min(behind) <= 5
    world.pump(rounds=3)
    assert world["D"].is_voter()
    assert world.leaders == "A"
    world.isolate("B")
    world.isolate("C")
    told = world.propose("A", "two of four")
    world.pump("AD", rounds=5)
    assert not told, "now it counts among four"
    assert world["A"].role == LEADER
