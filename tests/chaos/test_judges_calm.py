"""The judges of what must go on: calm clusters, leaders that nobody hears, callers."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.history import Invoke, Result
from chaos.simulation.judges import calm as calm_module
from chaos.simulation.judges.answers import Answers
from chaos.simulation.judges.calm import Calm
from chaos.simulation.judges.due import Due
from chaos.simulation.judges.once import Once
from chaos.simulation.judges.reigns import Reigns
from tests.chaos.judged import World, broken

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

    settings = Settings()
    _stopped = False

    def __init__(self) -> None:
        self.raft = self.Raft()


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


def test_a_leader_whose_majority_is_another_one_is_given_its_time(world: World) -> None:
    judge = Reigns()
    judge.role(1, "n1", "leader", 1)
    judge.looked(1.5, world)
    for time in range(2, 6):
        judge.delivered(time, "n2", "n1", time, b"x")
        judge.looked(time + 0.5, world)
    world.hosts["n1"].node.raft.voters = frozenset(("n1", "n3"))
    for later in (6.0, 6.5, 7.0, 7.5):
        judge.looked(later, world)
    with broken("liveness", "heard nothing"):
        judge.looked(8.0, world)


def test_a_leader_that_is_about_to_end_hears_nobody(world: World) -> None:
    judge = Reigns()
    judge.role(1, "n1", "leader", 1)
    world.hosts["n1"].node._stopped = True
    for time in (2, 3, 5):
        judge.looked(time, world)


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
