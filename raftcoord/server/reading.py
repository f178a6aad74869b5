"""Reads: one barrier for all that come together, and reads of what is here.

A linearizable read is evaluated in the very call that says that the barrier is passed, so that
nothing can come between. Source: Raft paper §8; `consensus.reads`.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from raftcoord.errors import NoLeader, Overloaded, RaftcoordError, RevisionNotReached

_log = logging.getLogger("raftcoord.reading")

READ_TIMEOUT = 5.0
PAUSE = 0.05
_T = TypeVar("_T")


class Reader(Protocol):
    """What is needed of `consensus.node.Node`."""

    @property
    def applied(self) -> int:
        """The revision of the state here."""

    @property
    def has_leader(self) -> bool:
        """Whether a barrier can be passed."""

    def read_barrier(self, done: Callable[[int | None], None]) -> None:
        """Call `done` when a linearizable read of now may be answered; None: nobody can tell."""


class _Read:
    """A query that waits for the barrier."""

    __slots__ = ("future", "query")

    def __init__(self, query: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        self.query = query
        self.future = future

    def evaluate(self, revision: int) -> None:
        if self.future.done():
            return
        try:
            self.future.set_result((self.query(), revision))
        except RaftcoordError as error:
            error.revision = revision
            self.future.set_exception(error)
        except Exception as bug:  # noqa: BLE001  # the reader's handler reports it
            self.future.set_exception(bug)


class _Batch:
    """The reads of one loop turn, and when the first of them came. checks: see `check`."""

    __slots__ = ("began", "checks", "reads")

    def __init__(self, began: float) -> None:
        self.began = began
        self.reads: list[_Read] = []
        self.checks: list[Callable[[int | None], None]] = []


class Reading:
    """All reads of this door; at most `limit` wait at once."""

    def __init__(self, reader: Reader, limit: int) -> None:
        self._reader = reader
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._batch: _Batch | None = None
        self._parked: list[_Batch] = []
        self._retry: asyncio.TimerHandle | None = None
        self._waiting = 0
        self._fresh_at: float | None = None
        self._reaching: list[tuple[int, asyncio.Future[None]]] = []
        self._reaching_from = 0

    async def linearizable(self, query: Callable[[], _T]) -> tuple[_T, int]:
        """The query's value, and the revision it was read at.

        Raises:
            NoLeader: nobody could tell in time. Overloaded. What the query raises.
        """
        if self._waiting >= self._limit:
            raise Overloaded("too many reads wait at this node; try again", retry_after=1)
        future: asyncio.Future[tuple[_T, int]] = self._loop.create_future()
        timer = self._loop.call_later(READ_TIMEOUT, _give_up, future)
        self._next_batch().reads.append(_Read(query, future))
        self._waiting += 1
        try:
            return await future
        finally:
            self._waiting -= 1
            timer.cancel()

    def check(self, told: Callable[[int | None], None]) -> None:
        """Call `told` with the revision when a linearizable read of now may be answered, or with
        None where that cannot be told at once. Who asks bounds how many wait."""
        self._next_batch().checks.append(told)

    def stale(self, query: Callable[[], _T]) -> tuple[_T, int]:
        """The query's value by what is here now. Raises what the query raises."""
        revision = self._reader.applied
        try:
            return query(), revision
        except RaftcoordError as error:
            error.revision = revision
            raise

    def age(self) -> float | None:
        """Seconds that what is here may be behind at most; None where nothing is known.

        Asking makes the next answer better: a barrier is passed in the background.
        """
        now = self._loop.time()
        if self._fresh_at is None or now - self._fresh_at > 1.0:
            self._next_batch()
        return None if self._fresh_at is None else now - self._fresh_at

    async def reach(self, revision: int, seconds: float) -> None:
        """Return when the state here has this revision.

        Raises:
            RevisionNotReached: it has not, after so many seconds.
        """
        if self._reader.applied >= revision:
            return
        future: asyncio.Future[None] = self._loop.create_future()
        waiting = (revision, future)
        self._reaching.append(waiting)
        self._reaching_from = min(wanted for wanted, _ in self._reaching)
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            raise RevisionNotReached(
                f"this node is at revision {self._reader.applied}, not yet at {revision}",
                revision=self._reader.applied,
                wanted=revision,
            ) from None
        finally:
            if waiting in self._reaching:
                self._reaching.remove(waiting)

    def applied(self, revision: int) -> None:
        """The state here has this revision now."""
        if not self._reaching or revision < self._reaching_from:
            return
        for wanted, future in self._reaching:
            if wanted <= revision and not future.done():
                future.set_result(None)
        self._reaching = [waiting for waiting in self._reaching if waiting[0] > revision]
        self._reaching_from = min((wanted for wanted, _ in self._reaching), default=0)

    def leader_known(self) -> None:
        """There is a leader: ask again what could not be answered."""
        if self._parked:
            self._try_again()

    def _next_batch(self) -> _Batch:
        if self._batch is None:
            self._batch = _Batch(self._loop.time())
            self._loop.call_soon(self._pass)
        return self._batch

    def _pass(self) -> None:
        batch, self._batch = self._batch, None
        if batch is not None:
            self._ask(batch)

    def _ask(self, batch: _Batch) -> None:
        def done(index: int | None) -> None:
            checks, batch.checks = batch.checks, []
            if index is None:
                self._tell(checks, None)
                self._park(batch)
                return
            self._fresh_at = batch.began
            revision = self._reader.applied
            self._tell(checks, revision)
            for read in batch.reads:
                read.evaluate(revision)

        self._reader.read_barrier(done)

    def _tell(self, checks: list[Callable[[int | None], None]], revision: int | None) -> None:
        for told in checks:
            try:
                told(revision)
            except Exception:  # noqa: BLE001  # the others shall have their answers
                _log.exception("a check behind a barrier failed")

    def _park(self, batch: _Batch) -> None:
        batch.reads = [read for read in batch.reads if not read.future.done()]
        if batch.reads:
            self._parked.append(batch)
            self._arm()

    def _arm(self) -> None:
        if self._retry is None:
            self._retry = self._loop.call_later(PAUSE, self._try_again)

    def _try_again(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        parked, self._parked = self._parked, []
        for batch in parked:
            if self._reader.has_leader:
                self._ask(batch)
            else:
                self._park(batch)


def _give_up(future: asyncio.Future[Any]) -> None:
    if not future.done():
        error = NoLeader("no leader could say in time what is current", retry_after=1)
        future.set_exception(error)
