"""Findings 1, 2, 3, 20, 21, 24: the log on its way from leader to followers, on the library's
own class and on ours in the same scenario."""

import pytest

from raftcoord.consensus import messages as msg
from raftcoord.consensus.core import LEADER
from raftcoord.consensus.peers import PeerNode
from tests.consensus.lockstep import World, acknowledged
from tests.consensus.stock import SUCCESS, stock


def test_finding_01_stock_stale_answer_commits_with_a_minority() -> None:
    with stock("CDEFL") as world:
        world.elect("L")
        world.put("L", "x", "y", "z")
        world.tick("L", dt=0.2)
        world.drop("L", "C", "D", "E")
        world.deliver("L", "F")  # F's answer of term 1 is slow
        world.campaign("C")
        for name in "DE":
            world.deliver("C", name)
            world.deliver(name, "C")
        for _ in range(6):  # C leads term 2 and overwrites x, y, z everywhere
            world.tick("C", dt=0.2)
            for name in "LFDE":
                world.deliver("C", name)
                world.deliver(name, "C")
        world.campaign("L")
        for name in "DE":
            world.deliver("L", name)
            world.deliver(name, "L")
        told = world.put("L", "mine")
        world.tick("L", dt=0.2)
        world.deliver("L", "D")
        world.deliver("D", "L")
        world.deliver("F", "L", 2)
        world.tick("L")
        assert told == [("mine", SUCCESS)]
        assert not world.holds("F", "mine"), "told SUCCESS, and held by two of five"
        world.kill("L")
        world.kill("D")
        world.elect("C")
        world.pump()
        assert "mine" not in world["C"].seen + world["E"].seen + world["F"].seen


def test_finding_01_stale_answer_commits_with_a_minority() -> None:
    world = World("CDEFL")
    world.elect("L")
    world.propose("L", "x", "y", "z")
    world.tick("L")
    world.drop("L", "C", "D", "E")
    world.deliver("L", "F")
    slow = world.under_way("F", "L")
    world.drop("F", "L")
    assert [answer.index for answer in slow if answer.carried] == [5]
    world.elect("C", "CDE")
    world.pump("CDEFL", rounds=3)
    world.elect("L", "LDE")
    told = world.propose("L", "mine")
    world.tick("L")
    assert world["L"].last().index == 5
    assert world.deliver("L", "D")
    world.deliver("D", "L")
    world.drop("L", "C", "E", "F")
    world.drop("F", "L")
    for answer in slow:
        world.hand("F", "L", answer)
    world.tick("L")
    assert not told, "F does not hold it"
    assert world["L"].match_index[PeerNode("F")] < 5
    world.kill("L")
    world.kill("D")
    world.tick("C", dt=1.0)  # it has led term 2 and heard of no other
    world.elect("E")
    world.pump()
    assert world.seen("E") == world.seen("F") == []


def test_finding_02_stock_a_resend_truncates_what_was_acknowledged() -> None:
    values = [f"value-{n:02}" for n in range(20)]
    with stock("FGL", appendEntriesBatchSizeBytes=100) as world:
        world.elect("L")
        told = world.put("L", *values)
        world.tick("L", dt=0.2)
        world.drop("L", "G")
        world.deliver("L", "F")
        world.deliver("F", "L", 2)  # two of the answers: the next index falls back to there
        world.tick("L", dt=0.2)
        world.drop("L", "G")
        world.deliver("F", "L")
        world.tick("L")
        assert [error for _, error in told] == [SUCCESS] * 20
        world.deliver("L", "F", 1)
        world.kill("L")
        world.elect("F")
        world.pump()
        assert world["F"].seen != values, "acknowledged entries are lost"


def test_finding_02_a_resend_truncates_what_was_acknowledged() -> None:
    values = [f"value-{n:02}" for n in range(20)]
    world = World("FGL", batch=100)
    world.elect("L")
    told = world.propose("L", *values)
    world.tick("L")
    world.drop("L", "G")
    sent = world.under_way("L", "F")
    assert len(sent) > 2
    world.deliver("L", "F")
    world.deliver("F", "L", 2)
    world.tick("L", dt=0.06)
    resent = world.under_way("L", "F")
    world.drop("L", "G")
    world.deliver("F", "L")
    world.tick("L")
    assert acknowledged(told) == values
    world.deliver("L", "F", 1)
    for message in (*resent, *sent):  # as late and as often as a network can
        world.hand("L", "F", message)
    world.kill("L")
    world.elect("F")
    world.pump()
    assert world.seen("F") == world.seen("G") == values


def test_finding_02_the_next_index_never_falls_below_what_was_acknowledged() -> None:
    world = World("FGL", batch=100)
    world.elect("L")
    world.propose("L", *(f"value-{n:02}" for n in range(20)))
    world.tick("L")
    world.deliver("L", "F")
    matched = 0
    answers = world.under_way("F", "L")
    while world.deliver("F", "L", 1):
        assert world["L"].match_index[PeerNode("F")] >= matched
        matched = world["L"].match_index[PeerNode("F")]
        assert world["L"].next_index[PeerNode("F")] == world["L"].last().index + 1
    assert matched == world["L"].last().index
    world.hand("F", "L", answers[0])
    assert world["L"].match_index[PeerNode("F")] == matched
    assert world["L"].next_index[PeerNode("F")] == matched + 1


def test_finding_03_stock_a_message_of_the_old_socket_truncates() -> None:
    with stock("FGL") as world:
        world.elect("L")
        world.pump()
        world.tick("L", dt=0.2)
        world.drop("L", "G")
        old = world.links["L", "F"].popleft()  # the heartbeat stays in the old socket
        told = world.put("L", "value")
        world.tick("L", dt=0.2)
        world.drop("L", "G")
        world.deliver("L", "F")
        world.deliver("F", "L")
        world.tick("L")
        assert told == [("value", SUCCESS)]
        world.hand("L", "F", old)
        world.kill("L")
        world.elect("F")
        world.pump()
        assert world["F"].seen == world["G"].seen == []


def test_finding_03_a_message_of_the_old_socket_truncates() -> None:
    world = World("FGL")
    world.elect("L")
    world.pump()
    world.tick("L", dt=0.06)
    world.drop("L", "G")
    [old] = world.under_way("L", "F")
    world.connect("L", "F")
    told = world.propose("L", "value")
    world.tick("L", dt=0.06)
    world.drop("L", "G")
    world.deliver("L", "F")
    world.deliver("F", "L")
    world.tick("L")
    assert acknowledged(told) == ["value"]
    world.hand("L", "F", old)  # the transport drops it; the core does not rest on that
    world.kill("L")
    world.elect("F")
    world.pump()
    assert world.seen("F") == world.seen("G") == ["value"]


def test_finding_20_cuts_a_big_entry_by_the_wrong_length() -> None:
    """Here no entry is cut at all; test_transport_findings shows the library's fault."""
    world = World("FL", batch=100)
    world.elect("L")
    values = ["z" * size for size in range(190, 330)]
    told = world.propose("L", *values)
    world.pump(rounds=30)
    assert acknowledged(told) == values
    assert world.seen("F") == values


def test_finding_21_stock_sends_no_previous_index_for_ever() -> None:
    with stock() as world:
        world.elect("A")
        world.pump()
        world.field("A", "raftNextIndex")[next(iter(world["A"].otherNodes))] = 99
        for _ in range(20):
            world.tick("A", dt=0.2)
            sent = [*world.links["A", "B"], *world.links["A", "C"]]
            assert any(m["prevLogIdx"] is None for m in sent), "nothing can match it"
            for name in "BC":
                world.drop("A", name)


def test_finding_21_sends_no_previous_index_for_ever() -> None:
    world = World()
    world.elect("A")
    world.pump()
    wrong = msg.AppendAnswer(
        term=world["A"].term, round=0, ok=False, index=99, counts=True, full=False, digest=None
    )
    world.hand("B", "A", wrong)
    assert world["A"].next_index[PeerNode("B")] == world["A"].last().index + 1
    world.propose("A", "value")
    world.tick("A", dt=0.06)
    assert all(m.prev_index <= world["A"].last().index for m in world.under_way("A", "B"))
    world.pump(rounds=2)
    assert world.seen("B") == ["value"]


def test_finding_21_a_follower_with_a_longer_log_is_brought_back() -> None:
    """It is behind the leader's end that its log goes on; the leader has nothing to add."""
    world = World()
    world.elect("A")
    world.pump()
    world.isolate("A")
    told = world.propose("A", *(f"lost-{n}" for n in range(9)))
    world.elect("B", "BC")
    world.pump("BC", rounds=2)
    for member in "BC":
        world.connect("A", member)
    world.pump(rounds=4)
    assert world.terms("A") == world.terms("B")
    assert world["A"].commit == world["B"].commit
    assert not acknowledged(told)


def test_finding_21_refusals_of_appends_under_way_at_once_do_not_take_turns() -> None:
    """A's own entry conflicts with the first of them; the later ones begin behind A's end."""
    world = World(batch=100)
    world.elect("A")
    world.pump(rounds=2)
    world.isolate("A")
    world.propose("A", "mine")
    world.elect("B", "BC")
    world.propose("B", *(f"value-{n:02}" for n in range(40)))
    world.pump("BC", rounds=4)
    world.heal("A")
    world.pump(rounds=4)
    assert world.terms("A") == world.terms("B")
    assert world.seen("A") == world.seen("B")


def test_finding_24_stock_a_follower_learns_of_a_commit_by_the_timer() -> None:
    with stock("FGL") as world:
        world.elect("L")
        world.pump()
        told = world.put("F", "value")
        world.deliver("F", "L")
        world.tick("L")
        world.tick("L", dt=0.11)
        for _ in range(20):  # no time passes
            for name in "FG":
                world.deliver("L", name)
                world.deliver(name, "L")
            world.tick()
        assert world["L"].seen == ["value"]
        assert not told
        world.tick("L", dt=0.11)
        world.deliver("L", "F")
        world.tick("F")
        assert told


def test_finding_24_a_follower_learns_of_a_commit_by_the_timer() -> None:
    world = World("FGL")
    world.elect("L")
    world.pump()
    told = world.propose("F", "value")
    world.exchange(rounds=6)  # no time passes
    assert acknowledged(told) == ["value"]


def test_finding_24_a_pushed_commit_counts_as_far_as_the_logs_match() -> None:
    world = World("FGL")
    world.elect("L")
    world.pump()
    before = world["F"].commit
    told = world.propose("F", "value")
    world.deliver("F", "L")
    world.tick("L")
    append = world.under_way("L", "F")
    world.drop("L", "F")
    world.exchange("GL")
    pushed = [m for m in world.under_way("L", "F") if isinstance(m, msg.Committed)]
    assert len(pushed) == 1
    world.drop("L", "F")
    world.hand("L", "F", pushed[0])  # nothing of it has come
    assert world["F"].commit == before
    for message in append:
        world.hand("L", "F", message)
    world.hand("L", "F", pushed[0])
    world.tick("F")
    assert acknowledged(told) == ["value"]


@pytest.mark.parametrize("through", ["L", "F"])
def test_finding_24_one_round_trip_is_enough(through: str) -> None:
    """Forward, append with its answer, and the commit, each once; no beat is waited for."""
    world = World("FGL")
    world.elect("L")
    world.pump()
    assert world["L"].role == LEADER
    told = world.propose(through, "value")
    steps = [("F", "L"), ("L", "F"), ("F", "L"), ("L", "F")]
    for a, b in steps if through == "F" else steps[1:3]:
        world.deliver(a, b)
        world.tick(b)
    assert acknowledged(told) == ["value"]
