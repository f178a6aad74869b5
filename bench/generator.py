"""The load: callers that lock and unlock names of their own as fast as they are answered.

It runs as a process of its own (`python3 -m bench.generator`, the job as JSON on standard input,
the outcome as JSON on standard output), so that neither the runner's work nor its garbage
collector stands in a latency. The same code drives every system; only the bytes differ.

What counts: cycles (lock and unlock, both answered and right) and requests whose answer arrived
inside the window, which opens after the warm-up. After it nothing new is begun; what is still
held is given back, and what stays unanswered for DRAIN seconds is an error.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from array import array
from collections import Counter
from dataclasses import asdict, dataclass, field
from time import perf_counter, process_time
from typing import Any

from bench.dialects import SPEAKERS, Speaker
from bench.figures import percentile
from bench.wire import Connection

DRAIN = 10.0
"""Seconds an answer may take after the window."""
PAUSE = 0.02
"""Seconds before a caller whose request failed tries again, so that errors do not become load."""
CONNECT = 5.0
"""Seconds to open all connections and be introduced."""


@dataclass(frozen=True)
class Job:
    """What to measure. seconds, warmup: of the window and before it; prefix: of lock names."""

    system: str
    host: str
    port: int
    connections: int
    seconds: float
    warmup: float
    prefix: str


@dataclass(frozen=True)
class Outcome:
    """What was measured. Latencies in milliseconds per request; errors: reason → how often.

    processor: share of one core that the generator itself used inside the window.
    """

    cycles: int
    seconds: float
    requests: int
    p50: float
    p90: float
    p99: float
    longest: float
    processor: float
    errors: dict[str, int]

    @property
    def cycles_per_second(self) -> float:
        return self.cycles / self.seconds


@dataclass
class Tally:
    """What all callers of a run add to."""

    open: bool = False
    over: bool = False
    cycles: int = 0
    latencies: array[float] = field(default_factory=lambda: array("d"))
    errors: Counter[str] = field(default_factory=Counter)

    def wrong(self, what: str, status: int, body: bytes) -> None:
        """Count an answer that was not what was asked for."""
        said = body[:160].decode("utf-8", "replace").strip()
        self.errors[f"{what}: {status} {said}"] += 1


class Caller:
    """One connection that goes round and round until the tally says that it is over."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, job: Job, number: int, tally: Tally
    ) -> None:
        self._loop = loop
        self._job = job
        self._tally = tally
        self._name = f"{job.prefix}-{number}"
        self._renamed = 0
        ttl = 60 + int(job.seconds + job.warmup)
        self._speaker: Speaker = SPEAKERS[job.system](f"{job.host}:{job.port}", self._name, ttl)
        self._connection: Connection | None = None
        self._sent = 0.0
        self._answered = self._on_introduced
        self.ready: asyncio.Future[None] = loop.create_future()
        self.done: asyncio.Future[None] = loop.create_future()

    async def connect(self) -> None:
        """Open the connection and be introduced. Raises OSError, TimeoutError."""
        await self._open()
        introduction = self._speaker.introduction()
        if introduction is None:
            self.ready.set_result(None)
        elif self._connection is not None:
            self._connection.send(introduction)
        await asyncio.wait_for(self.ready, CONNECT)

    def begin(self) -> None:
        """Start the first cycle."""
        self._acquire()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    async def _open(self) -> None:
        _, self._connection = await self._loop.create_connection(
            lambda: Connection(self._on_answer, self._on_lost), self._job.host, self._job.port
        )

    def _send(self, request: bytes) -> None:
        self._sent = perf_counter()
        if self._connection is not None:
            self._connection.send(request)

    def _on_answer(self, status: int, body: bytes) -> None:
        self._answered(status, body)

    def _on_introduced(self, status: int, body: bytes) -> None:
        if self._speaker.introduced(status, body):
            self.ready.set_result(None)
        else:
            self.ready.set_exception(OSError(f"introduction refused: {status} {body[:160]!r}"))

    def _acquire(self) -> None:
        if self._tally.over:
            self._finish()
            return
        self._answered = self._on_acquired
        self._send(self._speaker.acquire())

    def _on_acquired(self, status: int, body: bytes) -> None:
        token = self._speaker.token(status, body)
        if token is None:
            self._fail("acquire", status, body)
            return
        if self._tally.open:
            self._tally.latencies.append(perf_counter() - self._sent)
        self._answered = self._on_released
        self._send(self._speaker.release(token))

    def _on_released(self, status: int, body: bytes) -> None:
        if not self._speaker.released(status, body):
            self._fail("release", status, body)
            return
        if self._tally.open:
            self._tally.latencies.append(perf_counter() - self._sent)
            self._tally.cycles += 1
        self._acquire()

    def _fail(self, what: str, status: int, body: bytes) -> None:
        self._tally.wrong(what, status, body)
        self._again_later()

    def _on_lost(self, reason: str) -> None:
        self._connection = None
        if not self.ready.done():
            self.ready.set_exception(OSError(reason))
            return
        self._tally.errors[reason] += 1
        self._again_later()

    def _again_later(self) -> None:
        # Under another name: what became of the request is not known.
        self._renamed += 1
        self._speaker.rename(f"{self._name}-{self._renamed}")
        self._loop.call_later(PAUSE, self._again)

    def _again(self) -> None:
        if self._connection is not None or self._tally.over:
            self._acquire()
            return
        task = self._loop.create_task(self._open())
        task.add_done_callback(self._reopened)

    def _reopened(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._tally.errors[f"cannot connect: {error}"] += 1
            self._loop.call_later(PAUSE, self._again)
            return
        self._acquire()

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def run(job: Job) -> Outcome:
    """Measure. Raises OSError or TimeoutError when the callers cannot even connect."""
    loop = asyncio.get_running_loop()
    tally = Tally()
    callers = [Caller(loop, job, number, tally) for number in range(job.connections)]
    try:
        await asyncio.gather(*(caller.connect() for caller in callers))
        for caller in callers:
            caller.begin()
        await asyncio.sleep(job.warmup)
        gc.collect()
        gc.disable()
        tally.open = True
        opened, worked = perf_counter(), process_time()
        await asyncio.sleep(job.seconds)
        tally.open, tally.over = False, True
        seconds, worked = perf_counter() - opened, process_time() - worked
        gc.enable()
        _, late = await asyncio.wait([caller.done for caller in callers], timeout=DRAIN)
        if late:
            tally.errors[f"no answer within {DRAIN:g} s"] += len(late)
    finally:
        for caller in callers:
            caller.close()
    return _outcome(tally, seconds, worked / seconds)


def _outcome(tally: Tally, seconds: float, processor: float) -> Outcome:
    ordered = sorted(latency * 1000 for latency in tally.latencies)
    if not ordered:
        tally.errors["nothing was answered inside the window"] += 1
        ordered = [0.0]
    return Outcome(
        cycles=tally.cycles,
        seconds=seconds,
        requests=len(tally.latencies),
        p50=percentile(ordered, 0.5),
        p90=percentile(ordered, 0.9),
        p99=percentile(ordered, 0.99),
        longest=ordered[-1],
        processor=processor,
        errors=dict(tally.errors),
    )


def main() -> int:
    """Read the job, run it on uvloop where that is installed, write the outcome."""
    job = Job(**json.load(sys.stdin))
    try:
        outcome = _run_fast(job)
    except (OSError, TimeoutError) as error:
        print(f"cannot reach {job.system} at {job.host}:{job.port}: {error}", file=sys.stderr)
        return 1
    json.dump(asdict(outcome), sys.stdout)
    return 0


def _run_fast(job: Job) -> Outcome:
    factory: Any = None
    try:
        import uvloop
    except ImportError:
        pass
    else:
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(run(job))


if __name__ == "__main__":
    sys.exit(main())
