"""The edges of a simulated process: virtual time, a simulated disk, a seeded generator."""

from collections.abc import Callable
from random import Random
from typing import Any, NoReturn

from chaos.simulation.disk import Killed, SimDisk
from chaos.simulation.hosts import CURRENT
from chaos.simulation.loop import VirtualLoop
from raftcoord.consensus.edges import JobDone

_OLDEST = 1e5
"""Seconds for which a host may have run when a process begins on it."""


class Exit(BaseException):
    """The process ended itself. Nothing of it runs any more."""


class SimEdges:
    """What one life of one host may touch.

    Args:
        rate: how fast its monotonic clock runs; 1.01 gains a hundredth. Where it begins is drawn:
            its zero means nothing, also not to the next process on the same host.
        sync: seconds a job of the disk takes, least and most.
        stopped: told why the process ended itself.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        disk: SimDisk,
        rng: Random,
        *,
        rate: float,
        sync: tuple[float, float],
        stopped: Callable[[str], None],
    ) -> None:
        self.disk = disk
        self.sync = sync
        self.rate = rate
        self._loop = loop
        self._rng = rng
        self._stopped = stopped
        self._since = loop.time()
        self._shown = rng.uniform(0.0, _OLDEST)
        self._host = CURRENT.get()
        self.run_clock_at(rate)
        self._free_at: dict[str, float] = {}
        self._stalled_until = 0.0

    def monotonic(self) -> float:
        """Virtual seconds at this host's rate."""
        return self._shown + (self._loop.now - self._since) * self.rate

    def run_clock_at(self, rate: float) -> None:
        """From now on the monotonic clock shows `rate` seconds in a second.

        Timers that are set from now on follow it, where it runs at all.
        """
        self._shown, self._since = self.monotonic(), self._loop.time()
        self.rate = rate
        if self._host is not None and rate:
            self._host.pace = 1 / rate

    def jump_clock(self, seconds: float) -> None:
        """The monotonic clock leaps forward."""
        self._shown += seconds

    def stall(self, seconds: float) -> None:
        """No job of the disk that is given from now on ends before then."""
        self._stalled_until = max(self._stalled_until, self._loop.time() + seconds)

    @property
    def is_stalled(self) -> bool:
        """Whether a stall is in force."""
        return self._stalled_until > self._loop.time()

    def go_on(self) -> None:
        """End a stall for what is given from now on."""
        self._stalled_until = 0.0

    def random(self) -> float:
        """A draw of the seed's."""
        return self._rng.random()

    def random_bytes(self, count: int) -> bytes:
        """Bytes of the seed's."""
        return self._rng.randbytes(count)

    def run(self, job: Callable[[], Any], done: JobDone, *, lane: str = "journal") -> None:
        """The job happens all at once, when the disk gets to it."""
        start = max(self._loop.time(), self._free_at.get(lane, 0.0), self._stalled_until)
        least, most = self.sync
        when = self._free_at[lane] = start + least + (most - least) * self._rng.random()

        def work() -> None:
            result, failure = None, None
            try:
                result = job()
            except Killed:
                raise
            except Exception as error:  # noqa: BLE001 - it is told to whoever asked for the job
                failure = error
            done(result, failure)

        self._loop.call_at(when, work)

    def fork(self, job: Callable[[], None], done: Callable[[int], None]) -> None:
        """The child sees the state of now, and ends a while later."""
        status = 0
        try:
            job()
        except OSError:
            status = 1
        self._loop.call_at(self._loop.time() + self._rng.uniform(0.001, 0.2), done, status)

    def stop(self, reason: str) -> NoReturn:
        """End this life."""
        self._stopped(reason)
        raise Exit(reason)
