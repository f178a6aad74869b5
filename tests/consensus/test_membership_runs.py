"""Membership, in runs of real cores (Ongaro's dissertation, chapter 4)."""

import itertools

from raftcoord.consensus import messages as msg
from raftcoord.consensus.core import FOLLOWER, LEADER
from raftcoord.consensus.membership import Configuration, Member
from raftcoord.consensus.peers import PeerNode
from raftcoord.consensus.proposals import Outcome
from tests.consensus.lockstep import World, acknowledged, kinds


def change(world: World, leader: str, new: Configuration) -> list[Outcome]:
    """Ask a leader to change the configuration."""
    told: list[Outcome] = []
    world[leader].change_configuration(new, told.append)
    world.tick(leader)
    return told


def present(world: World, name: str) -> Configuration:
    """The configuration in force at a member."""
    return world[name].history.current


def learner(name: str, incarnation: int, *, promote: bool = False) -> Member:
    """A member without a vote."""
    return Member(f"{name}:1", f"{name}:2", incarnation=incarnation, voter=False, promote=promote)


def led_by_a(names: str = "ABC") -> World:
    """A leads, everybody has heard of it."""
    world = World(names)
    world.elect("A")
    world.pump(rounds=2)
    return world


def test_section_4_1_in_force_at_append_on_every_node() -> None:
    world = led_by_a()
    told = change(world, "A", present(world, "A").with_member("D", learner("D", 7)))
    assert not told
    assert "D" in present(world, "A").members
    assert "D" not in present(world, "B").members
    world.deliver("A", "B")
    assert "D" in present(world, "B").members
    assert world["B"].commit < world["B"].history.index, "committed or not"


def test_section_4_1_a_follower_decides_by_what_it_appended() -> None:
    """A and B may have committed alone that C is out, so B and C must not decide anything."""
    world = led_by_a()
    world.cut("A", "C")
    told = change(world, "A", present(world, "A").without("C"))
    world.deliver("A", "B")
    assert world["B"].voters == {"A", "B"}
    world.deliver("B", "A")
    world.tick("A")
    assert kinds(told) == ["applied"]
    world.isolate("A")
    world.connect("B", "C")
    for name in "BCB":
        world.campaign(name)
        world.exchange("BC")
        assert world[name].role == FOLLOWER


def test_section_4_1_undone_at_truncation_and_after_a_restart() -> None:
    world = led_by_a("ABCDE")
    world.cut("A", "C")
    world.cut("A", "D")
    world.cut("A", "E")
    told = change(world, "A", present(world, "A").without("E"))
    world.exchange("AB")
    assert world["B"].voters == set("ABCD")
    world.restart("B")
    assert world["B"].voters == set("ABCD"), "it is in the log, so it is in force"
    world.isolate("A")
    world.elect("C", "CDE")
    world.pump("BCDE", rounds=3)
    assert world["B"].voters == set("ABCDE")
    world.restart("B")
    assert world["B"].voters == set("ABCDE")
    world.heal("A")
    world.pump(rounds=5)
    assert world["A"].voters == set("ABCDE")
    assert kinds(told) == ["unknown"]


def test_section_4_1_a_snapshot_brings_its_configuration() -> None:
    world = World(keep_behind=0)
    world.elect("A")
    world.pump(rounds=2)
    world.isolate("C")
    told = change(world, "A", present(world, "A").with_member("D", learner("D", 7)))
    world.pump("AB", rounds=2)
    world.propose("A", *map(str, range(9)))
    world.pump("AB", rounds=2)
    world["A"].take_snapshot()
    world.pump("AB", rounds=2)
    assert kinds(told) == ["applied"]
    assert "D" not in present(world, "C").members
    world.heal("C")
    world.pump(rounds=5)
    assert world["C"].counters["installs"] == 1
    assert "D" in present(world, "C").members
    for name in "AC":
        world.restart(name)
        assert "D" in present(world, name).members


def test_section_4_1_a_snapshot_brings_back_what_the_log_had_changed() -> None:
    """A leader that was cut off had a change of its own behind the snapshot's end."""
    world = World(keep_behind=0)
    world.elect("A")
    world.pump(rounds=2)
    world.isolate("A")
    told = change(world, "A", present(world, "A").without("C"))
    world.elect("B", "BC")
    world.propose("B", *map(str, range(9)))
    world.pump("BC", rounds=2)
    world["B"].take_snapshot()
    world.pump("BC", rounds=2)
    assert world["A"].voters == {"A", "B"}
    world.heal("A")
    world.pump(rounds=5)
    assert world["A"].counters["installs"] == 1
    assert world["A"].voters == set("ABC")
    assert kinds(told) == ["unknown"]
    world.restart("A")
    assert world["A"].voters == set("ABC")


def test_section_4_1_a_snapshot_holds_no_change_behind_its_end() -> None:
    world = led_by_a()
    world.propose("A", "value")
    world.pump(rounds=2)
    world.isolate("A")
    change(world, "A", present(world, "A").without("C"))
    world["A"].take_snapshot()
    world.tick("A")
    assert world["A"].log.snapshot.index < world["A"].history.index
    world.elect("B", "BC")
    world.pump("BC", rounds=2)
    world.heal("A")
    world.pump(rounds=4)
    world.restart("A")
    assert world["A"].voters == set("ABC")


def test_section_4_1_one_at_a_time_and_by_a_single_step() -> None:
    world = led_by_a()
    assert kinds(change(world, "B", present(world, "B").without("C"))) == ["refused"]
    two = present(world, "A").with_member("D", Member("D:1", "D:2"))
    two = two.with_member("E", Member("E:1", "E:2"))
    assert kinds(change(world, "A", two)) == ["refused"]
    first = change(world, "A", present(world, "A").with_member("D", learner("D", 7)))
    second = change(world, "A", present(world, "A").with_member("E", learner("E", 8)))
    assert (kinds(first), kinds(second)) == ([], ["refused"])
    world.pump(rounds=2)
    assert kinds(first) == ["applied"]
    third = change(world, "A", present(world, "A").with_member("E", learner("E", 8)))
    world.pump(rounds=2)
    assert kinds(third) == ["applied"]


def test_not_before_an_entry_of_the_own_term_is_committed() -> None:
    """Ongaro, "bug in single-server membership changes" (raft-dev, 2015)."""
    world = led_by_a()
    world.isolate("A")
    world.campaign("B")
    for _ in range(2):
        world.deliver("B", "C")
        world.deliver("C", "B")
    assert world["B"].role == LEADER
    new = present(world, "B").with_member("D", learner("D", 7))
    assert kinds(change(world, "B", new)) == ["refused"]
    world.pump("BC", rounds=2)
    told = change(world, "B", new)
    world.pump("BC", rounds=2)
    assert kinds(told) == ["applied"]


def test_two_overlapping_changes_commit_one_index_once() -> None:
    """The scenario of "What must hold beyond the findings": with configurations that take effect
    at another moment on each node, B and C elect a leader beside A, D, E."""
    world = led_by_a()
    world.isolate("B")
    world.join("D", 7)
    world.connect("A", "D")
    change(world, "A", present(world, "A").with_member("D", learner("D", 7)))
    world.pump("ACD", rounds=3)
    told = change(world, "A", present(world, "A").promoted("D"))
    world.deliver("A", "C")
    world.deliver("C", "A")  # C acknowledged it, and hears nothing more
    world.cut("A", "C")
    world.cut("C", "D")
    world.pump("AD", rounds=3)
    assert kinds(told) == ["applied"]
    assert world["C"].commit < world["C"].history.index
    world.join("E", 8)
    world.cut("B", "E")
    world.cut("C", "E")
    change(world, "A", present(world, "A").with_member("E", learner("E", 8)))
    world.pump("ADE", rounds=4)
    assert "E" not in world["A"].voters, "A and D are no majority of four"
    mine = world.propose("A", "X")
    world.pump("ADE", rounds=4)
    assert not mine
    world.connect("B", "C")
    for name in "CBCB":
        world.campaign(name)
        world.exchange("BC")
        assert world[name].role == FOLLOWER, "B and C are no majority of A, B, C, D"
    for a, b in itertools.combinations("ABCDE", 2):
        world.connect(a, b)
    world.tick("A", dt=1.0)  # it heard only D for too long
    world.elect("A")
    world.pump(rounds=8)
    assert [world.seen(name) for name in "ABCDE"] == [["X"]] * 5
    assert world["A"].voters == set("ABCD")


def test_section_4_2_2_a_leader_that_removes_itself() -> None:
    world = led_by_a()
    world.isolate("C")
    told = change(world, "A", present(world, "A").without("A"))
    world.pump("AB", rounds=3)
    assert world["A"].role == LEADER, "it leads on until that is committed"
    assert not told, "and does not count itself: of B and C it needs both"
    world.heal("C")
    world.pump(rounds=3)
    assert kinds(told) == ["applied"]
    assert world["A"].role == FOLLOWER
    for _ in range(5):
        world["A"].deadline = world.now
        world.tick("A")
        world.exchange()
    assert world["A"].role == FOLLOWER, "nor does it ever campaign again"
    term = world["A"].term
    world.elect("B")
    assert world["B"].term == term + 1
    told = world.propose("B", "without A")
    world.pump(rounds=2)
    assert acknowledged(told) == ["without A"]


def test_section_4_2_2_a_leader_whose_removal_is_not_committed_is_still_needed() -> None:
    """B lacks the entry and needs A's vote, which the longer log refuses: so A has to stand,
    though it neither votes nor counts by what it appended."""
    world = led_by_a("AB")
    world.isolate("A")
    change(world, "A", present(world, "A").without("A"))
    world.restart("A")
    assert world["A"].voters == {"B"}
    world.connect("A", "B")
    world.campaign("B")
    world.exchange()
    assert world["B"].role == FOLLOWER
    world.elect("A")
    world.pump(rounds=3)
    assert world["A"].role == FOLLOWER, "committed, so it is out"
    assert world["B"].voters == {"B"}
    for _ in range(3):
        world["A"].deadline = world.now
        world.tick("A")
        assert not [m for m in world.under_way("A", "B") if isinstance(m, msg.PreVoteRequest)]
    world.elect("B")


def test_section_4_2_3_a_removed_member_that_does_not_know_disturbs_nobody() -> None:
    world = led_by_a("ABCD")
    world.isolate("D")
    change(world, "A", present(world, "A").without("D"))
    world.pump("ABC", rounds=2)
    world.heal("D")
    world.kill("A")  # now there is no leader that would be heard
    for _ in range(3):
        world.campaign("D")
        world.exchange()
        assert world.leaders == "", "its log is behind every majority's"
    world.elect("B")
    assert world["B"].voters == set("ABC")


def test_section_4_2_1_a_learner_neither_campaigns_nor_counts() -> None:
    world = led_by_a()
    world.join("D", 7)
    change(world, "A", present(world, "A").with_member("D", learner("D", 7)))
    world.pump(rounds=3)
    assert world["D"].last() == world["A"].last()
    told = world.propose("D", "through a learner")
    world.pump(rounds=2)
    assert acknowledged(told) == ["through a learner"]
    assert world["A"].match_index[PeerNode("D")] == world["A"].last().index
    for name in "BC":
        world.isolate(name)
    told = world.propose("A", "value")
    world.pump("AD", rounds=3)
    assert world["D"].last() == world["A"].last()
    assert not told
    read = world.read("A")
    world.pump("AD", rounds=3)
    assert read == []
    world.pump("AD", rounds=10)
    assert world["A"].role == FOLLOWER, "whom only a learner answers has no quorum"
    for _ in range(5):
        world["D"].deadline = world.now
        world.tick("D")
        assert world["D"].role == FOLLOWER
        assert not [m for m in world.under_way("D", "A") if isinstance(m, msg.PreVoteRequest)]
