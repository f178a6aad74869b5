"""Callers whose answer comes as an event of a later entry: acquires that queue, and those who
wait for a transaction's decision.

An acquire is known by its request id, the same that its command carries: the machine names the id
in the event that grants it or ends its wait. It is registered before it is proposed, so no event
can come too early. Once the machine answered `Queued`, its number no longer holds `low` back: a
wait of an hour must not keep an hour of answers in the machine. So it cannot be asked again under
its id; after a snapshot was installed over entries, the machine's tables say what became of it.
"""

import asyncio
from collections.abc import Callable

from raftcoord.commands import (
    AcquireCancelled,
    AcquireLock,
    CancelAcquire,
    Granted,
    Queued,
    SimpleLock,
)
from raftcoord.errors import (
    NoLeader,
    NotReady,
    OutcomeUnknown,
    Overloaded,
    RaftcoordError,
    SessionGone,
)
from raftcoord.machine.events import Request
from raftcoord.machine.queue import Holder
from raftcoord.machine.state import Machine
from raftcoord.server.refusing import contended, refusal
from raftcoord.server.submissions import Ended, Settled, Submission, Submissions, Told

CANCEL_TIMEOUT = 30.0
GRACE = 10.0
"""Seconds a wait may be overdue by our clock: the cluster's stands still without a leader."""

Acquire = AcquireLock | SimpleLock


class AcquireWait:
    """One acquire, from its request to its answer.

    told: called once with the answer, unless it was abandoned before. queued: the machine has it
    in a queue. abandoned: its caller went away. taken_back: only the outcome of its cancel answers
    it. ended: its answer, once there is one.
    """

    __slots__ = (
        "_owner",
        "abandoned",
        "command",
        "ended",
        "queued",
        "seq",
        "submission",
        "taken_back",
        "timer",
        "told",
    )

    def __init__(self, owner: "AcquireWaits", command: Acquire, told: Told, timeout: float) -> None:
        self._owner = owner
        self.command = command
        self.told = told
        self.queued = False
        self.abandoned = False
        self.taken_back = False
        self.ended: Ended | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.submission: Submission = owner.submissions.prepare(command, self._outcome, timeout)
        self.seq = self.submission.seq

    def _outcome(self, ended: Ended) -> None:
        """What became of the command itself."""
        if isinstance(ended, Settled) and isinstance(ended.reply, Queued) and not self.abandoned:
            self.queued = True
            overdue = ended.reply.ends_in / 1000 + GRACE
            self.timer = self._owner.loop.call_later(overdue, self._overdue)
            if self._owner.closing:
                self._owner.take_back(self)
        else:
            self._owner.finish(self, ended)

    def _overdue(self) -> None:
        self._owner.cancel(self.command, self.seq)
        error = OutcomeUnknown("the cluster did not end the wait in time", reason="timeout")
        self._owner.finish(self, error)


class AcquireWaits:
    """The acquires of this door that are not answered yet; at most `limit`.

    Args:
        check: as `Reading.check`. behind: as `Gateway.behind`.
    """

    def __init__(
        self,
        machine: Machine,
        submissions: Submissions,
        limit: int,
        check: Callable[[Callable[[int | None], None]], None],
        behind: Callable[[], int],
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.submissions = submissions
        self._machine = machine
        self._limit = limit
        self._check = check
        self._behind = behind
        self._waits: dict[int, AcquireWait] = {}
        self.closing = False

    def __len__(self) -> int:
        return len(self._waits)

    def begin(self, command: Acquire, told: Told, timeout: float) -> AcquireWait:
        """Send an acquire off; `told` gets the machine's answer, after its wait, or what hindered
        the command.

        Args:
            timeout: seconds until the command has an outcome; the wait comes on top.

        Raises:
            Overloaded, Malformed: nothing was sent.
        """
        if len(self._waits) >= self._limit:
            raise Overloaded("too many wait at this node; try again", retry_after=1)
        wait = AcquireWait(self, command, told, timeout)
        self._waits[wait.seq] = wait
        if contended(self._machine, command) and self._refusal(command) is not None:
            self._check(lambda revision: self._confirm(wait, revision))
        else:
            wait.submission.propose()
        return wait

    def _refusal(self, command: Acquire) -> RaftcoordError | None:
        return refusal(self._machine, command, self._behind())

    def _confirm(self, wait: AcquireWait, revision: int | None) -> None:
        """The state here, which refused the acquire, is as new as the acquire now: refuse it, or
        make the first attempt. Never behind one: it could be refused by what that took."""
        if wait.ended is not None:
            return
        if wait.abandoned:
            self.finish(wait, NoLeader("the caller went away before it was sent"))
            return
        error = None if revision is None else self._refusal(wait.command)
        if revision is None or error is None:
            wait.submission.propose()
        else:
            self.finish(wait, Settled(error, revision))

    def finish(self, wait: AcquireWait, ended: Ended) -> None:
        """The acquire has its answer."""
        if self._waits.pop(wait.seq, None) is None:
            return
        self.submissions.drop(wait.submission)
        if wait.timer is not None:
            wait.timer.cancel()
        wait.ended = ended
        if not wait.abandoned:
            wait.told(ended)
        elif _may_hold(ended):
            self.cancel(wait.command, wait.seq)

    def abandon(self, wait: AcquireWait) -> None:
        """Nobody reads the answer any more, whether it is there or not: what was acquired is given
        back, and a place in the queue too."""
        wait.abandoned = True
        if wait.ended is not None:
            if _may_hold(wait.ended):
                self.cancel(wait.command, wait.seq)
        elif wait.queued:
            self.finish(wait, OutcomeUnknown("the caller went away"))
        # Else its outcome is awaited: a cancel that overtook it would cancel nothing.

    def cancel(self, command: Acquire, seq: int, told: Told = lambda ended: None) -> None:
        """Take an acquire back in the log."""
        gateway, boot = self.submissions.gateway, self.submissions.boot
        if isinstance(command, SimpleLock):
            cancel = CancelAcquire(command.key, command.value, gateway, boot, seq)
        else:
            name, owner = command.name, command.owner
            cancel = CancelAcquire(name, owner, gateway, boot, seq, command.session)
        try:
            submission = self.submissions.prepare(cancel, told, CANCEL_TIMEOUT)
        except Overloaded as error:
            told(error)  # the wait ends by itself, the grant with its lease
        else:
            submission.propose()

    def event(self, requests: tuple[Request, ...], ended: Ended) -> None:
        """An entry answered these requests."""
        for request in requests:
            if request.gateway == self.submissions.gateway and (
                request.boot == self.submissions.boot
            ):
                wait = self._waits.get(request.seq)
                if wait is not None and not wait.taken_back:
                    self.finish(wait, ended)

    def look_up(self, revision: int) -> None:
        """Entries were passed over: find the waits that ended in them."""
        for wait in list(self._waits.values()):
            if not wait.queued or wait.taken_back:
                continue
            if (ended := self._found(wait, revision)) is not None:
                self.finish(wait, ended)

    def _found(self, wait: AcquireWait, revision: int) -> Ended | None:
        """How the wait ended by the machine's tables; None where it goes on."""
        command, locks = wait.command, self._machine.locks
        assert isinstance(command, AcquireLock), "only these are queued"
        request = Request(self.submissions.gateway, self.submissions.boot, wait.seq)
        place = locks.queues.place(command.name, Holder(command.session, "", command.owner))
        if place is not None and request in place[1].requests():
            return None
        lock = locks.table.get(command.name)
        grant = None if lock is None else locks.grants.live(lock.token)
        if lock is not None and grant is not None and request in grant.requests:
            expires_in = max(locks.grants.expires_in(grant) - self._behind(), 0)
            granted = Granted(command.name, lock.token, command.owner, command.session, expires_in)
            return Settled(granted, revision)
        if command.session is not None and self._machine.sessions.live(command.session) is None:
            gone = SessionGone(f"session {command.session} has ended", session=command.session)
            return Settled(gone, revision)
        return OutcomeUnknown(
            "the wait ended in entries that this node was not shown; it holds nothing now",
            reason="snapshot",
        )

    def close(self) -> None:
        """This node stops: take back what waits, then tell the callers."""
        self.closing = True
        for wait in list(self._waits.values()):
            if wait.queued:
                self.take_back(wait)

    def take_back(self, wait: AcquireWait) -> None:
        """End a wait because this node stops.

        A grant that comes in front of the cancel is given back by it, so it is no answer.
        """
        wait.taken_back = True

        def told(ended: Ended) -> None:
            error: RaftcoordError
            if isinstance(ended, Settled) and isinstance(ended.reply, AcquireCancelled):
                error = NotReady("this node stops; the wait was cancelled", reason="stopping")
            else:
                error = OutcomeUnknown("this node stops", reason="stopping")
            self.finish(wait, error)

        self.cancel(wait.command, wait.seq, told)


def _may_hold(ended: Ended) -> bool:
    """Whether the acquire may have got something, or may yet."""
    if isinstance(ended, Settled):
        return isinstance(ended.reply, Granted | Queued)
    return isinstance(ended, OutcomeUnknown)


class DecisionWaits:
    """Who waits for a transaction's decision."""

    def __init__(self) -> None:
        self._waits: dict[str, list[asyncio.Future[None]]] = {}

    async def wait(self, transaction: int, seconds: float) -> None:
        """Return when the transaction may have been decided, or the time is over."""
        key = str(transaction)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waits.setdefault(key, []).append(future)
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            return
        finally:
            waiting = self._waits.get(key)
            if waiting is not None and future in waiting:
                waiting.remove(future)
                if not waiting:
                    del self._waits[key]

    def decided(self, key: str) -> None:
        """The transaction was decided."""
        for future in self._waits.pop(key, ()):
            if not future.done():
                future.set_result(None)

    def look_up(self) -> None:
        """Entries were passed over: let all look again."""
        for key in list(self._waits):
            self.decided(key)
