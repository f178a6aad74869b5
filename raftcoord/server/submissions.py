"""Commands on their way through the log, each under a request id, until their outcome is known.

A request id is (gateway, boot, seq). The machine executes an id once and answers its repeats with
the first answer, so whatever happened to an attempt, the next one under the same id is safe:

- refused for want of a leader: tried again when there is one, or after a pause;
- unknown outcome: tried again, and from then on only an answer of the machine can end it well;
- no time left: `OutcomeUnknown` where an attempt may have been executed, else `NoLeader`.

`low`, the lowest number without an answer, goes with every command, so that the machine forgets
the answers below it.

Source: Ongaro, Consensus: Bridging Theory and Practice (2014) §6.3.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from raftcoord.commands import AnyCommand, Envelope, Reply, bounds, encode
from raftcoord.consensus.proposals import Done, Outcome
from raftcoord.errors import NoLeader, OutcomeUnknown, Overloaded, RaftcoordError, Stale

FIRST_PAUSE = 0.005
LONGEST_PAUSE = 0.1
WINDOW = bounds.STORED_ANSWERS - 64
"""Numbers above `low` that may be given out; the machine keeps no more answers."""


class Settled(NamedTuple):
    """What the machine answered, which may be an error; revision: the index of the entry."""

    reply: Reply | RaftcoordError
    revision: int


Ended = Settled | RaftcoordError
"""How a command ended: with an answer of the machine, or an error of the way to it."""

Told = Callable[[Ended], None]


def _nobody(ended: Ended) -> None:
    """Is told that a submission ended which nobody waits for."""


def telling(future: asyncio.Future[Settled]) -> Told:
    """Who tells a future; an error of the way is raised there, one of the machine is its result."""

    def told(ended: Ended) -> None:
        if future.done():
            return
        if isinstance(ended, Settled):
            future.set_result(ended)
        else:
            future.set_exception(ended)

    return told


class Proposer(Protocol):
    """What is needed of `consensus.node.Node`."""

    @property
    def has_leader(self) -> bool:
        """Whether a proposal has somewhere to go."""

    def propose(self, payload: bytes, done: Done, *, priority: bool = False) -> None:
        """Put a command into the log; `done` is called once."""


class Submission:
    """A command without an answer yet.

    told: called once with the end, unless `drop` was called before. until: when, by the loop's
    clock, it ends at the latest.
    in_flight: an attempt is with consensus. unsure: an attempt's outcome was unknown.
    """

    __slots__ = (
        "_owner",
        "in_flight",
        "over",
        "payload",
        "priority",
        "seq",
        "told",
        "unsure",
        "until",
    )

    def __init__(
        self,
        owner: "Submissions",
        seq: int,
        payload: bytes,
        told: Told,
        priority: bool,
        until: float,
    ) -> None:
        self._owner = owner
        self.seq = seq
        self.payload = payload
        self.told = told
        self.priority = priority
        self.until = until
        self.in_flight = False
        self.unsure = False
        self.over = False

    def propose(self) -> None:
        """Make an attempt."""
        self.in_flight = True
        self._owner.proposer.propose(self.payload, self._outcome, priority=self.priority)

    def _outcome(self, outcome: Outcome) -> None:
        self.in_flight = False
        if self.over:
            return
        if outcome.kind == "applied":
            self._owner.calm()
            if isinstance(outcome.reply, Stale) and self.unsure:
                # An earlier copy was settled meanwhile, and its answer is gone.
                self._owner.end(self, OutcomeUnknown(outcome.reply.detail))
            else:
                self._owner.end(self, Settled(outcome.reply, outcome.index))
            return
        if outcome.kind == "unknown":
            self.unsure = True
        elif not self.unsure and not isinstance(outcome.error, NoLeader):
            assert outcome.error is not None
            self._owner.end(self, outcome.error)
            return
        self._owner.park(self)

    def run_out(self) -> None:
        """Its time is over."""
        if self.in_flight or self.unsure:
            error: RaftcoordError = OutcomeUnknown(
                "no answer in time: it may have been executed, or may be yet; ask for the state"
                " before repeating it",
                reason="timeout",
            )
        else:
            error = NoLeader("no leader was found in time; nothing was executed", retry_after=1)
        self._owner.end(self, error)


class _Deadlines:
    """Ends submissions whose time is over, with one timer for all: a timer for each would take a
    fifth of what a submission costs.

    Nearly all have one of a few timeouts, and among those with the same one the first to come is
    the first whose time is over: a lane for each timeout is in order by itself.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lanes: dict[float, deque[Submission]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = math.inf

    def add(self, submission: Submission, timeout: float) -> None:
        """It came now, and has so many seconds."""
        lane = self._lanes.get(timeout)
        if lane is None:
            lane = self._lanes[timeout] = deque()
        lane.append(submission)
        while lane[0].over:
            lane.popleft()
        if submission.until < self._rings_at:
            self._ring_at(submission.until)

    def _ring_at(self, when: float) -> None:
        self.close()
        self._rings_at = when
        self._timer = self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._rings_at = math.inf
        now = self._loop.time()
        try:
            for timeout, lane in list(self._lanes.items()):
                while lane and (lane[0].over or lane[0].until <= now):
                    submission = lane.popleft()
                    if not submission.over:
                        submission.run_out()
                if not lane:
                    del self._lanes[timeout]
        finally:
            first = min((lane[0].until for lane in self._lanes.values() if lane), default=math.inf)
            if first < self._rings_at:
                self._ring_at(first)

    def close(self) -> None:
        """Ring no more."""
        self._rings_at = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Submissions:
    """All commands of this node's front door that have no answer yet.

    Args:
        gateway, boot: this door's part of the request ids; boot is higher after every start.
        limit: commands without an answer at once; those with priority have as much again.
    """

    def __init__(self, proposer: Proposer, gateway: str, boot: int, limit: int) -> None:
        self.proposer = proposer
        self.gateway = gateway
        self.boot = boot
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._open: dict[int, Submission] = {}
        self._load = [0, 0]
        self._next = 1
        self._low = 1
        self._parked: list[Submission] = []
        self._retry: asyncio.TimerHandle | None = None
        self._pause = FIRST_PAUSE
        self._deadlines = _Deadlines(self._loop)

    def __len__(self) -> int:
        return len(self._open)

    def prepare(self, command: AnyCommand, told: Told, timeout: float) -> Submission:
        """Give a command its id; the caller makes the first attempt with `propose`.

        Args:
            timeout: seconds until it ends, one way or the other.

        Raises:
            Overloaded: too many have no answer yet. Malformed: it cannot be encoded.
        """
        low, priority = self._lowest(), command.priority
        if self._load[priority] >= self._limit or self._next - low >= WINDOW:
            raise Overloaded("too many requests wait at this node; try again", retry_after=1)
        seq = self._next
        payload = encode(Envelope(self.gateway, self.boot, seq, low, "", command))
        self._next = seq + 1
        until = self._loop.time() + timeout
        submission = Submission(self, seq, payload, told, priority, until)
        self._open[seq] = submission
        self._load[priority] += 1
        self._deadlines.add(submission, timeout)
        return submission

    def _lowest(self) -> int:
        while self._low < self._next and self._low not in self._open:
            self._low += 1
        return self._low

    def end(self, submission: Submission, ended: Ended) -> None:
        """It has an answer, or never will."""
        if not submission.over:
            told = submission.told
            self.drop(submission)
            told(ended)

    def drop(self, submission: Submission) -> None:
        """Nobody waits for it any more."""
        if submission.over:
            return
        submission.over = True
        submission.told = _nobody  # who was told knows it too: leave the collector nothing
        del self._open[submission.seq]
        self._load[submission.priority] -= 1

    def park(self, submission: Submission) -> None:
        """Try it again in a moment, or when there is a leader."""
        self._parked.append(submission)
        self._arm()

    def _arm(self) -> None:
        if self._retry is None:
            self._retry = self._loop.call_later(self._pause, self._try_again)
            self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def calm(self) -> None:
        """Something was applied: the next pause is a short one again."""
        self._pause = FIRST_PAUSE

    def leader_known(self) -> None:
        """There is a leader: no need to wait for the pause to end."""
        if self._parked:
            self._try_again()

    def _try_again(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if not self.proposer.has_leader:
            self._parked = [submission for submission in self._parked if not submission.over]
            if self._parked:
                self._arm()
            return
        parked, self._parked = self._parked, []
        for submission in parked:
            if not submission.over:
                submission.propose()

    def close(self, error: RaftcoordError) -> None:
        """End all of them; those that may have been executed with an unknown outcome."""
        for submission in list(self._open.values()):
            if submission.in_flight or submission.unsure:
                submission.run_out()
            else:
                self.end(submission, error)
        self._deadlines.close()
        if self._retry is not None:
            self._retry.cancel()
