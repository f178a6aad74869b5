"""How entries are applied: what stops a node, what is due when, what does not stay."""

import sys
from typing import Any, get_args

import msgspec
import pytest

from raftcoord import commands
from raftcoord.commands import (
    AcquireLock,
    AnyCommand,
    BeginTransaction,
    CommitTransaction,
    Envelope,
    Granted,
    JoinRing,
    KeepAlive,
    KeptAlive,
    OpenSession,
    Queued,
    ReleaseLock,
    RollbackTransaction,
    SimpleLock,
    SimplePrepare,
    VoteTransaction,
    bounds,
    encode,
)
from raftcoord.errors import (
    CannotApply,
    InternalError,
    LimitReached,
    Overloaded,
    RaftcoordError,
    SessionGone,
    TransactionDecided,
)
from raftcoord.machine import Applied, Machine, state
from tests.machine.test_properties import check_inside, packed


class Log:
    """A machine and where its log is."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.time = 0
        self.seq = 0

    def apply(self, payload: bytes) -> Applied:
        return self.machine.apply(self.machine.applied + 1, 1, self.time, payload)

    def do(self, command: AnyCommand) -> Any:
        self.seq += 1
        return self.apply(encode(Envelope("n1", 1, self.seq, self.seq, "", command))).reply

    def tick(self) -> Applied:
        return self.apply(b"")


@pytest.mark.parametrize(
    "payload",
    [
        b"\xc1",
        b"\x81",
        msgspec.msgpack.encode({"gateway": "n1"}),
        encode(Envelope("n1", 1, 1, 1, "", OpenSession(5_000), v=2)),
        encode(Envelope("n1", 1, 1, 1, "", OpenSession(5_000))).replace(b"open", b"opem"),
        encode(Envelope("n1", 1, 1, 1, "", OpenSession(5_000))).replace(b"ttl", b"tto"),
        encode(Envelope("n1", 1, 1, 1, "", OpenSession(5_000))) + b"\0",
        b"\x91" * 5_000,
    ],
    ids=["no msgpack", "cut", "no command", "version", "tag", "field", "tail", "deep"],
)
def test_what_is_unknown_stops_before_anything_changed(payload: bytes) -> None:
    log = Log()
    log.do(AcquireLock("a", "w", ttl=1_000))
    before = packed(log.machine)
    log.time = 5_000
    with pytest.raises(CannotApply):
        log.apply(payload)
    assert packed(log.machine) == before


def test_an_entry_is_applied_once() -> None:
    log = Log()
    log.tick()
    with pytest.raises(CannotApply):
        log.machine.apply(1, 1, 0, b"")


def test_every_command_has_a_handler() -> None:
    machine = Machine()
    assert set(machine._handlers) == set(get_args(AnyCommand))


def test_at_most_256_expiries_an_entry_and_the_rest_counts_as_gone() -> None:
    log = Log()
    sessions = [log.do(OpenSession(2_000)).id for _ in range(600)]
    for number in sessions:
        log.do(AcquireLock(f"lock/{number}", "w", number))
    last = sessions[-1]
    log.do(BeginTransaction(("p",), 60_000, session=last))
    log.do(BeginTransaction(("p",), 2_000))
    log.do(VoteTransaction(2, {"p": "commit"}))
    log.do(AcquireLock(f"lock/{sessions[-2]}", "next", ttl=60_000, wait=60_000))
    log.do(AcquireLock(f"lock/{sessions[-3]}", "w", last, wait=60_000))
    log.time = 2_000
    ended = [kind for kind, _, _ in log.tick().events].count("session.ended")
    assert ended == 256
    machine = log.machine
    assert machine.next_deadline() == 2_000
    # Not collected yet, and gone.
    assert len(machine.sessions.table) == 344
    assert machine.sessions.live(last) is None
    assert machine.sessions.page() == []
    assert machine.locks.get(f"lock/{last}").holders == ()
    assert machine.transactions.get(1).reason == "session-gone"
    assert machine.transactions.get(2).reason == "timeout"


def test_what_is_over_and_not_collected_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "EXPIRIES_PER_ENTRY", 0)
    log = Log()
    machine = log.machine
    for _ in range(3):
        log.do(OpenSession(2_000))
    log.do(AcquireLock("a", "w", 1))
    log.do(AcquireLock("b", "w", ttl=2_000))
    log.do(AcquireLock("b", "first", 2, wait=60_000))
    log.do(AcquireLock("b", "second", ttl=9_000, wait=2_000))
    log.do(BeginTransaction(("p",), 60_000, session=1))
    log.do(BeginTransaction(("p",), 2_000))
    log.do(VoteTransaction(2, {"p": "commit"}))
    log.do(SimpleLock("s", 2_000, "v"))
    log.do(SimplePrepare("s", 2_000, "v"))
    log.time = 2_000
    log.tick()
    assert isinstance(log.do(ReleaseLock("a", "w", 1, 1)), SessionGone)
    assert log.do(KeepAlive((1,))) == KeptAlive((None,))
    assert isinstance(log.do(VoteTransaction(1, {"p": "commit"})), TransactionDecided)
    assert isinstance(log.do(CommitTransaction(2)), TransactionDecided)
    assert log.do(RollbackTransaction(2)).reason == "timeout"
    # Locks are free, and their dead holders and waiters stand in nobody's way.
    assert isinstance(log.do(AcquireLock("a", "x", ttl=5_000)), Granted)
    assert isinstance(log.do(AcquireLock("b", "x", ttl=5_000)), Granted)
    assert isinstance(log.do(SimpleLock("s", 2_000, "v")), Granted)
    assert log.do(SimplePrepare("s", 2_000, "w")).state == "prepared"
    # The same holder again, whose wait is over, gets a new place at the end.
    assert isinstance(log.do(AcquireLock("b", "third", ttl=5_000, wait=1_000)), Queued)
    log.time = 3_000
    assert isinstance(log.do(AcquireLock("b", "fourth", ttl=5_000, wait=1_000)), Queued)
    assert isinstance(log.do(AcquireLock("b", "third", ttl=5_000, wait=1_000)), Queued)
    log.do(ReleaseLock("b", "x", machine.locks.get("b").holders[0].token))
    assert machine.locks.get("b").holders[0].owner == "fourth"
    monkeypatch.undo()
    log.tick()
    check_inside(machine)
    assert not machine.alarms


def test_the_head_gets_its_turn_though_the_holder_was_not_collected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(state, "EXPIRIES_PER_ENTRY", 0)
    log = Log()
    log.do(OpenSession(2_000))
    log.do(AcquireLock("a", "w", 1))
    log.do(AcquireLock("a", "first", ttl=9_000, wait=60_000))
    log.time = 2_000
    refused = log.do(AcquireLock("a", "second", ttl=9_000))
    assert refused.fields["reason"] == "queued"
    assert isinstance(log.do(AcquireLock("a", "second", ttl=9_000, wait=60_000)), Queued)
    view = log.machine.locks.get("a")
    assert view.holders[0].owner == "first"
    assert view.queue == 1


def test_a_heavy_expiry_leaves_the_rest_for_the_next_entry() -> None:
    log = Log()
    for _ in range(5):
        number = log.do(OpenSession(2_000)).id
        for lock in range(1_000):
            log.do(AcquireLock(f"{number}/{lock}", "w", number))
    log.time = 2_000
    log.tick()
    assert 0 < len(log.machine.sessions.table) < 5
    log.tick()
    assert len(log.machine.sessions.table) == 0
    assert len(log.machine.locks.table) == 0


def test_a_refusal_after_a_change_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    machine = log.machine
    before = packed(machine)

    def late(command: Any, envelope: Any) -> Any:
        machine.sessions.open(command, envelope)
        raise LimitReached("too late", field="x", limit=0)

    monkeypatch.setitem(machine._handlers, OpenSession, late)
    reply = log.do(OpenSession(2_000))
    assert isinstance(reply, InternalError)
    assert reply.fields == {"index": 1}
    assert machine.alarms[0].error == "LateRefusalError"
    assert len(machine.sessions.table) == 0
    assert before != packed(machine)


def test_a_bug_in_keeping_the_answer_undoes_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    machine = log.machine
    remember = machine.answers.remember

    def broken(*arguments: Any) -> None:
        remember(*arguments)
        raise ZeroDivisionError

    monkeypatch.setattr(machine.answers, "remember", broken)
    assert isinstance(log.do(OpenSession(2_000)), InternalError)
    assert len(machine.sessions.table) == 0
    monkeypatch.undo()
    assert not isinstance(log.do(OpenSession(2_000)), RaftcoordError)


def test_no_more_than_a_hundred_alarms_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()

    def broken(command: Any, envelope: Any) -> Any:
        raise KeyError("x")

    monkeypatch.setitem(log.machine._handlers, OpenSession, broken)
    for _ in range(130):
        log.do(OpenSession(2_000))
    assert [alarm.index for alarm in log.machine.alarms] == list(range(31, 131))


def test_the_queue_of_a_lock_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "QUEUE", 5)
    monkeypatch.setattr(bounds, "JOINED_REQUESTS", 3)
    log = Log()
    log.do(AcquireLock("a", "w", ttl=60_000))
    for number in range(5):
        assert isinstance(log.do(AcquireLock("a", f"q{number}", ttl=1, wait=9_000)), Queued)
    full = log.do(AcquireLock("a", "more", ttl=1, wait=9_000))
    assert isinstance(full, LimitReached)
    assert full.fields == {"field": "queue", "limit": 5}
    # Who is in may join itself, up to a bound.
    assert isinstance(log.do(AcquireLock("a", "q1", ttl=1, wait=9_000)), Queued)
    assert isinstance(log.do(AcquireLock("a", "q1", ttl=1, wait=9_000)), Queued)
    assert isinstance(log.do(AcquireLock("a", "q1", ttl=1, wait=9_000)), LimitReached)


def test_what_a_session_holds_is_bounded() -> None:
    log = Log()
    number = log.do(OpenSession(60_000)).id
    for lock in range(1_021):
        assert isinstance(log.do(AcquireLock(f"l{lock}", "w", number)), Granted)
    log.do(JoinRing("r", "m", session=number))
    log.do(BeginTransaction(("p",), 60_000, session=number))
    log.do(AcquireLock("other", "x", ttl=60_000))
    assert isinstance(log.do(AcquireLock("other", "w", number, wait=60_000)), Queued)
    for command in (
        AcquireLock("l-more", "w", number),
        AcquireLock("other", "w2", number, wait=60_000),
        JoinRing("r", "m2", session=number),
        BeginTransaction(("p",), 60_000, session=number),
    ):
        refused = log.do(command)
        assert isinstance(refused, LimitReached)
        assert refused.fields == {"field": "holdings", "limit": 1_024}
    # A member that stays with its session takes no more room.
    assert not isinstance(log.do(JoinRing("r", "m", 2.0, session=number)), RaftcoordError)
    # A wait that is granted stays one thing, and what is given back makes room.
    log.do(ReleaseLock("other", "x", log.machine.locks.get("other").holders[0].token))
    assert isinstance(log.do(AcquireLock("l-more", "w", number)), LimitReached)
    log.do(RollbackTransaction(1))
    assert isinstance(log.do(AcquireLock("l-more", "w", number)), Granted)


def test_a_gateway_with_too_many_bytes_of_answers_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounds, "STORED_ANSWER_BYTES", 1_000)
    machine, replies = Machine(), []
    for seq in range(1, 40):
        envelope = Envelope("n1", 1, seq, 1, "", AcquireLock(f"l{seq}", "w", ttl=60_000))
        replies.append(machine.apply(seq, 1, 0, encode(envelope)).reply)
    assert isinstance(replies[0], Granted)
    assert isinstance(replies[-1], Overloaded)
    granted = sum(isinstance(reply, Granted) for reply in replies)
    assert granted == len(machine.locks.table) < 20
    # Once it says that it knows the outcomes, it goes on.
    envelope = Envelope("n1", 1, 40, 40, "", AcquireLock("m", "w", ttl=60_000))
    assert isinstance(machine.apply(40, 1, 0, encode(envelope)).reply, Granted)


def test_names_that_were_used_leave_nothing() -> None:
    log = Log()
    machine = log.machine
    for number in range(4_000):
        name = f"name-{number}"
        log.do(AcquireLock(name, "w", ttl=86_400_000))
        log.do(AcquireLock(name, "x", ttl=86_400_000, wait=3_600_000))
        log.do(ReleaseLock(name, "w", 2 * number + 1))
        log.do(ReleaseLock(name, "x", 2 * number + 2))
    assert len(packed(machine)) < 700
    assert machine._deadlines.heap_size() < 3_000
    assert len(machine._deadlines.armed) == 1
    assert machine.locks.queues._places == {}


def test_a_lock_costs_the_same_among_few_and_many() -> None:
    """Counted in calls, not in time: what runs does not depend on how much is there."""

    def calls(log: Log) -> int:
        count = 0

        def profile(frame: object, event: str, argument: object) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        name = "one-more"
        sys.setprofile(profile)
        try:
            granted = log.do(AcquireLock(name, "w", ttl=60_000))
            log.do(ReleaseLock(name, "w", granted.token))
            log.do(ReleaseLock("q", "w", 1))
        finally:
            sys.setprofile(None)
        return count

    def filled(count: int) -> Log:
        log = Log()
        log.do(AcquireLock("q", "w", ttl=60_000))
        for number in range(count):
            log.do(AcquireLock(f"l{number}", "w", ttl=60_000))
            log.do(OpenSession(60_000))
            log.do(AcquireLock("q", f"w{number}", ttl=60_000, wait=60_000))
        return log

    assert calls(filled(3_000)) <= calls(filled(30)) + 10


def test_commands_are_exported() -> None:
    for command in get_args(AnyCommand):
        assert getattr(commands, command.__name__) is command
        assert command.__name__ in commands.__all__
