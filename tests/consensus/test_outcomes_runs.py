"""What a caller is told, on every way a proposal can go: applied, refused (never executed), or
unknown; and always once."""

import pytest

from raftcoord.consensus import messages as msg
from raftcoord.consensus.core import LEADER
from raftcoord.consensus.proposals import Outcome, ProposalQueue
from raftcoord.errors import NoLeader, OutcomeUnknown, Overloaded
from tests.consensus.lockstep import World, acknowledged, kinds


def led_by_a(names: str = "ABC", **core: int) -> World:
    """A leads, everybody has heard of it."""
    world = World(names, **core)
    world.elect("A")
    world.pump(rounds=2)
    return world


@pytest.mark.parametrize("through", ["A", "B"])
def test_applied_with_the_machines_reply(through: str) -> None:
    world = led_by_a()
    told = world.propose(through, "one", "two")
    world.exchange(rounds=6)
    assert told == [Outcome("applied", 3, b"one"), Outcome("applied", 4, b"two")]


def test_refused_where_the_queue_is_full() -> None:
    world = led_by_a()
    world["A"]._queue = ProposalQueue(limit=3)
    told: list[Outcome] = []
    for n in range(5):
        world["A"].propose(b"%d" % n, told.append)
    assert kinds(told) == ["refused"] * 2
    assert all(isinstance(outcome.error, Overloaded) for outcome in told)
    lets_go: list[Outcome] = []
    world["A"].propose(b"release", lets_go.append, priority=True)
    world.pump(rounds=2)
    assert acknowledged(lets_go) == ["release"], "what keeps the living alive has its own room"
    assert world.seen("B") == ["release", "0", "1", "2"]


def test_refused_where_the_leaders_queue_is_full() -> None:
    world = led_by_a()
    world["A"]._queue = ProposalQueue(limit=3)
    told = world.propose("B", *map(str, range(5)))
    world.exchange(rounds=6)
    assert sorted(kinds(told)) == ["applied"] * 3 + ["refused"] * 2
    assert all(isinstance(o.error, Overloaded) for o in told if o.kind == "refused")
    assert world.seen("A") == ["0", "1", "2"]


def test_refused_where_too_much_is_appended_and_not_committed() -> None:
    world = led_by_a(backlog=3)
    world.isolate("A")
    told = world.propose("A", *map(str, range(5)))
    assert kinds(told) == ["refused"] * 2
    assert all(isinstance(outcome.error, Overloaded) for outcome in told)


def test_refused_where_no_leader_is_known() -> None:
    world = World()
    told = world.propose("A", "value")
    assert kinds(told) == ["refused"]
    assert isinstance(told[0].error, NoLeader)


def test_refused_by_one_that_leads_no_more() -> None:
    world = led_by_a()
    told = world.propose("B", "value")
    world.deliver("B", "A")  # queued there, and not appended yet
    world["A"].follow(world["A"].term, None)
    world.tick("A")
    world.deliver("A", "B")
    assert kinds(told) == ["refused"]
    told = world.propose("B", "value")
    world.exchange()
    assert kinds(told) == ["refused"]
    assert isinstance(told[0].error, NoLeader)


def test_nothing_is_appended_before_a_leaders_first_entry_is_applied() -> None:
    world = World()
    told: list[Outcome] = []
    world.campaign("A")
    for _ in range(2):
        world.deliver("A", "B")
        world.deliver("B", "A")
    assert world["A"].role == LEADER
    world["A"].propose(b"value", told.append)
    world.tick("A")
    assert world["A"].last().index == world["A"].own_first
    world.pump(rounds=2)
    assert acknowledged(told) == ["value"]


def test_refused_where_another_terms_entry_was_applied_at_its_index() -> None:
    """The forwarded entry never left the leader that appended it."""
    world = led_by_a()
    told = world.propose("B", "value")
    world.deliver("B", "A")
    world.tick("A")
    [answer] = [m for m in world.under_way("A", "B") if isinstance(m, msg.ForwardAnswer)]
    world.hand("A", "B", answer)
    world.isolate("A")
    world.elect("C", "BC")
    other = world.propose("C", "other")
    world.pump("BC", rounds=2)
    assert world["C"].entry_at(answer.index) is not None
    assert acknowledged(other) == ["other"]
    assert kinds(told) == ["refused"], "it can never be committed any more"
    world.heal("A")
    world.pump(rounds=4)
    assert [world.seen(name) for name in "ABC"] == [["other"]] * 3
    assert kinds(told) == ["refused"]


def test_refused_where_a_later_term_began_before_its_index() -> None:
    world = led_by_a()
    told = world.propose("B", "one", "two", "three")
    world.deliver("B", "A")
    world.tick("A")
    for answer in world.under_way("A", "B"):
        if isinstance(answer, msg.ForwardAnswer):
            world.hand("A", "B", answer)
    world.isolate("A")
    world.elect("C", "BC")
    world.pump("BC", rounds=2)
    assert kinds(told) == ["refused"] * 3, "though the log is not that long yet"


def test_unknown_where_the_leader_changes_before_it_answered() -> None:
    world = led_by_a()
    told = world.propose("B", "value")
    world.deliver("B", "A")
    world.tick("A")
    world.deliver("A", "C")  # it is in C's log
    world.isolate("A")
    world.elect("C", "BC")
    assert kinds(told) == ["unknown"]
    assert isinstance(told[0].error, OutcomeUnknown)
    world.pump("BC", rounds=2)
    assert world.seen("B") == ["value"], "so it was right not to say refused"
    assert kinds(told) == ["unknown"]


def test_unknown_where_the_entry_is_cut_here() -> None:
    world = led_by_a()
    world.isolate("A")
    told = world.propose("A", "value")
    world.elect("B", "BC")
    world.heal("A")
    world.exchange(rounds=4)
    world.pump(rounds=3)
    assert kinds(told) == ["unknown"]
    assert not world.holds("A", "value")


def test_applied_though_leadership_was_lost_meanwhile() -> None:
    world = led_by_a()
    told = world.propose("A", "value")
    world.deliver("A", "B")
    world.isolate("A")
    world.pump("A", rounds=15)
    assert world.leaders == ""
    assert not told
    world.elect("B", "BC")
    world.heal("A")
    world.pump(rounds=3)
    assert acknowledged(told) == ["value"]


def test_unknown_where_the_leader_is_silent() -> None:
    world = led_by_a()
    told = world.propose("B", "value")
    world.drop("B", "A")  # nobody notices
    world.pump(rounds=int(world.settings.forward_patience / 0.06) - 1)
    assert not told
    world.pump(rounds=3)
    assert kinds(told) == ["unknown"]
    assert world.leaders == "A"


def test_a_late_answer_after_unknown_is_heard_by_nobody() -> None:
    world = led_by_a()
    told = world.propose("B", "value")
    world.deliver("B", "A")
    world.connect("A", "B")
    assert kinds(told) == ["unknown"]
    world.pump(rounds=3)
    assert world.seen("B") == ["value"]
    assert kinds(told) == ["unknown"]
    assert not any(world["B"].backlog().values())
