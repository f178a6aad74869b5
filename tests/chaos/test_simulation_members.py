"""Members that come and go in a simulated world, as documented."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chaos.simulation.profiles import PROFILES, replace
from chaos.simulation.settling import settle
from chaos.simulation.violation import Violation
from chaos.simulation.world import World

FIVE = replace(PROFILES["five"], clients=2, load=20.0)


@pytest.fixture
def world() -> World:
    world = World(3, profile=FIVE)
    world.begin()
    world.run(2)
    return world


def are_voters(world: World, *names: str) -> Callable[[], bool]:
    def agreed() -> bool:
        known = world.configuration()
        return known is not None and known.voters == set(names) == set(world.members)

    return agreed


def test_a_spare_joins_as_a_learner_and_votes_when_it_has_caught_up(world: World) -> None:
    assert world.spares == ["n6"]
    assert world.add("n6")
    assert world.hosts["n6"].start_as == "join"
    world.until(are_voters(world, "n1", "n2", "n3", "n4", "n5", "n6"), 10, "six vote")
    world.until(lambda: world.hosts["n6"].start_as == "normal", 2, "it is as the others")
    assert not world.add("n6")
    settle(world)


def test_a_removed_member_stops_and_loses_its_data(world: World) -> None:
    removed = next(name for name in world.alive() if name != world.leader())
    assert world.remove(removed)
    assert not world.remove(removed)
    rest = [name for name in world.members if name != removed]
    world.until(are_voters(world, *rest), 10, "four vote")
    assert removed in world.spares
    assert not world.loop.is_alive(removed)
    assert world.hosts[removed].disk.used() == 0
    settle(world)


def test_a_member_is_taken_out_only_when_it_may_leave(world: World) -> None:
    may = False
    assert world.remove("n5", lambda: may)
    world.run(3)
    assert "n5" in world.members
    may = True
    world.until(are_voters(world, "n1", "n2", "n3", "n4"), 10, "four vote")


def test_nobody_knows_the_members_while_one_that_is_down_may_have_others(world: World) -> None:
    leader = world.leader()
    assert leader is not None
    out = next(name for name in world.members if name != leader)
    for name in world.members:
        if name != leader:
            world.loop.net.cut(leader, name)
    node = world.hosts[leader].node
    assert node is not None
    with world.loop.host(leader):
        node.remove(out, lambda _: None)
    assert world.configuration() is None
    world.kill(leader)
    assert world.configuration() is None
    world.loop.net.heal_all()
    world.until(lambda: world.configuration() is not None, 10, "another entry stands there")
    known = world.configuration()
    assert known is not None
    assert out in known.members
    world.start(leader)
    settle(world)


def test_a_leader_that_is_removed_steps_down_first(world: World) -> None:
    leader = world.leader()
    assert leader is not None
    world.remove(leader)
    rest = [name for name in world.members if name != leader]
    world.until(are_voters(world, *rest), 10, "four vote")
    world.until(lambda: world.leader() is not None, 5, "another leads")
    assert world.leader() != leader
    world.add(leader)
    world.until(are_voters(world, *sorted([*rest, leader])), 10, "it is back")
    settle(world)


def test_a_wiped_member_comes_back_under_another_incarnation(world: World) -> None:
    world.wipe("n2")
    world.start("n2")
    world.until(lambda: world.hosts["n2"].start_as == "normal", 10, "it votes again")
    known = world.configuration()
    assert known is not None
    assert known.members["n2"].incarnation != 0
    assert known.members["n1"].incarnation == 0
    settle(world)


def test_a_process_that_ends_itself_is_a_violation_where_nobody_expects_it(world: World) -> None:
    world.hosts["n1"].disk.fail_next_sync = True
    with pytest.raises(Violation, match="crash: n1 ended itself"):
        world.run(2)


def test_an_expected_end_is_none_and_expires(world: World) -> None:
    world.expect_stop("n1", "cannot be synced", seconds=1.0)
    world.hosts["n1"].disk.fail_next_sync = True
    world.run(1)
    stopped_for = world.hosts["n1"].stopped_for
    assert stopped_for is not None
    assert "cannot be synced" in stopped_for
    world.start("n1")
    world.run(0.5)
    world.hosts["n1"].disk.fail_next_sync = True
    with pytest.raises(Violation, match="ended itself"):
        world.run(2)
