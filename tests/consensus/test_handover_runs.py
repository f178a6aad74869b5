"""Leadership that moves on purpose, full disks, and states that differ, in runs of real cores."""

from collections import deque
from typing import Any

import pytest

from raftcoord.consensus import messages as msg
from raftcoord.consensus import serving
from raftcoord.consensus.core import FOLLOWER, LEADER
from raftcoord.consensus.membership import Member
from raftcoord.consensus.peers import PeerNode
from raftcoord.consensus.proposals import Outcome
from raftcoord.errors import StorageFull
from tests.consensus.lockstep import Stopped, World, acknowledged, kinds


def led_by_a(names: str = "ABC", **core: Any) -> World:
    """A leads, everybody has heard of it."""
    world = World(names, **core)
    world.elect("A")
    world.pump(rounds=2)
    return world


def decided(world: World, name: str, payload: str) -> list[Outcome]:
    """Propose, and let it be decided."""
    told = world.propose(name, payload)
    world.exchange(rounds=6)
    return told


# Transfer (dissertation §3.10).


def test_section_3_10_a_transfer_moves_leadership_and_loses_no_write() -> None:
    world = led_by_a()
    moved: list[bool] = []
    before = world.propose("A", "before")
    world["A"].transfer("C", moved.append)
    meanwhile = world.propose("A", "meanwhile") + world.propose("B", "also")
    since = world.now
    told = [before, meanwhile]
    while world["C"].role != LEADER or not world["C"].is_ready():
        world.tick(dt=0.001)
        world.exchange()
        assert world.now - since < 0.05, "at once, without a pre-vote"
    assert moved == [True]
    world.pump(rounds=3)
    assert world.leaders == "C"
    assert acknowledged(before) == ["before"]
    assert all(outcome.kind != "unknown" for outcomes in told for outcome in outcomes)
    assert acknowledged(decided(world, "A", "after")) == ["after"]


def test_section_3_10_the_target_catches_up_first_while_writes_wait() -> None:
    world = led_by_a()
    world.cut("A", "C")
    world.propose("A", *map(str, range(20)))
    world.pump("AB", rounds=2)
    world.connect("A", "C")
    moved: list[bool] = []
    world["A"].transfer("C", moved.append)
    end = world["A"].last().index
    later = world.propose("A", "later")
    told = deque[str]()
    for _ in range(50):
        told += [type(m).__name__ for m in world.under_way("A", "C")]
        caught_up = world["A"].match_index[PeerNode("C")] == end
        assert caught_up or "TimeoutNow" not in told
        assert world["A"].last().index == end, "writes wait"
        world.deliver("A", "C")
        world.deliver("C", "A")
        if world["C"].term > 1:
            break
        world.tick("A", "C", dt=0.002)
    assert "TimeoutNow" in told
    world.exchange(rounds=4)
    world.pump(rounds=2)
    assert world.leaders == "C"
    assert moved == [True]
    assert kinds(later) in (["applied"], ["refused"])


def test_section_3_10_a_transfer_that_comes_to_nothing_ends_in_a_second() -> None:
    world = led_by_a()
    world.cut("A", "C")
    world.propose("A", "C lacks this")
    world.pump("AB", rounds=1)
    moved: list[bool] = []
    world["A"].transfer("C", moved.append)
    since = world.now
    later = world.propose("A", "later")
    while not moved:
        assert not later
        world.pump("AB", rounds=1, dt=0.02)
        assert world.now - since <= world.settings.transfer_patience + 0.1
    assert moved == [False]
    world.pump("AB", rounds=2)
    assert acknowledged(later) == ["later"], "writes go on"
    assert world.leaders == "A"


def test_section_3_10_a_target_that_is_lost_ends_it_at_once() -> None:
    world = led_by_a()
    world.cut("A", "C")
    world.propose("A", "C lacks this")
    world.pump("AB", rounds=1)
    moved: list[bool] = []
    world["A"].transfer("C", moved.append)
    world.kill("C")
    world.tick("A")
    assert moved == [False]
    later = world.propose("A", "later")
    world.exchange("AB")
    assert acknowledged(later) == ["later"]


def test_section_3_10_without_a_name_it_goes_to_who_is_furthest() -> None:
    world = led_by_a()
    world.cut("A", "B")
    world.propose("A", "B lacks this")
    world.pump("AC", rounds=1)
    moved: list[bool] = []
    world["A"].transfer(None, moved.append)
    world.exchange("AC", rounds=5)
    assert moved == [True]
    assert world["C"].role == LEADER


@pytest.mark.parametrize("target", ["A", "D", "X"])
def test_section_3_10_only_to_a_voter(target: str) -> None:
    world = led_by_a()
    world.join("D", 7)
    member = Member("D:1", "D:2", incarnation=7, voter=False)
    world["A"].change_configuration(
        world["A"].history.current.with_member("D", member), lambda outcome: None
    )
    world.pump(rounds=3)
    moved: list[bool] = []
    world["A"].transfer(target, moved.append)
    assert moved == [False]
    world["B"].transfer("C", moved.append)
    assert moved == [False, False], "and only by the leader"
    told = world.propose("A", "value")
    world.exchange()
    assert acknowledged(told) == ["value"]


def test_section_3_10_one_at_a_time() -> None:
    world = led_by_a()
    world.cut("A", "C")
    world.propose("A", "C lacks this")
    moved: list[bool] = []
    world["A"].transfer("C", lambda done: None)
    world["A"].transfer("B", moved.append)
    assert moved == [False]


def test_section_3_10_only_the_leader_may_say_so() -> None:
    world = led_by_a()
    world.hand("B", "C", msg.TimeoutNow(term=1))
    world.tick("C")
    assert world["C"].term == 1
    world.hand("A", "C", msg.TimeoutNow(term=1))
    world.hand("A", "C", msg.Heartbeat(term=1, round=1))  # a beat behind it changes nothing
    world.tick("C")
    assert world["C"].term == 2


# A full disk.


def fill(world: World, name: str) -> None:
    """Leave its disk no room for another file."""
    world.disks[name].capacity = world.disks[name].used()


def write_until_full(world: World, name: str, through: str = "A") -> int:
    """Write until the member says that it is full; how many writes were acknowledged."""
    told = []
    for n in range(200):
        if world[name].log.full:
            return sum(len(acknowledged(outcomes)) for outcomes in told)
        told.append(world.propose(through, f"{n:03}" + "x" * 1000))
        world.exchange()
    raise AssertionError("it never was")


def chores(world: World) -> None:
    """What the driver does a few times a second."""
    for member in world.members.values():
        member.journal.retry_space()


def test_a_leader_whose_disk_is_full_hands_over_to_one_with_room() -> None:
    world = led_by_a(segment=1 << 15)
    fill(world, "A")
    write_until_full(world, "A")
    world.pump(rounds=3, dt=0.02)
    [leader] = world.leaders
    assert leader in "BC"
    told = world.propose(leader, "value")
    world.pump(rounds=2)
    assert acknowledged(told) == ["value"], "of three, one may be full"
    assert not world.holds("A", "value"), "it acknowledges nothing more"
    assert world[leader].peer_full["A"]
    world.disks["A"].capacity = None
    chores(world)
    world.pump(rounds=4)
    assert world.holds("A", "value")
    assert world.seen("A") == world.seen("B") == world.seen("C")


def test_a_full_leader_refuses_with_the_reason_where_nobody_has_room() -> None:
    world = led_by_a(segment=1 << 15)
    for name in "ABC":
        fill(world, name)
    write_until_full(world, "A")
    world.pump(rounds=3, dt=0.02)
    [leader] = world.leaders
    for through in "ABC":
        told = decided(world, through, "value")
        assert kinds(told) == ["refused"]
        assert isinstance(told[0].error, StorageFull)
    read = world.read(leader)
    world.exchange()
    assert read == [world[leader].commit], "reads need no room"
    for name in "ABC":
        world.disks[name].capacity = None
    chores(world)
    world.pump(rounds=4)
    told = decided(world, leader, "value")
    world.pump(rounds=1)
    assert acknowledged(told) == ["value"]
    assert world.seen("A") == world.seen("B") == world.seen("C")


def test_a_follower_whose_disk_is_full_acknowledges_nothing_more() -> None:
    world = led_by_a(segment=1 << 15)
    fill(world, "C")
    write_until_full(world, "C")
    end = world["C"].last().index
    told = world.propose("A", "value")
    world.pump(rounds=4)
    assert acknowledged(told) == ["value"], "A and B are a majority"
    assert world["C"].last().index == end
    assert not world.holds("C", "value")
    assert world["A"].match_index[PeerNode("C")] <= end
    assert world.leaders == "A"
    world.isolate("B")
    told = world.propose("A", "with C alone")
    world.pump("AC", rounds=3)
    assert not acknowledged(told)
    world.disks["C"].capacity = None
    chores(world)
    world.pump("AC", rounds=3)
    assert acknowledged(told) == ["with C alone"]


def test_what_was_acknowledged_before_the_disk_was_full_survives_power_cuts() -> None:
    world = led_by_a(segment=1 << 15)
    for name in "ABC":
        fill(world, name)
    count = write_until_full(world, "B")
    for name in "ABC":
        world.disks[name].capacity = None
        world.restart(name, power=True)
    world.elect("B")
    world.pump(rounds=4)
    assert len(world.seen("C")) >= count > 10


# States that differ.


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare every ten entries."""
    monkeypatch.setattr(serving, "CHECKPOINT", 10)


def apply_wrongly(world: World, name: str, *, rounds: int = 4) -> None:
    """One member's machine gets an entry wrong; write past the next checkpoint."""
    world.members[name].machine.mistaken = b"7"
    world.propose("A", *map(str, range(20)))
    world.pump(rounds=rounds)
    world.pump(rounds=rounds)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("name", ["A", "C"])
def test_a_member_whose_state_differs_stops(name: str) -> None:
    world = led_by_a()
    with pytest.raises(Stopped, match=f"{name} stops: its state differs"):
        apply_wrongly(world, name)
    world.kill(name)
    if name == "A":
        world.elect("B")
    [leader] = world.leaders
    told = world.propose(leader, "value")
    world.pump(rounds=2)
    assert acknowledged(told) == ["value"], "the majority goes on"
    world.start(name)  # from its log, correctly this time
    world.pump(rounds=4)
    assert world.seen(name) == world.seen(leader)


@pytest.mark.usefixtures("often")
def test_a_member_whose_state_differs_is_told_by_the_leader_only() -> None:
    world = led_by_a()
    world.hand("B", "C", msg.Diverged(term=1, index=10))
    world.hand("A", "C", msg.Diverged(term=0, index=10))
    assert world["C"].role == FOLLOWER
    with pytest.raises(Stopped):
        world.hand("A", "C", msg.Diverged(term=1, index=10))


@pytest.mark.usefixtures("often")
def test_equal_states_stop_nobody() -> None:
    world = led_by_a()
    for round_ in range(5):
        world.propose("A", *(f"{round_}-{n}" for n in range(20)))
        world.pump(rounds=2)
    world["A"].take_snapshot()
    world.restart("C")
    world.propose("A", *map(str, range(20)))
    world.pump(rounds=4)
    assert {world[name].digests.last for name in "ABC"} == {world["A"].digests.last}
    assert world["A"].digests.last[0] > 100
