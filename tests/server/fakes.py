"""A node without a cluster: it applies at once, and fails on demand."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Literal

from raftcoord.consensus.proposals import Done, Outcome, refused, unknown
from raftcoord.consensus.settings import NodeStatus, PeerStatus
from raftcoord.machine.state import Applied, Machine
from raftcoord.server.duties import advance_payload

Fault = Literal["no-leader", "overloaded", "storage-full", "lost", "answer-lost", "silent"]
"""What happens to a proposal: refused for one of three reasons; lost on the way (unknown, not
executed); executed with its answer lost (unknown); executed, and nobody ever tells."""


class FakeNode:
    """What the gateway needs of a node, and the levers.

    faults: what happens to the next proposals, one each. time: cluster time in ms.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.applied = 0
        self.term = 1
        self.time = 1_000
        self.has_leader = True
        self.faults: deque[Fault] = deque()
        self.proposed = 0
        self.entries: list[bytes] = []
        self.barriers = 0
        self.held: list[Callable[[], None]] | None = None
        self.on_applied: Callable[[int, Applied], None] = lambda index, applied: None

    @property
    def cluster_time(self) -> int:
        return max(self.time, self.machine.clock)

    def propose(self, payload: bytes, done: Done, *, priority: bool = False) -> None:
        self.proposed += 1
        loop = asyncio.get_running_loop()
        if self.held is not None:
            self.held.append(lambda: self._take(payload, done))
        else:
            loop.call_soon(self._take, payload, done)

    def _take(self, payload: bytes, done: Done) -> None:
        fault = self.faults.popleft() if self.faults else None
        if not self.has_leader:
            done(refused("no-leader"))
        elif fault in ("no-leader", "overloaded", "storage-full"):
            done(refused(fault))
        elif fault == "lost":
            done(unknown("the proposal was lost"))
        else:
            told: Done = done
            if fault == "answer-lost":
                told = lambda outcome: done(unknown("the answer was lost"))  # noqa: E731
            elif fault == "silent":
                told = lambda outcome: None  # noqa: E731
            self.append(payload, told)

    def append(self, payload: bytes, done: Done = lambda outcome: None) -> None:
        """Apply an entry, as a committed one is."""
        self.applied += 1
        self.entries.append(payload)
        applied = self.machine.apply(self.applied, self.term, self.time, payload)
        done(Outcome("applied", self.applied, applied.reply))
        self.on_applied(self.applied, applied)

    def hold(self) -> None:
        """Keep proposals back."""
        self.held = []

    def let_go(self) -> None:
        """Take what was kept back."""
        held, self.held = self.held or [], None
        for take in held:
            take()

    def advance(self, milliseconds: int) -> None:
        """Let cluster time pass, and do what is due."""
        self.time += milliseconds
        due = self.machine.next_deadline()
        while due is not None and due <= self.time:
            self.append(advance_payload(self.term))
            due = self.machine.next_deadline()

    def read_barrier(self, done: Callable[[int | None], None]) -> None:
        self.barriers += 1
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: done(self.applied if self.has_leader else None))

    def status(self) -> NodeStatus:
        return NodeStatus(
            id="n1",
            cluster="test",
            role="leader" if self.has_leader else "follower",
            leader="n1" if self.has_leader else None,
            leader_http="127.0.0.1:8080" if self.has_leader else None,
            term=self.term,
            revision=self.applied,
            commit=self.applied,
            last=self.applied,
            ready=self.has_leader,
            full=False,
            time=self.time,
            peers={
                "n2": PeerStatus(True, True, "127.0.0.1:18081", "127.0.0.1:8081", self.applied, 0)
            },
            counters={"elections": 1},
        )
