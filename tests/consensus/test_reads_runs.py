"""Linearizable reads, in runs of real cores (Raft paper §8; dissertation §6.4)."""

import pytest

from raftcoord.consensus import messages as msg
from raftcoord.consensus.core import LEADER
from tests.consensus.lockstep import World, acknowledged


def led_by_a(names: str = "ABC") -> World:
    """A leads, everybody has heard of it."""
    world = World(names)
    world.elect("A")
    world.pump(rounds=2)
    return world


def sent(world: World, a: str, b: str, kind: type) -> list:
    """The messages of one kind that are under way."""
    return [m for m in world.under_way(a, b) if isinstance(m, kind)]


@pytest.mark.parametrize("through", ["A", "B"])
def test_section_8_a_read_sees_what_was_acknowledged_before_it(through: str) -> None:
    world = led_by_a()
    told = world.propose("C", "value")
    world.exchange(rounds=6)
    assert acknowledged(told) == ["value"]
    read = world.read(through)
    world.exchange(rounds=6)
    assert read == [world["A"].commit]
    assert world[through].applied >= read[0]
    assert world.seen(through) == ["value"]


def test_section_8_a_deposed_leader_serves_nothing() -> None:
    world = led_by_a()
    before = world["A"].commit
    world.isolate("A")
    read = world.read("A")
    world.elect("B", "BC")
    told = world.propose("B", "value")
    world.pump("BC", rounds=2)
    assert acknowledged(told) == ["value"]
    assert read == []
    world.heal("A")
    world.pump(rounds=2)
    assert read == [None], "never the index it knew"
    again = world.read("A")
    world.pump(rounds=2)
    assert again[0] > before
    assert world.seen("A") == ["value"]


def test_section_8_an_echo_of_an_older_round_proves_nothing() -> None:
    """B's answers to what A sent before the read are still under way when B elects C."""
    world = led_by_a()
    world.tick("A", dt=0.06)
    world.deliver("A", "B")
    old = world.under_way("B", "A")
    assert old
    world.isolate("A")
    world.elect("C", "BC")
    told = world.propose("C", "value")
    world.pump("BC", rounds=1)
    assert acknowledged(told) == ["value"]
    world["A"].heard = dict.fromkeys(world["A"].heard, world.now)  # so that it goes on leading
    read = world.read("A")
    for answer in old:
        world.hand("B", "A", answer)
    world.tick("A")
    assert world["A"].role == LEADER
    assert read == []


def test_section_8_a_new_leader_serves_after_its_first_entry_is_committed() -> None:
    """Before that its commit index may be older than what was acknowledged."""
    world = led_by_a()
    told = world.propose("A", "value")
    world.tick("A")
    world.deliver("A", "B")
    world.deliver("B", "A")
    world.tick("A")
    assert acknowledged(told) == ["value"]
    world.isolate("A")
    world.drop("A", "B")
    world.campaign("B")
    for _ in range(2):
        world.deliver("B", "C")
        world.deliver("C", "B")
    assert world["B"].role == LEADER
    assert world["B"].commit < world["B"].last().index - 1, "it does not know of the value"
    read = world.read("B")
    world.tick("B", dt=0.06)
    world.drop("B", "C")
    world.hand(
        "C",
        "B",
        msg.AppendAnswer(
            term=world["B"].term,
            round=99,
            ok=True,
            index=0,
            counts=True,
            full=False,
            digest=None,
            matched=False,
        ),
    )
    assert read == []
    world.pump("BC", rounds=3)
    assert read[0] >= world["B"].own_first
    assert world.seen("B") == ["value"]


def test_section_8_a_follower_waits_until_it_applied() -> None:
    world = led_by_a()
    world.cut("A", "C")
    told = world.propose("A", "value")
    world.exchange("AB")
    assert acknowledged(told) == ["value"]
    world.connect("A", "C")
    world.tick("A", dt=0.06)
    appends = world.under_way("A", "C")
    world.drop("A", "C")
    world.hand("A", "C", msg.Heartbeat(term=1, round=0))
    read = world.read("C")
    world.deliver("C", "A")
    world.tick("A")
    world.deliver("A", "B")
    world.deliver("B", "A")
    world.tick("A")
    [answer] = sent(world, "A", "C", msg.ReadAnswer)
    world.hand("A", "C", answer)
    world.tick("C")
    assert answer.index == world["A"].commit > world["C"].applied
    assert read == [], "it knows the index, and has not got there"
    for append in appends:
        world.hand("A", "C", append)
    world.drop("C", "A")
    world.tick("C")
    world.pump(rounds=3)
    assert read == [answer.index]
    assert world.seen("C") == ["value"]


def test_section_8_the_index_is_that_of_the_arrival() -> None:
    world = led_by_a()
    read = world.read("A")
    arrived = world["A"].commit
    world.propose("A", "later")
    world.exchange()
    assert world["A"].commit > arrived
    assert read == [arrived]


def test_one_round_serves_all_reads_of_a_turn() -> None:
    world = led_by_a()
    answers: list[int | None] = []
    for _ in range(100):
        world["A"].read(answers.append)
    world.tick("A")
    assert [len(world.under_way("A", name)) for name in "BC"] == [1, 1]
    world.deliver("A", "B")
    world.deliver("B", "A")
    assert answers == [world["A"].commit] * 100


def test_one_question_stands_for_all_reads_of_a_followers_turn() -> None:
    world = led_by_a()
    answers: list[int | None] = []
    for _ in range(100):
        world["B"].read(answers.append)
    world.tick("B")
    assert len(sent(world, "B", "A", msg.ReadRequest)) == 1
    world.exchange(rounds=4)
    assert answers == [world["A"].commit] * 100


def test_a_read_needs_a_majority_of_the_voters() -> None:
    world = led_by_a("ABCDE")
    read = world.read("A")
    world.deliver("A", "B")
    world.deliver("B", "A")
    world.tick("A")
    assert read == []
    world.deliver("A", "C")
    world.deliver("C", "A")
    assert read == [world["A"].commit]


def test_a_wiped_member_proves_nothing() -> None:
    world = led_by_a()
    world.join("C", 9)
    world.isolate("B")
    read = world.read("A")
    world.exchange("AC")
    assert read == []
    world.connect("A", "B")
    world.pump("AB", rounds=1)
    assert read == [world["A"].commit]


def test_a_cluster_of_one_reads_by_itself() -> None:
    world = World("A")
    world.elect("A")
    world.tick("A")
    assert world.read("A") == [world["A"].commit]


def test_nobody_can_tell_without_a_leader() -> None:
    world = World()
    assert world.read("A") == [None]


@pytest.mark.parametrize("how", ["closed", "killed", "another leads"])
def test_a_read_that_was_asked_of_a_lost_leader_is_answered(how: str) -> None:
    world = led_by_a()
    read = world.read("B")
    if how == "closed":
        world.close("A", "B")
    elif how == "killed":
        world.kill("A")
    else:
        world.isolate("A")
        world.elect("C", "BC")
    assert read == [None]
    world.pump("BC", rounds=2)
    assert read == [None], "once"


def test_a_question_to_one_that_does_not_lead_is_answered() -> None:
    world = led_by_a()
    world.hand("B", "C", msg.ReadRequest(term=1, id=(1, 1)))
    [answer] = sent(world, "C", "B", msg.ReadAnswer)
    assert (answer.id, answer.index) == ((1, 1), None)


def test_reads_write_nothing() -> None:
    world = led_by_a()
    end, synced = world["A"].last(), [world[name].log.position for name in "ABC"]
    for name in "ABC":
        read = world.read(name)
        world.exchange(rounds=4)
        assert read == [world["A"].commit]
    assert world["A"].last() == end
    assert [world[name].log.position for name in "ABC"] == synced
