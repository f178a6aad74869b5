"""The judges of time: sessions and deadlines, cluster time against real time, calm, reigns."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.history import Invoke, Result
from chaos.simulation.judges import calm as calm_module
from chaos.simulation.judges.answers import Answers
from chaos.simulation.judges.calm import Calm
from chaos.simulation.judges.clocks import Clocks
from chaos.simulation.judges.due import Due
from chaos.simulation.judges.once import Once
from chaos.simulation.judges.reigns import Reigns
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
    log.apply(AdvanceClock(1), after=2_000, seq=0)
    with broken("leases", "session 1 was due at 3001 ms; the first entry .* says 4501 ms"):
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


# Calm.


class CalmWorld(World):
    """Nothing is wrong with it."""

    def __init__(self) -> None:
        super().__init__("n1")
        self.led: str | None = "n1"

    def leader(self) -> str | None:
        return self.led

    def picture(self) -> str:
        return "as it was"


class Entries:
    """The newest entry."""

    def __init__(self, time: float, clock: int) -> None:
        self.time = time
        self.now = clock


@pytest.fixture
def calm(monkeypatch: pytest.MonkeyPatch) -> Calm:
    """Of a world that was calm at seconds 0 to 7."""
    monkeypatch.setattr(calm_module, "is_calm", lambda world: True)
    judge = Calm(None, Due())  # type: ignore[arg-type]
    for time in range(8):
        judge.looked(time, CalmWorld())
    return judge


def asks(number: str, **arguments: Any) -> Invoke:
    """A request."""
    return Invoke(0, number, "c1", "n1", "lock.acquire", arguments)


def test_a_calm_cluster_that_goes_on_is_fine(calm: Calm) -> None:
    calm.invoked(7.1, asks("1"))
    calm.invoked(7.1, asks("2", wait=5.0))
    calm.answered(7.2, Result(0, "1", "ok"))
    calm._due.set("lease", 9_000)
    calm.read(Entries(7.5, 1_000))
    calm.looked(14.0, CalmWorld())


def test_a_calm_cluster_without_a_leader(calm: Calm) -> None:
    world = CalmWorld()
    world.led = None
    with broken("liveness", "left alone since 0.000 and has no leader"):
        calm.looked(8.0, world)


def test_a_request_that_waits_in_a_calm_cluster(calm: Calm) -> None:
    calm.invoked(7.0, asks("1"))
    with broken("liveness", "lock.acquire of c1 at n1 waits since 7.000"):
        calm.looked(10.5, CalmWorld())


def test_a_lease_that_nothing_ends_in_a_calm_cluster(calm: Calm) -> None:
    calm._due.set("lease", 2_000)
    calm.read(Entries(7.0, 1_000))
    calm.looked(9.0, CalmWorld())
    with broken("leases", "lease was due at 2000 ms"):
        calm.looked(9.5, CalmWorld())


def test_a_fault_ends_the_calm(calm: Calm) -> None:
    calm.invoked(7.0, asks("1"))
    calm.fault(8.0, "kill", "n1")
    calm.looked(12.0, CalmWorld())


# Who leads and hears nobody.


class Node:
    """What is looked up of a node."""

    class Settings:
        class Core:
            election_max = 0.7

        core = Core()

    class Raft:
        voters = frozenset(("n1", "n2", "n3"))

    settings, raft = Settings(), Raft()


@pytest.fixture
def world() -> World:
    """Three members that run."""
    world = World("n1", "n2", "n3")
    for host in world.hosts.values():
        host.node = Node()
    return world


def test_a_leader_that_is_heard_by_a_majority_is_fine(world: World) -> None:
    judge = Reigns()
    judge.role(1, "n1", "leader", 1)
    for time in range(1, 9):
        judge.delivered(time, "n2", "n1", time, b"x")
        judge.looked(time + 0.5, world)


def test_a_leader_that_nobody_hears(world: World) -> None:
    judge = Reigns()
    judge.role(1, "n1", "leader", 1)
    judge.delivered(1.5, "n2", "n1", 1.4, b"x")
    judge.looked(3.0, world)
    with broken("liveness", "n1 leads and heard nothing of a majority for 1.7 s"):
        judge.looked(3.5, world)


def test_a_leader_that_is_stopped_hears_nobody(world: World) -> None:
    judge = Reigns()
    judge.role(1, "n1", "leader", 1)
    world.hosts["n1"].paused = True
    judge.looked(5.0, world)
    world.hosts["n1"].paused = False
    judge.looked(5.5, world)


# Callers.


def test_callers_who_are_answered_are_fine() -> None:
    judge = Answers()
    judge.invoked(1, asks("1"))
    judge.answered(2, Result(0, "1", "ok", 200))
    judge.invoked(1, asks("2"))
    judge.stopped(2, "n1", 1, "kill")
    judge.answered(7.1, Result(0, "2", "unknown", why="no answer within 6 s"))
    judge.invoked(1, asks("3"))
    judge.answered(1.2, Result(0, "3", "unknown", why="no answer within 0.2 s"))
    judge.invoked(1, asks("4", wait=5))
    judge.answered(12, Result(0, "4", "unknown", why="no answer within 11 s"))
    judge.ended(20, None)


def test_a_healthy_node_leaves_a_caller_alone() -> None:
    judge = Answers()
    judge.invoked(1, asks("1"))
    with broken("answers", "n1 leaves lock.acquire of c1 unanswered for 6.1"):
        judge.answered(7.1, Result(0, "1", "unknown", why="no answer within 6 s"))


def test_callers_who_are_never_answered_or_twice() -> None:
    judge = Answers()
    judge.invoked(1, asks("1"))
    with broken("answers", "1 requests have no answer: 1"):
        judge.ended(9, None)
    judge.answered(2, Result(0, "1", "ok"))
    with broken("answers", "asked nothing any more"):
        judge.answered(2, Result(0, "1", "ok"))
    judge.invoked(1, asks("2"))
    with broken("answers", "begun twice"):
        judge.invoked(2, asks("2"))
    with broken("answers", "more than 13"):
        judge.answered(15, Result(0, "2", "ok"))


def test_a_caller_who_was_told_is_told_again() -> None:
    judge = Once()
    judge.started(0, "n1", 1)
    judge.told(1, "n1", b"p", "refused", 0)
    judge.told(1, "n1", b"p", "unknown", 0)
    judge._proposed[b"p"].applied = 1
    judge.told(1, "n1", b"p", "applied", 4)
    for kind in ("applied", "refused", "unknown"):
        with broken("answers", "who was told applied before"):
            judge.told(2, "n1", b"p", kind, 4)
