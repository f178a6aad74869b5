"""What must hold beyond the findings: elections, damaged ends, lost folders, dead leaders."""

from random import Random

import pytest

from raftcoord.consensus import messages as msg
from raftcoord.consensus.core import CANDIDATE, FOLLOWER, LEADER
from raftcoord.consensus.membership import Member
from raftcoord.consensus.peers import PeerNode
from tests.consensus.lockstep import World, acknowledged


def led_by_a(names: str = "ABC") -> World:
    """A leads, everybody has heard of it."""
    world = World(names)
    world.elect("A")
    world.pump(rounds=2)
    return world


# Pre-vote.


def test_prevote_a_refusal_carries_the_term() -> None:
    """Two of three connected members: one has the longer log, the other the higher term."""
    world = led_by_a()
    world.isolate("A")
    told = world.propose("A", *(f"mine-{n}" for n in range(3)))
    world.campaign("B")
    world.deliver("B", "C")
    world.deliver("C", "B")  # C would vote for B in term 2; B stands
    world.kill("C")
    assert (world["B"].term, world["A"].term) == (2, 1)
    assert world["A"].last() > world["B"].last()
    world.pump("A", rounds=15)  # it steps down
    world.heal("A")
    world.campaign("A")
    world.exchange()
    assert world["A"].term == 2, "what refused it said that its term is old"
    world.elect("A")
    assert acknowledged(told) == [f"mine-{n}" for n in range(3)]


def test_prevote_is_refused_while_a_leader_is_heard() -> None:
    world = led_by_a()
    world["C"].deadline = world.now
    world.tick("C")
    assert [type(m) for m in world.under_way("C", "B")] == [msg.PreVoteRequest]
    world.exchange()
    assert world.leaders == "A"
    assert world["C"].term == 1
    world.cut("A", "C")
    world.pump("AB", rounds=2)
    world["C"].deadline = world.now
    world.tick("C")
    world.deliver("C", "B")
    [answer] = [m for m in world.under_way("B", "C") if isinstance(m, msg.PreVote)]
    assert not answer.granted, "B hears A"


# A leader that dies, and one that falls silent.


def next_leader(world: World, step: float) -> float:
    """Seconds until the members that run have a leader that may write, `step` at a time."""
    since = world.now
    while not any(world[name].is_ready() for name in world.leaders):
        assert world.now - since < 2.0
        world.tick(dt=step)
        world.exchange()
    return world.now - since


@pytest.mark.parametrize("killed", ["A", "B", "C"])
def test_a_dead_leader_is_followed_at_once(killed: str) -> None:
    world = World()
    world.elect(killed)
    world.pump(rounds=2)
    world.kill(killed)
    assert next_leader(world, 0.001) < 0.05


@pytest.mark.parametrize("seed", range(5))
def test_a_silent_leader_is_followed_within_a_second(seed: int) -> None:
    world = World()
    world.chance = Random(seed).random
    world.elect("A")
    world.pump(rounds=2)
    world.isolate("A")
    members = dict(world.members)
    del world.members["A"]  # stopped, but its connections stay open
    assert 0.3 < next_leader(world, 0.01) < 1.0
    world.members = members
    world.heal("A")
    world.pump(rounds=3)
    assert world.leaders in ("B", "C")


def test_followers_of_a_dead_leader_do_not_split_the_vote() -> None:
    world = World("ABCDE")
    world.elect("C")
    world.pump(rounds=2)
    world.kill("C")
    before = {name: world[name].counters["elections"] for name in "ABDE"}
    next_leader(world, 0.001)
    stood = [name for name in "ABDE" if world[name].counters["elections"] > before[name]]
    assert stood == ["A"], "the lowest id first, the others a little later"


# A log whose end was damaged.


def damaged(*, segment: int = 1 << 16) -> tuple[World, list[str]]:
    """A leads with F's acknowledgements, C was cut off; F lost the end of what it acknowledged.

    A is down as well, and knows of less that is committed than it told its callers.
    """
    values = [f"value-{n}" for n in range(4)]
    world = World("ACF", segment=segment, batch=1)
    world.elect("A")
    world.pump(rounds=2)
    world.isolate("C")
    told = world.propose("A", *values)
    edges = world.members["F"].edges
    edges.hold()  # the first entry goes in one write, the others gather for the next
    world.deliver("A", "F")
    edges.let_go()
    world.deliver("F", "A")
    world.tick("A")
    assert acknowledged(told) == values
    for name in "AF":
        world.kill(name)
    world.damage("F", "value-1")
    for name in "AF":
        world.start(name)
    assert world["F"].log.tail_cut
    assert world.holds("F", "value-0")
    assert not world.holds("F", "value-1")
    assert world["A"].commit < world["A"].last().index
    return world, values


def elected_by_c_alone(world: World) -> None:
    """A leads with C's vote; C hears nothing more, and F counts for nothing."""
    world.connect("A", "C")
    world.campaign("A")
    for _ in range(2):
        world.deliver("A", "C")
        world.deliver("C", "A")
    assert world["A"].role == LEADER
    world.cut("A", "C")


def test_tail_cut_neither_votes_nor_campaigns_nor_counts() -> None:
    world, values = damaged()
    for name in "AFAF":
        world.campaign(name)
        world.exchange("AF", rounds=6)
        assert world.leaders == "", "F alone could make A a leader"
    elected_by_c_alone(world)
    told = world.propose("A", "new")
    world.pump("AF", rounds=5)
    assert world["F"].last() == world["A"].last()
    assert world["A"].match_index[PeerNode("F")] == 0
    assert world["A"].commit < world["A"].own_first
    world.connect("A", "C")
    world.pump(rounds=3)
    assert acknowledged(told) == ["new"]
    assert not world["F"].log.tail_cut, "A committed in its own term, and F holds all of that"
    assert world.seen("F") == [*values, "new"]
    world.isolate("C")
    again = world.propose("A", "with F")
    world.pump("AF", rounds=3)
    assert acknowledged(again) == ["with F"]


def test_tail_cut_gives_no_vote_to_whoever_asks() -> None:
    world, _ = damaged()
    world.hand("A", "F", msg.PreVoteRequest(term=1, next_term=2, last_term=1, last_index=99))
    [refusal] = world.under_way("F", "A")
    assert isinstance(refusal, msg.PreVote)
    assert not refusal.granted
    world.drop("F", "A")
    world.hand("A", "F", msg.VoteRequest(term=9, last_term=1, last_index=99))
    assert world["F"].term == 9
    assert world["F"].voted_for is None
    assert not world.under_way("F", "A")


def test_tail_cut_is_not_healed_by_a_leader_that_committed_nothing_in_its_term() -> None:
    """A's commit index is older than what it told its callers. F holds that much again; but were
    it whole now, it would be elected with C's vote, without the rest of what it acknowledged."""
    world, values = damaged()
    elected_by_c_alone(world)
    for _ in range(30):
        if world.holds("F", "value-1"):
            break
        if not world.deliver("A", "F", 1):
            world.deliver("F", "A")
            world.tick("A", dt=0.01)
    assert world.holds("F", "value-1")
    assert not world.holds("F", "value-2")
    assert world["F"].last().index >= world["A"].commit
    world.kill("A")
    world.connect("C", "F")
    for _ in range(3):
        for name in "FC":
            world.campaign(name)
            world.exchange("CF", rounds=6)
            assert world.leaders == "", "only A has all that was acknowledged"
    world.restart("F")
    assert world["F"].log.tail_cut, "that it was cut is durable"
    world.start("A")
    world.connect("A", "C")
    world.elect("A")
    world.pump(rounds=4)
    assert world.seen("F") == world.seen("C") == world.seen("A") == values
    assert not world["F"].log.tail_cut
    world.restart("F", power=True)
    assert not world["F"].log.tail_cut, "and so is that it was healed"


def test_tail_cut_by_a_power_cut_is_no_damage() -> None:
    """What was never synced was never acknowledged."""
    world = led_by_a()
    world.members["B"].edges.hold()
    world.propose("A", "value")
    world.deliver("A", "B")
    world.restart("B", power=True)
    assert not world["B"].log.tail_cut
    world.pump(rounds=2)
    assert world.seen("B") == ["value"]


# A folder that was lost.


def wiped(world: World, name: str = "C") -> None:
    """The member loses its folder and starts empty under a new incarnation."""
    world.join(name, 9)
    world.pump(rounds=1)


def test_a_wiped_member_does_not_count() -> None:
    world = led_by_a()
    world.propose("A", "value")
    world.pump(rounds=2)
    assert world["A"].match_index[PeerNode("C")] == world["A"].last().index
    wiped(world)
    world.isolate("B")
    told = world.propose("A", "with a stranger")
    world.pump("AC", rounds=5)
    assert world.holds("C", "with a stranger")
    assert world["A"].match_index[PeerNode("C")] == 0
    assert not told
    world.pump("AC", rounds=12)
    assert world["A"].role == FOLLOWER


def test_a_wiped_member_does_not_vote() -> None:
    """B was cut off when A and C acknowledged; then C is wiped, and A is away."""
    world = led_by_a()
    world.isolate("B")
    told = world.propose("A", "value")
    world.pump("AC", rounds=2)
    assert acknowledged(told) == ["value"]
    world.join("C", 9)
    world.isolate("A")
    world.connect("B", "C")
    for name in "BCBC":
        world.campaign(name)
        world.exchange("BC")
        assert world[name].role == FOLLOWER


def test_a_wiped_members_vote_is_not_counted() -> None:
    """It gives one, as its log is empty; the candidate knows which folder it asked for."""
    world = led_by_a()
    world.isolate("A")
    world.campaign("B")
    world.deliver("B", "C")
    world.deliver("C", "B")  # C itself, by a pre-vote
    assert world["B"].role == CANDIDATE
    world.join("C", 9)
    world.hand("B", "C", msg.VoteRequest(term=2, last_term=1, last_index=2))
    [vote] = [m for m in world.under_way("C", "B") if isinstance(m, msg.Vote)]
    world.hand("C", "B", vote)
    assert world["B"].role == CANDIDATE


@pytest.mark.parametrize("killed", ["A", "B"])
def test_a_wiped_member_comes_back_as_a_learner_and_is_promoted(killed: str) -> None:
    world = led_by_a()
    world.propose("A", "value")
    world.pump(rounds=2)
    world.join("C", 9)
    join = msg.Join(term=0, incarnation=9, peer="C:1", http="C:2")
    world.hand("C", "A", join)
    world.hand("C", "A", join)  # asked again before the answer
    assert world["A"].voters == {"A", "B"}
    assert not world["A"].history.current.members["C"].voter
    world.pump(rounds=6)
    assert world["A"].voters == set("ABC")
    assert world["C"].history.current.members["C"] == Member("C:1", "C:2", incarnation=9)
    assert world["C"].is_voter()
    world.hand("C", "A", join)  # it had asked once more
    assert world["A"].voters == set("ABC")
    world.kill(killed)
    other = "B" if killed == "A" else "A"
    if killed == "A":
        world.elect("B")
    told = world.propose(other, "with the new one")
    world.pump(rounds=3)
    assert acknowledged(told) == ["with the new one"]
    assert world.seen("C") == ["value", "with the new one"]


def test_a_follower_sends_a_join_on_to_its_leader_once() -> None:
    world = led_by_a()
    world.join("D", 7)
    join = msg.Join(term=0, incarnation=7, peer="D:1", http="D:2")
    world.hand("D", "B", join)
    [forwarded] = [m for m in world.under_way("B", "A") if isinstance(m, msg.Join)]
    assert (forwarded.node, forwarded.incarnation, forwarded.peer) == ("D", 7, "D:1")
    world.hand("A", "C", forwarded)
    assert not [m for m in world.under_way("C", "A") if isinstance(m, msg.Join)]
    world.hand("B", "A", forwarded)
    learner = world["A"].history.current.members["D"]
    assert (learner.incarnation, learner.voter) == (7, False)
    assert "B" in world["A"].voters


def test_a_join_adopts_no_term_and_is_for_the_leader_only() -> None:
    world = led_by_a()
    world.join("D", 7)
    join = msg.Join(term=99, incarnation=7, peer="D:1", http="D:2")
    world.hand("D", "B", join)
    assert "D" not in world["B"].history.current.members
    world.hand("D", "A", join)
    assert "D" in world["A"].history.current.members
    assert world["A"].term == world["B"].term == 1
