"""Findings 9, 14, 17, 18: who leads, on the library's own class and on ours in the same
scenario."""

from pathlib import Path

from pysyncobj.node import Node

from raftcoord.consensus import messages as msg
from raftcoord.consensus.core import CANDIDATE, FOLLOWER, LEADER
from tests.consensus.lockstep import World, acknowledged
from tests.consensus.stock import stock


def stand(world: World, name: str, asked: str) -> None:
    """Let it win the pre-votes of some members, and ask for their votes."""
    world.campaign(name)
    for other in asked:
        world.deliver(name, other)
        world.deliver(other, name)
    assert world[name].role == CANDIDATE


def test_finding_09_stock_two_leaders_in_one_term(tmp_path: Path) -> None:
    with stock("ABF", folder=tmp_path) as world:
        world.campaign("A")
        world.drop("A", "B")
        world.deliver("A", "F")
        world.deliver("F", "A")
        assert world.leads("A")
        world.kill("F")
        (tmp_path / "F.journal.meta").write_bytes(b"")  # what a rename without a sync may leave
        world.start("F")
        world.campaign("B")
        world.deliver("B", "F")
        world.deliver("F", "B")
        assert world.leads("B")
        assert world.field("A", "raftCurrentTerm") == world.field("B", "raftCurrentTerm") == 1


def test_finding_09_two_leaders_in_one_term() -> None:
    world = World("ABF")
    world.cut("A", "B")
    stand(world, "A", "F")
    world.deliver("A", "F")
    world.deliver("F", "A")
    assert world["A"].role == LEADER
    world.cut("A", "F")
    world.restart("F", power=True)
    assert (world["F"].term, world["F"].voted_for) == (1, "A")
    for _ in range(2):  # the first time it hears of term 1
        world.campaign("B")
        world.exchange("BF")
    assert world["B"].role == LEADER
    assert (world["A"].term, world["B"].term) == (1, 2), "F's vote of term 1 stays A's"


def test_finding_09_no_vote_leaves_before_it_is_durable() -> None:
    world = World("ABF")
    world.cut("A", "B")
    world.cut("B", "F")
    world.campaign("A")
    world.deliver("A", "F")  # the pre-vote
    world.deliver("F", "A")
    world.members["F"].edges.hold()
    world.deliver("A", "F")
    world.tick("F")
    assert world["F"].voted_for == "A"
    assert not world.under_way("F", "A"), "it may still forget this vote"
    world.restart("F", power=True)
    assert world["F"].voted_for is None
    world.connect("B", "F")
    world.campaign("B")
    world.exchange("BF")
    assert world["B"].role == LEADER
    assert world["A"].role == CANDIDATE
    assert world["A"].term == world["B"].term == 1, "one leader in term 1, and it is B"


def test_finding_09_no_campaign_before_the_candidates_own_vote_is_durable() -> None:
    world = World()
    world.members["A"].edges.hold()
    world.campaign("A")
    for name in "BC":
        world.deliver("A", name)
        world.deliver(name, "A")
    assert world["A"].role == CANDIDATE
    assert not world.under_way("A", "B")
    assert not world.under_way("A", "C")
    world.restart("A", power=True)
    assert (world["A"].term, world["A"].voted_for) == (0, None)


def test_finding_09_a_candidates_own_vote_counts_when_it_is_durable() -> None:
    world = World("A")
    world.members["A"].edges.hold()
    world.campaign("A")
    world.tick("A")
    assert world["A"].role == CANDIDATE
    world.members["A"].edges.let_go()
    assert world["A"].role == LEADER


def test_finding_14_stock_counts_one_vote_twice() -> None:
    with stock("ABCDE") as world:
        world.campaign("A")
        world.deliver("A", "B")
        [vote] = world.links["B", "A"]
        world.hand("B", "A", vote)
        world.hand("B", "A", vote)
        assert world.leads("A"), "with two of five votes"


def test_finding_14_stock_counts_a_strangers_vote() -> None:
    with stock("ABC") as world:
        world.campaign("A")
        world.deliver("A", "B")
        [vote] = world.links["B", "A"]
        world.drop("B", "A")
        world.hand("X", "A", vote)
        assert world.leads("A")


def test_finding_14_counts_one_vote_twice() -> None:
    world = World("ABCDE")
    stand(world, "A", "BC")
    world.deliver("A", "B")
    [vote] = world.under_way("B", "A")
    assert isinstance(vote, msg.Vote)
    for _ in range(5):
        world.hand("B", "A", vote)
    assert world["A"].role == CANDIDATE
    world.deliver("A", "D")
    world.deliver("D", "A")
    assert world["A"].role == LEADER, "with three of five"


def test_finding_14_counts_one_pre_vote_twice() -> None:
    world = World("ABCDE")
    world.campaign("A")
    world.deliver("A", "B")
    [vote] = world.under_way("B", "A")
    assert isinstance(vote, msg.PreVote)
    for _ in range(5):
        world.hand("B", "A", vote)
    assert world["A"].role == FOLLOWER
    assert world["A"].term == 0


def test_finding_14_counts_a_strangers_vote() -> None:
    world = World("ABCX", voters="ABC")
    stand(world, "A", "B")
    for stranger in "XY":  # one with a connection, one without
        world.hand(stranger, "A", msg.Vote(term=world["A"].term))
    assert world["A"].role == CANDIDATE
    world.deliver("A", "C")
    world.deliver("C", "A")
    assert world["A"].role == LEADER


def test_finding_17_stock_a_node_that_was_cut_off_deposes_a_healthy_leader() -> None:
    with stock() as world:
        world.elect("A")
        world.pump()
        world.isolate("C")
        for _ in range(50):
            world.campaign("C")
        world.heal("C")
        world.campaign("C")
        world.deliver("C", "A")
        assert not world.leads("A")
        assert world.field("A", "raftCurrentTerm") > 50


def test_finding_17_a_node_that_was_cut_off_deposes_a_healthy_leader() -> None:
    world = World()
    world.elect("A")
    world.pump()
    world.isolate("C")
    for _ in range(50):
        world.pump("AB", rounds=10)
        world["C"].deadline = world.now
        world.tick("C")
    assert world["C"].term == 1, "it could not have won, so it did not stand"
    world.heal("C")
    world["C"].deadline = world.now
    world.tick("C")
    world.pump()
    assert world.leaders == "A"
    assert world["A"].term == world["C"].term == 1


def test_finding_17_stock_a_removed_node_goes_on_campaigning() -> None:
    with stock(dynamicMembershipChange=True) as world:
        world.elect("A")
        world.pump()
        world["A"].removeNodeFromCluster(Node("C"))
        for _ in range(6):
            try:
                world.pump(rounds=1)
            except KeyError:  # answers of the removed node break the leader's turn
                continue
        world.campaign("C")
        world.deliver("C", "A")
        assert not world.leads("A")


def test_finding_17_a_removed_node_goes_on_campaigning() -> None:
    world = World()
    world.elect("A")
    world.pump()
    world.isolate("C")  # so it does not hear that it is removed
    told: list = []
    new = world["A"].history.current.without("C")
    world["A"].change_configuration(new, told.append)
    world.pump("AB", rounds=3)
    assert [outcome.kind for outcome in told] == ["applied"]
    assert world["C"].is_voter(), "as far as it knows"
    world.heal("C")
    for _ in range(20):
        world["C"].deadline = world.now
        world.tick("C")
        world.pump(rounds=2)
    assert world.leaders == "A"
    assert world["A"].term == 1
    assert world["C"].term == 1


def test_finding_18_stock_a_deposed_leader_goes_on() -> None:
    with stock() as world:
        world.elect("A")
        world.put("A", 1)
        world.pump()
        world.isolate("A")
        since = world.now
        world.elect("B", "BC")
        world.put("B", 2)
        world.pump("BC")
        assert world["B"].seen == [1, 2]
        while world.leads("A") and world.now - since < 60:
            assert world["A"].seen == [1], "and would say so to anybody who asks"
            world.tick("A", dt=0.5)
        assert world.now - since > 25


def test_finding_18_a_deposed_leader_goes_on() -> None:
    world = World()
    world.elect("A")
    world.propose("A", "1")
    world.pump()
    world.isolate("A")
    since = world.now
    reads = world.read("A")
    while world["A"].role == LEADER:
        assert world.now - since <= world.settings.election_max + 0.1
        reads += world.read("A")
        world.tick("A", dt=0.05)
    assert set(reads) <= {None}
    assert world.read("A") == [None]
    assert not world["A"].is_ready()
    world.elect("B", "BC")
    told = world.propose("B", "2")
    world.pump("BC", rounds=2)
    assert acknowledged(told) == ["2"]
