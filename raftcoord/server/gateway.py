"""The way from the routes to the log and the machine, and back.

A command gets its request id here and is followed until its outcome is known (`submissions`);
acquires wait for their events (`waits`), or are refused without the log (`refusing`); reads share
barriers (`reading`); keepalives are gathered into one entry.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol, TypeVar

from raftcoord.commands import AnyCommand, KeepAlive, KeptAlive
from raftcoord.errors import NotReady, RaftcoordError
from raftcoord.machine.state import Applied, Machine
from raftcoord.server.reading import Reader, Reading
from raftcoord.server.submissions import (
    Ended,
    Proposer,
    Settled,
    Submissions,
    Told,
    telling,
)
from raftcoord.server.waits import Acquire, AcquireWait, AcquireWaits, DecisionWaits

_log = logging.getLogger("raftcoord.gateway")

SUBMIT_TIMEOUT = 5.0
MAX_IN_FLIGHT = 4_096
MAX_WAITING = 16_384
GATHER = 0.05
"""Seconds keepalives are gathered at most."""
GATHERED = 1_024
"""Keepalives in one command at most."""

_T = TypeVar("_T")


class Consensus(Proposer, Reader, Protocol):
    """What is needed of `consensus.node.Node`."""

    @property
    def cluster_time(self) -> int:
        """Milliseconds of cluster time, as far as this node can tell."""


class Gateway:
    """This node's gateway. `open` it when the node has started.

    Args:
        max_in_flight: commands without an outcome; keepalives, releases and cancels have as much
            room again. max_waiting: acquires and reads that wait.
    """

    def __init__(
        self,
        machine: Machine,
        *,
        max_in_flight: int = MAX_IN_FLIGHT,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self.machine = machine
        self.decisions = DecisionWaits()
        self._max_in_flight = max_in_flight
        self._max_waiting = max_waiting
        self._gathered: list[tuple[int, asyncio.Future[tuple[int | None, int]]]] = []
        self._gathering: asyncio.TimerHandle | None = None
        self._closed = False
        self._opened = False

    def open(self, node: Consensus, name: str, boot: int) -> None:
        """Begin to take requests.

        Args:
            name, boot: of the request ids: this node's data folder, and which start of it.
        """
        self._loop = asyncio.get_running_loop()
        self._node = node
        self.submissions = Submissions(node, name, boot, self._max_in_flight)
        self.reading = Reading(node, self._max_waiting)
        self.acquires = AcquireWaits(
            self.machine, self.submissions, self._max_waiting, self.reading.check, self.behind
        )
        self._opened = True

    # Commands.

    async def submit(self, command: AnyCommand, *, timeout: float = SUBMIT_TIMEOUT) -> Settled:
        """What the machine answers to the command, refusals included.

        Args:
            timeout: seconds until the outcome must be known.

        Raises:
            NoLeader, Overloaded, StorageFull: not executed. OutcomeUnknown: perhaps executed.
        """
        future: asyncio.Future[Settled] = self._loop.create_future()
        self.send(command, telling(future), timeout=timeout)
        return await future

    def send(self, command: AnyCommand, told: Told, *, timeout: float = SUBMIT_TIMEOUT) -> None:
        """As `submit`, for who wants a call instead of a future.

        Args:
            told: called once with the end, perhaps before this returns.

        Raises:
            NotReady, Overloaded, Malformed: then `told` is not called.
        """
        self._check_open()
        self.submissions.prepare(command, told, timeout).propose()

    async def acquire(self, command: Acquire, *, timeout: float = SUBMIT_TIMEOUT) -> Settled:
        """What becomes of an acquire, after its wait; given back where the caller goes away.

        Raises:
            As `submit`.
        """
        future: asyncio.Future[Settled] = self._loop.create_future()
        wait = self.send_acquire(command, telling(future), timeout=timeout)
        try:
            return await future
        except asyncio.CancelledError:
            self.acquires.abandon(wait)
            raise

    def send_acquire(
        self, command: Acquire, told: Told, *, timeout: float = SUBMIT_TIMEOUT
    ) -> AcquireWait:
        """As `acquire`, for who wants a call instead of a future; who does not read the answer
        any more hands what this returns to `acquires.abandon`.

        Args, Raises:
            As `send`.
        """
        self._check_open()
        return self.acquires.begin(command, told, timeout)

    async def keep_alive(self, session: int) -> tuple[int | None, int]:
        """Milliseconds the session lives now, None where it is gone; and the revision.

        Raises:
            As `submit`.
        """
        self._check_open()
        future: asyncio.Future[tuple[int | None, int]] = self._loop.create_future()
        self._gathered.append((session, future))
        if len(self._gathered) >= GATHERED:
            self._send_gathered()
        elif self._gathering is None:
            self._gathering = self._loop.call_later(GATHER, self._send_gathered)
        return await future

    def _send_gathered(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        gathered, self._gathered = self._gathered, []
        if not gathered:
            return

        def told(ended: Ended) -> None:
            if isinstance(ended, Settled) and isinstance(ended.reply, KeptAlive):
                for (_, future), left in zip(gathered, ended.reply.expires_in, strict=True):
                    if not future.done():
                        future.set_result((left, ended.revision))
                return
            error = ended.reply if isinstance(ended, Settled) else ended
            assert isinstance(error, RaftcoordError)
            for _, future in gathered:
                if not future.done():
                    future.set_exception(error)

        command = KeepAlive(tuple([session for session, _ in gathered]))
        try:
            submission = self.submissions.prepare(command, told, SUBMIT_TIMEOUT)
        except RaftcoordError as error:
            told(error)
        else:
            submission.propose()

    # Reads.

    async def read(
        self, query: Callable[[], _T], *, stale: bool = False, min_revision: int = 0
    ) -> tuple[_T, int]:
        """The query's value and the revision it was read at.

        Args:
            query: reads the machine; called once.
            stale: by what is here now, however old.
            min_revision: wait up to 5 s until this node has it.

        Raises:
            RevisionNotReached, NoLeader, Overloaded; what the query raises.
        """
        self._check_open()
        if min_revision:
            await self.reading.reach(min_revision, SUBMIT_TIMEOUT)
        if stale:
            return self.reading.stale(query)
        return await self.reading.linearizable(query)

    def behind(self) -> int:
        """Milliseconds that have gone by, as far as this node can tell, since the cluster time
        that its state shows: how much less is left of what that state says."""
        return max(0, self._node.cluster_time - self.machine.clock)

    # What the node tells.

    def on_applied(self, index: int, applied: Applied) -> None:
        """An entry was applied; its own caller has been told."""
        if not self._opened:
            return
        self.reading.applied(index)
        for event in applied.events:
            kind = event.kind
            if kind == "lock.granted":
                self.acquires.event(event.data.requests, Settled(event.data.reply, index))
            elif kind == "lock.wait-ended":
                self.acquires.event(event.data.requests, Settled(event.data.error, index))
            elif kind == "transaction.decided":
                self.decisions.decided(event.key)
            elif kind == "alarm":
                _log.error("alarm: entry %d, %s: %s", event.data.index, event.key, event.data.trace)

    def resync(self) -> None:
        """A snapshot replaced the state: find out what was passed over."""
        if self._opened:
            self.acquires.look_up(self._node.applied)
            self.decisions.look_up()
            self.reading.applied(self._node.applied)

    def leader_changed(self) -> None:
        """The leader, or this node's role, is another."""
        if self._opened and self._node.has_leader:
            self.submissions.leader_known()
            self.reading.leader_known()

    # The end.

    @property
    def is_open(self) -> bool:
        """Whether requests are taken."""
        return self._opened and not self._closed

    def _check_open(self) -> None:
        if not self.is_open:
            reason = "stopping" if self._closed else "starting"
            raise NotReady(f"this node is {reason}; ask another", reason=reason)

    def close(self) -> None:
        """Take nothing new; what waits is taken back and told so. What has been sent goes on."""
        self._closed = True
        self._send_gathered()
        self.acquires.close()
        self.decisions.look_up()

    def abort(self) -> None:
        """End what is still open, with an outcome that says what is known."""
        self.submissions.close(NotReady("this node stops", reason="stopping"))
