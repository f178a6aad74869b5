"""The judges of locks, tokens and rings: what a machine does is right, what is changed is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from raftcoord.commands import (
    AcquireLock,
    CancelAcquire,
    CloseSession,
    DeleteRing,
    Granted,
    JoinRing,
    LeaveRing,
    OpenSession,
    PutRing,
    RefreshLock,
    ReleaseLock,
    RingChanged,
    SessionOpened,
    SimpleLock,
    SimpleUnlock,
)
from raftcoord.errors import LockHeld, NotHolder
from raftcoord.machine.events import Event, LockGranted, LockReleased, Request
from raftcoord.machine.state import Applied
from tests.chaos.judged import Log, broken, with_events, with_reply


def token(applied: Applied) -> int:
    """The token granted."""
    assert isinstance(applied.reply, Granted)
    return applied.reply.token


def session(log: Log, ttl: int = 10_000) -> int:
    """Open one."""
    reply = log.apply(OpenSession(ttl)).reply
    assert isinstance(reply, SessionOpened)
    return reply.id


def take(name: str, owner: str, *, ttl: int | None = 1_000, wait: int = 0) -> AcquireLock:
    """An acquire without a session."""
    return AcquireLock(name, owner, None, ttl, wait)


@pytest.fixture
def log() -> Log:
    """An empty log."""
    return Log()


@pytest.fixture
def held(log: Log) -> int:
    """The token of a: b and c wait."""
    held = token(log.apply(take("x", "a")))
    log.apply(take("x", "b", wait=60_000))
    log.apply(take("x", "c", wait=60_000))
    return held


def granted(event: Event, **changed: object) -> Event:
    """The event of a grant, with another reply."""
    data = event.data
    return Event(event.kind, event.key, LockGranted(data.requests, replace(data.reply, **changed)))


# What a machine does.


def test_all_a_lock_goes_through_is_fine(log: Log, held: int) -> None:
    log.apply(RefreshLock("x", "a", held))
    log.apply(RefreshLock("x", "b", held))
    log.apply(ReleaseLock("x", "a", held))
    log.apply(take("x", "d"))
    log.idle(1_500)
    log.apply(take("x", "c", wait=10_000))
    log.apply(take("x", "e", wait=500))
    log.apply(take("x", "f", wait=60_000))
    log.apply(CancelAcquire("x", "f", "n1", 1, log.seq))
    log.apply(CancelAcquire("x", "c", "n1", 1, 3))
    log.idle(700)
    log.apply(take("y", "a"))
    log.apply(SimpleLock("s", 500, "secret"))
    log.apply(SimpleLock("s", 500, "secret"))
    log.apply(SimpleUnlock("s", "secret"))
    log.apply(SimpleLock("s", 500, "secret"))
    log.apply(take("s", "b"), after=501)


def test_what_a_session_holds_and_waits_for_is_fine(log: Log) -> None:
    first, second = session(log, 3_000), session(log)
    log.apply(AcquireLock("x", "a", first))
    log.apply(AcquireLock("x", "b", second, 400, 5_000))
    log.apply(AcquireLock("y", "b", second, 400))
    log.apply(AcquireLock("y", "a", first, None, 90_000))
    log.apply(JoinRing("r", "m", session=first))
    log.apply(JoinRing("r", "k", session=second))
    log.idle(3_500)
    log.apply(AcquireLock("z", "c", second))
    log.apply(CloseSession(second))
    log.apply(LeaveRing("r", "m"))


def test_a_place_that_is_over_is_taken_anew_at_the_end(log: Log, held: int) -> None:
    log.apply(take("x", "e", wait=100))
    log.apply(take("x", "e", wait=60_000), after=100)
    log.apply(take("x", "f", wait=60_000))
    for owner in ("a", "b", "c", "e"):
        lock = log.machine.locks.table.get("x")
        assert lock is not None
        log.apply(ReleaseLock("x", owner, lock.token))


# What it must not do.


def test_a_token_that_was_there_before(log: Log, held: int) -> None:
    with broken("tokens", f"with token {held} after {held}"):
        log.apply(
            take("y", "a"),
            twist=lambda it: with_events(it, granted(it.events[0], token=held)),
        )


def test_two_hold_a_lock(log: Log) -> None:
    log.apply(take("x", "a", ttl=60_000))
    with broken("one holder", r"grants x to b \(token 9\), a holds it"):
        log.apply(
            take("x", "b"),
            twist=lambda it: with_events(
                it,
                Event("lock.granted", "x", LockGranted((), Granted("x", 9, "b", None, 1_000))),
            ),
        )


def test_the_second_of_a_queue_is_granted(log: Log, held: int) -> None:
    def second(applied: Applied) -> Applied:
        released, first = applied.events
        request = replace(first.data.requests[0], seq=3)
        data = LockGranted((request,), replace(first.data.reply, owner="c"))
        return with_events(applied, released, Event("lock.granted", "x", data))

    with broken("one holder", "to c, who is not the first"):
        log.apply(ReleaseLock("x", "a", held), twist=second)


def test_somebody_passes_the_queue(log: Log, held: int) -> None:
    def passed(applied: Applied) -> Applied:
        gone = Event("lock.released", "x", LockReleased(held, None, "a", "expired"))
        mine = Request("n1", 1, 99)
        reply = Granted("x", 50, "z", None, 1_000)
        grant = Event("lock.granted", "x", LockGranted((mine,), reply))
        return Applied(reply, (gone, grant), applied.envelope)

    log.time += 998
    with broken("one holder", "past its queue"):
        log.apply(take("x", "z"), seq=99, twist=passed)


def test_a_grant_that_nobody_asked_for(log: Log) -> None:
    reply = Granted("x", 50, "z", None, 1_000)
    event = Event("lock.granted", "x", LockGranted((), reply))
    with broken("one holder", "to z, who did not ask"):
        log.apply(take("y", "a"), twist=lambda it: with_events(it, *it.events, event))


def test_a_grant_in_the_answer_alone(log: Log) -> None:
    with broken("one holder", "a grant that did not happen"):
        log.apply(take("x", "a"), twist=with_events)


def test_a_release_of_what_is_not_held(log: Log, held: int) -> None:
    event = Event("lock.released", "x", LockReleased(held + 7, None, "a", "released"))
    with broken("one holder", "which does not hold it"):
        log.apply(take("y", "a"), twist=lambda it: with_events(it, event))


def test_a_release_that_nobody_asked_for(log: Log, held: int) -> None:
    event = Event("lock.released", "x", LockReleased(held, None, "a", "released"))
    with broken("leases", r"\(released\), and nobody asked"):
        log.apply(take("y", "a"), twist=lambda it: with_events(it, event))


def test_a_lease_that_ends_too_early(log: Log, held: int) -> None:
    event = Event("lock.released", "x", LockReleased(held, None, "a", "expired"))
    with broken("leases", "97 ms before its time"):
        log.apply(take("y", "a"), after=900 + 1, twist=lambda it: with_events(it, event))


def test_a_lease_that_goes_on_after_its_end(log: Log) -> None:
    log.apply(take("x", "a"))
    with broken("leases", "grant 1 ends at 1001 ms and lives"):
        log.apply(OpenSession(5_000), after=1_000, twist=lambda it: with_events(it, it.events[-1]))


def test_a_lease_shorter_than_asked_for(log: Log) -> None:
    with broken("leases", "for 999 ms; it has 1000 ms"):
        log.apply(
            take("x", "a"),
            twist=lambda it: with_events(it, granted(it.events[0], expires_in=999)),
        )


def test_a_holder_is_told_that_it_is_none(log: Log, held: int) -> None:
    with broken("leases", f"whose token {held} lives"):
        log.apply(
            RefreshLock("x", "a", held),
            twist=lambda it: with_reply(it, NotHolder("no", name="x", token=held)),
        )


def test_a_free_lock_is_refused(log: Log) -> None:
    with broken("one holder", "refuses x as held; nobody holds"):
        log.apply(
            take("x", "a"), twist=lambda it: Applied(LockHeld("no", name="x"), (), it.envelope)
        )


def test_a_wait_that_ends_too_early(log: Log, held: int) -> None:
    log.apply(take("x", "e", wait=700))
    sequence = log.machine.locks.table.rows["x"].tail
    log.machine._deadlines.arm(("wait", sequence), log.time + 100)
    waiter = log.machine.locks.queues.waiters.rows[sequence]
    early = tuple(replace(asked, ends=log.time + 100) for asked in waiter.asked)
    log.machine.locks.queues.waiters.rows[sequence] = waiter.with_asked(early)
    with broken("leases", "ms before its time"):
        log.apply(take("y", "a"), after=200)


def test_the_tables_say_something_else(log: Log) -> None:
    def lost(applied: Applied) -> Applied:
        del log.machine.locks.table.rows["x"]
        return applied

    with broken("one holder", r"the tables say of x \(token, waiting\) \(0, 0\)"):
        log.apply(take("x", "a"), twist=lost)


def only(kind: str) -> Callable[[Applied], Applied]:
    """Leave the events of this kind."""
    return lambda it: with_events(it, *[event for event in it.events if event.kind == kind])


def test_a_session_that_is_gone_holds_a_lock(log: Log) -> None:
    number = session(log)
    log.apply(AcquireLock("x", "a", number))
    with broken("one holder", f"session {number} is gone and holds x"):
        log.apply(CloseSession(number), twist=only("session.ended"))


def test_a_session_that_is_gone_waits_for_a_lock(log: Log, held: int) -> None:
    number = session(log)
    log.apply(AcquireLock("x", "d", number, None, 60_000))
    with broken("one holder", "a session that is gone waits for x"):
        log.apply(CloseSession(number), twist=only("session.ended"))


def test_a_member_stays_on_its_ring_without_its_session(log: Log) -> None:
    number = session(log)
    log.apply(JoinRing("r", "m", session=number))

    def stays(applied: Applied) -> Applied:
        log.machine.rings.members.rows["r", "m"] = member
        return applied

    member = log.machine.rings.members.rows["r", "m"]
    with broken("one holder", "m is on ring r; its session is gone"):
        log.apply(CloseSession(number), twist=stays)


def test_a_version_of_a_ring_is_passed_over(log: Log) -> None:
    log.apply(PutRing("r", 64))
    with broken("one holder", "makes version 3 of ring r out of version 1"):
        log.apply(
            PutRing("r", 32),
            twist=lambda it: with_events(it, Event("ring.changed", "r", 3)),
        )


def test_another_version_than_the_rings_is_answered(log: Log) -> None:
    log.apply(PutRing("r", 64))
    with broken("one holder", "answers version 7 of ring r; it is 1"):
        log.apply(PutRing("r", 64), twist=lambda it: with_reply(it, RingChanged("r", 7, False)))


def test_a_ring_made_again_goes_on_above_its_versions(log: Log) -> None:
    log.apply(PutRing("r", 64))
    log.apply(JoinRing("r", "m"))
    log.apply(DeleteRing("r"))
    log.apply(JoinRing("r", "m"))
    log.apply(LeaveRing("r", "m"))
