"""What a hostile reader of the code found, each in the schedule that showed it."""

from typing import Any

import msgspec
import pytest

from raftcoord.consensus import messages as msg
from raftcoord.consensus.core import LEADER
from raftcoord.consensus.membership import Member
from raftcoord.consensus.peers import PeerNode
from raftcoord.consensus.proposals import Outcome
from raftcoord.consensus.serving import MAX_PAYLOAD
from raftcoord.errors import BodyTooLarge, Malformed, StorageFull
from tests.consensus.lockstep import Stopped, World, kinds
from tests.consensus.test_handover_runs import chores, decided, fill, led_by_a, write_until_full


def with_member(world: World, name: str, member: Member) -> list[Outcome]:
    told: list[Outcome] = []
    present = world["A"].history.current
    world["A"].change_configuration(present.with_member(name, member), told.append)
    world.exchange()
    return told


def test_a_request_of_a_wiped_folder_is_not_taken_for_one_of_the_old() -> None:
    """Finding 15: boots are counted anew in a new folder."""
    world = led_by_a("ABCDE")
    world.cut("A", "C")
    world.propose("A", "other")
    world.exchange("ABDE")
    world["A"].transfer("C", lambda _: None)  # C is silent: A's queue waits a second
    world.propose("B", "old")
    world.deliver("B", "A")
    world.join("B", 4242)
    world.cut("B", "C")
    for _ in range(3):
        world.now += 0.06
        world.tick("A", "D", "E")
        for name in "DEB":
            world.deliver("A", name)
            world.tick(name)
            world.deliver(name, "A")
    told = world.propose("B", "new")
    world.deliver("B", "A")
    for _ in range(40):
        world.pump("ABDE", rounds=1, dt=0.05)
    assert [outcome.reply for outcome in told if outcome.kind == "applied"] in ([], [b"new"])


def test_a_new_leader_of_a_full_majority_refuses_with_the_reason() -> None:
    world = led_by_a(segment=1 << 15)
    for name in "BC":
        fill(world, name)
    for name in "BC":
        write_until_full(world, name)
    world.pump(rounds=3)
    world.kill("A")
    world.campaign("B")
    world.exchange("BC", rounds=6)
    assert world["B"].role == LEADER
    here, there = world.propose("B", "p"), world.propose("C", "q")
    read = world.read("B")
    for _ in range(20):
        world.pump("BC", rounds=1)
        chores(world)
    assert kinds(here) == kinds(there) == ["refused"]
    assert all(isinstance(outcome.error, StorageFull) for outcome in here + there)
    assert read == [world["B"].commit]


@pytest.mark.parametrize("gap", [0.16, 1.0])
def test_members_whose_turns_come_late_elect_a_leader_all_the_same(gap: float) -> None:
    world = World("ABC")
    for _ in range(int(20 / gap)):
        world.tick(dt=gap)
        world.exchange()
        if world.leaders:
            return
    raise AssertionError("nobody leads")


@pytest.mark.parametrize(
    ("name", "peer"), [("D", "10.0.0.4"), ("D", "host:0"), ("D", ":1"), ("x" * 65, "host:1")]
)
def test_a_member_that_nobody_could_dial_is_refused_before_it_is_written(
    name: str, peer: str
) -> None:
    world = led_by_a()
    told = with_member(world, name, Member(peer, "host:2", voter=False))
    assert [type(outcome.error) for outcome in told] == [Malformed]
    end = world["A"].last()
    world.hand("B", "A", msg.Join(term=0, incarnation=7, peer=peer, http="h:1"))
    world.pump(rounds=2)
    if name == "D":
        assert world["A"].last() == end
    for member in "ABC":
        world.restart(member)


def test_a_member_that_came_back_is_not_judged_by_what_it_said_before() -> None:
    world = led_by_a()
    digests = world["A"].digests
    for member, digest in (("A", 1), ("B", 1), ("C", 2)):
        digests.report(member, 20, digest)
    assert list(digests.diverged(world["A"].voters)) == [("C", 20)]
    world.restart("C")
    world.pump(rounds=2)
    assert list(digests.diverged(world["A"].voters)) == []


def test_a_state_that_cannot_be_taken_stops_the_node() -> None:
    world = World(keep_behind=0)
    world.elect("A")
    world.pump(rounds=2)
    world.isolate("C")
    world.propose("A", *map(str, range(20)))
    world.pump("AB", rounds=3)
    world["A"].take_snapshot()
    world.pump("AB", rounds=2)

    def newer(_: Any) -> None:
        raise ValueError("format 9 is unknown here")

    world.members["C"].machine.restore = newer  # type: ignore[method-assign]
    world.heal("C")
    with pytest.raises(Stopped, match="format 9 is unknown here"):
        world.pump(rounds=20)


def test_a_fork_that_fails_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    world = led_by_a()
    world.propose("A", "x")
    world.pump(rounds=2)

    def fork(*_: Any) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(world.members["A"].edges, "fork", fork)
        world["A"].take_snapshot()
    world.now += 6
    world["A"].take_snapshot()
    world.pump(rounds=2)
    assert world["A"].log.snapshot is not None


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "vote", "term": 2**64 - 1},
        {"type": "vote", "term": -1},
        {"type": "read-request", "term": 1, "id": [-1, 1]},
        {"type": "heartbeat", "term": 1, "round": 2**63},
    ],
)
def test_numbers_that_no_member_sends_break_the_connection(fields: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(fields), type=msg.AnyMessage)


def test_a_command_that_fits_into_no_frame_is_refused() -> None:
    world = led_by_a()
    told = decided(world, "A", "x" * (MAX_PAYLOAD + 1)) + decided(world, "B", "y" * (3 << 20))
    assert kinds(told) == ["refused", "refused"]
    assert all(isinstance(outcome.error, BodyTooLarge) for outcome in told)
    assert kinds(decided(world, "A", "small")) == ["applied"]


def test_what_is_shipped_to_a_removed_member_ends() -> None:
    world = led_by_a()
    raft = world["A"]
    told: list[Outcome] = []
    raft.change_configuration(
        raft.history.current.with_member("D", Member("d:1", "d:2", voter=False)), told.append
    )
    world.exchange()
    raft.take_snapshot()
    world.pump(rounds=2)
    assert raft.log.snapshot is not None
    raft._sender.start("D", raft.log.snapshot)
    assert raft._sender.sends_to("D")
    raft.change_configuration(raft.history.current.without("D"), told.append)
    world.exchange()
    assert kinds(told) == ["applied", "applied"]
    assert not raft._sender.sends_to("D")


def test_a_learner_drops_a_silent_leader() -> None:
    world = World("ABCD", voters="ABC")
    world.elect("A", "ABC")
    told: list[Outcome] = []
    raft = world["A"]
    learner = Member("D:1", "D:2", voter=False)
    raft.change_configuration(raft.history.current.with_member("D", learner), told.append)
    world.pump(rounds=3)
    assert world["D"].leader == PeerNode("A")
    world.isolate("D")
    world.pump("D", rounds=30)
    assert world["D"].leader is None


def test_an_order_to_stand_ends_with_its_term() -> None:
    world = led_by_a()
    world.hand("A", "B", msg.TimeoutNow(term=1))
    world.hand("C", "B", msg.VoteRequest(term=2, last_term=1, last_index=99))
    world.tick("B")
    assert world["B"].term == 2
    assert world["B"].role != LEADER
    assert world["B"].counters["elections"] == 0


def test_a_committed_entry_that_the_leader_contradicts_stops_the_node() -> None:
    world = led_by_a()
    decided(world, "A", "x")
    world.pump(rounds=2)
    commit = world["C"].commit
    with pytest.raises(Stopped, match="is committed in term"):
        world.hand(
            "A",
            "C",
            msg.Append(term=1, round=1, commit=commit, prev_index=commit, prev_term=9, entries=[]),
        )


# Time (ARCHITECTURE, rule 2).


def test_time_goes_on_over_an_idle_leader_s_death() -> None:
    """An idle leader writes nothing, yet the time it measured is not lost with it."""
    world = led_by_a()
    world.pump(rounds=100)
    before = world["A"].cluster_time()
    assert before > world.members["B"].machine.clock + 4_000
    world.kill("A")
    world.elect("B", "BC")
    world.pump("BC", rounds=2)
    assert world["B"].cluster_time() >= before - 100
    assert world["B"].cluster_time() <= before + 2_000


def test_the_time_of_a_leader_that_another_one_followed_does_not_count() -> None:
    """C hears time from A only; B, elected meanwhile, may have granted something at another."""
    world = led_by_a("ABCDE")
    for a in "AC":
        for b in "BDE":
            world.cut(a, b)
    for _ in range(8):
        world.now += 0.06
        world.tick("A", "C")
        world.exchange("AC")
    heard = world["C"].heard_time[1]
    world.elect("B", "BDE")
    world.pump("BDE", rounds=2)
    decided_at = world["B"].cluster_time()
    assert decided_at < heard
    world.kill("A")
    world.heal("C")
    world.pump("BCDE", rounds=4)
    world.kill("B")
    world["C"].heard_time = (1, heard + 60_000)
    world.elect("C", "CDE")
    world.pump("CDE", rounds=2)
    assert world["C"].cluster_time() < heard + 5_000


def test_a_keepalive_that_came_in_time_is_in_front_of_what_carries_the_time() -> None:
    """It ends nobody who was in time, as the machine's stories say."""
    world = led_by_a()
    machine = world.members["A"].machine
    raft = world["A"]
    due = raft.cluster_time() + 200
    machine.next_deadline = lambda: due if machine.clock < due else None  # type: ignore[method-assign]
    told: list[Outcome] = []
    raft.propose(b"other", told.append)
    raft.propose(b"keepalive", told.append, priority=True)
    world.now += 0.45  # the leader was not run meanwhile
    world.tick("A")
    first, second = raft.log[-2][0], raft.log[-1][0]
    assert (first[9:], second[9:]) == (b"keepalive", b"other")
    assert due < int.from_bytes(first[1:9], "big") == int.from_bytes(second[1:9], "big")
