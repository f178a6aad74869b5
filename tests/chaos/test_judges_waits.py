"""The judges of bounds on requests, and of callers that hang up."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from chaos.history import Invoke, Result
from chaos.simulation.judges.limits import Limits
from chaos.simulation.judges.waits import Waits
from chaos.simulation.sizes import Sizes
from chaos.simulation.violation import Violation
from raftcoord.commands import AcquireLock, Envelope, ReleaseLock, encode
from raftcoord.machine.state import Machine

HUNG_UP = "no answer within 0.100 s"


class Scene:
    """One node, n1, with a machine, and a caller that asks it."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.submissions: dict[int, None] = {}
        self.acquires: dict[int, Any] = {}
        load = _Submissions(self.submissions)
        gateway = SimpleNamespace(
            is_open=True,
            submissions=load,
            acquires=_Acquires(self.acquires),
            reading=SimpleNamespace(_waiting=0),
        )
        queue = SimpleNamespace(_queues=(deque[int](), deque[int]()))
        node = SimpleNamespace(raft=SimpleNamespace(_queue=queue))
        self.member = SimpleNamespace(
            gateway=gateway, machine=self.machine, node=node, paused=False, stopping=False
        )
        net = SimpleNamespace(loss=0, loss_reset=0, _cuts={}, _slow={}, _narrow={})
        self.world = SimpleNamespace(
            hosts={"n1": self.member},
            members={"n1": self.member},
            sizes=Sizes(),
            loop=SimpleNamespace(net=net),
        )
        self.waits, self.limits = Waits(), Limits()
        for judge in (self.waits, self.limits):
            judge.began(self.world)
        self.waits.started(0.0, "n1", 1)
        self.index = 0

    def ask(self, owner: str, time: float, why: str | None = HUNG_UP) -> None:
        """The caller asks for lock "x" and hangs up, or does not."""
        arguments = {"name": "x", "owner": owner, "ttl": 9.0, "wait": 5.0}
        line = Invoke(0, f"c-{owner}-{time}", "c", "n1", "lock.acquire", arguments)
        self.waits.invoked(time, line)
        outcome = "ok" if why is None else "unknown"
        self.waits.answered(time + 0.1, Result(1, line.id, outcome, why=why))

    def apply(self, command: Any, time: float) -> None:
        """The node applies an entry."""
        self.index += 1
        payload = encode(Envelope("n1", 1, self.index, self.index, "", command))
        applied = self.machine.apply(self.index, 1, 0, payload)
        arguments = (time, "n1", self.index, 1, 0, payload, applied, self.machine)
        self.waits.applied(*arguments)
        self.limits.applied(*arguments)

    def look(self, *times: float) -> None:
        """Time passes."""
        for time in times:
            self.waits.looked(time, self.world)


class _Submissions(dict[int, None]):
    gateway, boot, _next = "n1", 1, 1

    def __init__(self, still: dict[int, None]) -> None:
        self._open = still
        self._load = [0, 0]

    def __len__(self) -> int:
        return len(self._open)


class _Acquires:
    def __init__(self, waits: dict[int, Any]) -> None:
        self._waits = waits

    def __len__(self) -> int:
        return len(self._waits)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_place_that_was_given_back(scene: Scene) -> None:
    scene.apply(AcquireLock("x", "other", ttl=9_000), 1.0)
    scene.ask("me", 1.0)
    scene.look(1.5, 3.5)
    assert scene.waits.left == 1


def test_a_place_that_nobody_gives_back(scene: Scene) -> None:
    scene.apply(AcquireLock("x", "other", ttl=9_000), 1.0)
    scene.ask("me", 1.0)
    scene.apply(AcquireLock("x", "me", ttl=9_000, wait=5_000), 1.05)
    scene.look(1.5, 2.0, 3.0)
    with pytest.raises(Violation, match="me waits for x at n1, and went away at 1"):
        scene.look(3.5)


def test_a_place_that_is_about_to_be_given_back(scene: Scene) -> None:
    scene.apply(AcquireLock("x", "other", ttl=9_000), 1.0)
    scene.ask("me", 1.0)
    scene.apply(AcquireLock("x", "me", ttl=9_000, wait=5_000), 1.05)
    scene.submissions[7] = None
    scene.look(3.5, 4.0, 9.0)
    assert scene.waits.left == 0


def test_who_cannot_have_heard_is_not_blamed(scene: Scene) -> None:
    scene.apply(AcquireLock("x", "other", ttl=9_000), 1.0)
    scene.ask("me", 1.0)
    scene.apply(AcquireLock("x", "me", ttl=9_000, wait=5_000), 1.05)
    scene.world.loop.net._cuts = {("c", "n1"): 1}
    scene.look(3.5)
    scene.waits.fault(3.6, "late_bytes", "")
    scene.world.loop.net._cuts = {}
    scene.look(4.0, 9.0)


def test_a_cancel_may_find_no_room_on_a_disk(scene: Scene) -> None:
    for excuse in (
        lambda: scene.waits.fault(1.2, "full_disk", "n1"),
        lambda: scene.waits.answered(1.2, Result(1, "?", "refused", slug="storage-full")),
    ):
        scene.ask("me", 1.0)
        excuse()
        scene.ask("you", 2.0)
        scene.apply(AcquireLock("x", "other", ttl=9_000), 2.2)
        scene.apply(AcquireLock("x", "me", ttl=9_000, wait=5_000), 2.2)
        scene.apply(AcquireLock("x", "you", ttl=9_000, wait=5_000), 2.2)
        scene.look(5.5, 9.0)


def test_another_life_of_the_node_knows_nothing(scene: Scene) -> None:
    scene.apply(AcquireLock("x", "other", ttl=9_000), 1.0)
    scene.ask("me", 1.0)
    scene.apply(AcquireLock("x", "me", ttl=9_000, wait=5_000), 1.05)
    scene.waits.started(2.0, "n1", 2)
    scene.look(3.5, 4.0, 9.0)


def test_a_grant_that_may_have_been_answered(scene: Scene) -> None:
    scene.ask("me", 1.0)
    scene.apply(AcquireLock("x", "me", ttl=9_000), 1.09)
    scene.look(3.5, 4.0)


def test_a_grant_to_somebody_known_to_be_gone(scene: Scene) -> None:
    scene.apply(AcquireLock("x", "other", ttl=9_000), 1.0)
    scene.ask("me", 1.0)
    scene.apply(AcquireLock("x", "me", ttl=9_000, wait=5_000), 1.05)
    scene.submissions[7] = None
    scene.look(3.5)
    scene.apply(ReleaseLock("x", "other", 1), 3.6)
    scene.submissions.clear()
    with pytest.raises(Violation, match="me holds x at n1, and went away at 1"):
        scene.look(4.0)


def test_who_asks_again_by_the_same_name_is_not_told_apart(scene: Scene) -> None:
    scene.apply(AcquireLock("x", "other", ttl=9_000), 1.0)
    scene.ask("me", 1.0)
    scene.ask("me", 2.0, why=None)
    scene.apply(AcquireLock("x", "me", ttl=9_000, wait=5_000), 2.05)
    scene.look(3.5, 4.5)


def wait_of(scene: Scene, seq: int, owner: str, *, taken_back: bool = False) -> None:
    command = AcquireLock("x", owner, ttl=9_000, wait=5_000)
    scene.acquires[seq] = SimpleNamespace(
        queued=True, taken_back=taken_back, ended=None, command=command, seq=seq
    )


def test_who_waits_is_in_the_queue(scene: Scene) -> None:
    scene.apply(AcquireLock("x", "other", ttl=9_000), 1.0)
    scene.apply(AcquireLock("x", "me", ttl=9_000, wait=5_000), 1.0)
    wait_of(scene, 2, "me")
    wait_of(scene, 9, "stopping", taken_back=True)
    scene.look(1.5)
    scene.apply(ReleaseLock("x", "other", 1), 1.6)
    with pytest.raises(Violation, match="n1 lets me wait for x, who is in no queue"):
        scene.look(2.0)


def test_bounds_of_requests(scene: Scene) -> None:
    submissions = scene.member.gateway.submissions
    scene.world.sizes = Sizes(in_flight=2, waiting=2, queue=2, window=4)
    scene.apply(AcquireLock("x", "a", ttl=1), 1.0)
    assert scene.limits.met == set()
    submissions._load[0] = 2
    scene.submissions[1], submissions._next = None, 5
    scene.limits.told(1.0, "n1", b"", "applied", 1)
    assert scene.limits.met == {"commands without an outcome", "numbers given out"}
    scene.member.node.raft._queue._queues[1].extend((1, 2, 3))
    with pytest.raises(Violation, match="n1 has 3 proposals, and may have 2"):
        scene.limits.barrier(1.0, "n1", 0.5, 1)
