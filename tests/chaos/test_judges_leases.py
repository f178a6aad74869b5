"""The judges of time: sessions and deadlines, cluster time against real time."""

from __future__ import annotations

import pytest

from chaos.simulation.judges.clocks import Clocks
from chaos.simulation.judges.due import Due
from raftcoord.commands import (
    AcquireLock,
    AdvanceClock,
    CloseSession,
    KeepAlive,
    KeptAlive,
    OpenSession,
    SessionOpened,
)
from raftcoord.errors import SessionGone
from raftcoord.machine.events import Event, SessionEvent
from tests.chaos.judged import Log, World, broken, with_events, with_reply


@pytest.fixture
def log() -> Log:
    """A log with session 1, which lives for 3 s from 1 ms on."""
    log = Log()
    assert isinstance(log.apply(OpenSession(3_000)).reply, SessionOpened)
    return log


# Sessions.


def test_sessions_that_live_and_end_are_fine(log: Log) -> None:
    log.apply(OpenSession(2_000))
    log.apply(KeepAlive((1, 2, 9, "?")))
    log.idle(2_500)
    log.apply(KeepAlive((1, 2)))
    log.apply(CloseSession(1))
    log.apply(CloseSession(1))
    log.apply(AcquireLock("x", "a", 1))
    log.idle(5_000)


def test_a_session_that_expires_too_early(log: Log) -> None:
    event = Event("session.ended", "1", SessionEvent("expired"))
    with broken("leases", "session 1 ends in entry 2, at 500 ms, 2501 ms before its time"):
        log.apply(AdvanceClock(1), after=499, seq=0, twist=lambda it: with_events(it, event))


def test_a_session_that_does_not_expire(log: Log) -> None:
    log.idle(2_500)
    with broken("leases", "session 1 ends at 3001 ms and lives after entry 7, at 3001 ms"):
        log.apply(AdvanceClock(1), after=500, seq=0, twist=with_events)


def test_a_session_that_expires_too_late_for_want_of_an_entry(log: Log) -> None:
    log.apply(AdvanceClock(1), after=2_200, seq=0)
    with broken("leases", "session 1 was due at 3001 ms; the first entry .* says 4701 ms"):
        log.apply(AdvanceClock(1), after=2_500, seq=0)


def test_a_leader_without_room_may_be_late(log: Log) -> None:
    world = World("n1")
    world.hosts["n1"].disk.capacity = 0
    log.judge(Due).began(world)
    log.apply(AdvanceClock(1), after=4_500, seq=0)


def test_a_new_leader_may_be_later(log: Log) -> None:
    log.term = 2
    log.apply(OpenSession(2_000), after=5_000)


def test_a_session_that_ends_unasked(log: Log) -> None:
    event = Event("session.ended", "1", SessionEvent("closed"))
    with broken("leases", r"ends session 1 \(closed\), and nobody asked"):
        log.apply(CloseSession(2), twist=lambda it: with_events(it, event))


def test_a_session_that_ends_twice(log: Log) -> None:
    log.apply(CloseSession(1))
    event = Event("session.ended", "1", SessionEvent("closed"))
    with broken("leases", "ends session 1: there is none"):
        log.apply(CloseSession(1), twist=lambda it: with_events(it, event))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((None, None), "answers None for session 1, which lives"),
        ((3_000, 5), "answers 5 for session 2, which is over"),
        ((2_999, None), "renews session 1 for 2999 ms of 3000 ms"),
    ],
)
def test_keepalives_that_are_answered_otherwise(
    log: Log, answer: tuple[int | None, ...], words: str
) -> None:
    with broken("leases", words):
        log.apply(KeepAlive((1, 2)), twist=lambda it: with_reply(it, KeptAlive(answer)))


def test_a_living_session_is_taken_for_gone(log: Log) -> None:
    gone = SessionGone("gone", session=1)
    with broken("leases", "takes session 1 for gone"):
        log.apply(
            AcquireLock("x", "a", 1),
            twist=lambda it: with_reply(with_events(it), gone),
        )


def test_an_id_that_is_given_again(log: Log) -> None:
    with broken("leases", "opens session 1 again"):
        log.apply(
            OpenSession(3_000),
            twist=lambda it: with_reply(it, SessionOpened(1, 3_000)),
        )


# Cluster time and real time.


def entry(stamp: int) -> bytes:
    """A command that carries this cluster time."""
    return b"\0" + stamp.to_bytes(8, "big") + b"command"


@pytest.fixture
def clocks() -> Clocks:
    """n1 leads term 1; an entry of 1000 ms was appended at second 10."""
    judge = Clocks()
    judge.began(World("n1", "n2"))
    judge.role(9, "n1", "leader", 1)
    judge.appended(10.0, "n1", 1, 1, entry(1_000))
    return judge


def test_time_that_keeps_pace_is_fine(clocks: Clocks) -> None:
    clocks.appended(10.5, "n1", 2, 1, b"\2" + bytes(8) + b"members, of the time before")
    clocks.appended(10.5, "n1", 3, 1, entry(1_500))
    clocks.appended(10.6, "n2", 3, 1, entry(1_500))
    clocks.appended(15.5, "n1", 4, 1, entry(6_550))
    clocks.appended(15.6, "n1", 5, 1, b"\1")
    clocks.appended(20.5, "n1", 6, 1, entry(11_500))


def test_time_that_runs_ahead(clocks: Clocks) -> None:
    with broken("leases", "ran 74 ms ahead of a clock"):
        clocks.appended(12.0, "n1", 2, 1, entry(3_094))


def test_time_that_leaps_with_a_new_leader(clocks: Clocks) -> None:
    clocks.role(11, "n2", "leader", 2)
    with broken("leases", "entry 2 is stamped 4000 ms"):
        clocks.appended(12.0, "n2", 2, 2, entry(4_000))


def test_a_new_leader_need_not_count_the_time_without_one(clocks: Clocks) -> None:
    clocks.role(11, "n2", "leader", 2)
    clocks.appended(20.0, "n2", 2, 2, entry(1_000))
    clocks.appended(21.0, "n2", 3, 2, entry(2_000))


def test_time_that_stands_still(clocks: Clocks) -> None:
    with broken("leases", "lets 100 ms pass in 1.000 s"):
        clocks.appended(11.0, "n1", 2, 1, entry(1_100))


def test_a_leader_that_was_stopped_goes_on_with_one_step(clocks: Clocks) -> None:
    _stop(clocks, 10.1, 13.0)
    clocks.appended(13.1, "n1", 2, 1, entry(1_580))
    clocks.appended(14.1, "n1", 3, 1, entry(2_580))


def test_a_leader_that_was_stopped_makes_up_for_it(clocks: Clocks) -> None:
    _stop(clocks, 10.1, 13.0)
    with broken("leases", "was stopped and lets 3100 ms pass at once"):
        clocks.appended(13.1, "n1", 2, 1, entry(4_100))


def test_dishonest_clocks_are_not_judged(clocks: Clocks) -> None:
    world = World("n1")
    world.clocks_honest = False
    clocks.began(world)
    clocks.appended(11.0, "n1", 2, 1, entry(9_000))


def _stop(clocks: Clocks, since: float, until: float) -> None:
    world = World("n1", "n2")
    world.hosts["n1"].paused = True
    while since < until:
        clocks.looked(since, world)
        since += 0.5
    world.hosts["n1"].paused = False
    clocks.looked(until, world)
