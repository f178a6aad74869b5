"""Work spread over processes, none of which can take the others along.

A worker is a process of its own, forked from one that has only imported: nothing of one task is
left for the next where `fresh` is asked for. One that dies, raises or takes longer than it may is
reported with its task, and another takes its place.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

RECYCLE = 200
"""Tasks after which a worker makes room for a new one, so that nothing piles up in it."""
PATIENCE = 8.0
"""So many times as long as it may work a task may last by the clock on the wall: other programs
want the processor too."""
GRACE = 10.0
"""Seconds in which a worker that takes too long may say where it stands."""


@dataclass(frozen=True)
class Lost:
    """A task without a result: its process died, or it raised or took too long (`late`)."""

    why: str
    late: bool = False


@dataclass
class _Worker(Generic[T]):
    process: Any
    pipe: Connection
    task: T | None = None
    kill_at: float = 0.0
    done: int = 0


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pool(Generic[T, R]):
    """Runs `work(task)` for many tasks in `jobs` processes.

    Args:
        work: a function at the top of a module; task and result are pickled.
        bound: seconds that a task may work, of the processor's time.
        fresh: a new process for every task.
        preload: modules that are imported once, before the processes are forked.
    """

    def __init__(
        self,
        work: Callable[[T], R],
        *,
        jobs: int,
        bound: float,
        fresh: bool = False,
        preload: Sequence[str] = (),
    ) -> None:
        self._work = work
        self._jobs = max(1, jobs)
        self._bound = bound
        self._most = 1 if fresh else RECYCLE
        method = (
            "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        )
        self._context: Any = multiprocessing.get_context(method)
        if method == "forkserver":
            self._context.set_forkserver_preload([__name__, work.__module__, *preload])
        self._workers: list[_Worker[T]] = []

    def run(self, tasks: Iterable[T]) -> Generator[tuple[T, R | Lost], None, None]:
        """Each task with its result, in the order in which they end.

        All processes are gone when this is over, closed or left by an exception.
        """
        waiting = iter(tasks)
        more = True
        try:
            while True:
                while more and len(self._busy()) < self._jobs:
                    task = next(waiting, None)
                    if task is None:
                        more = False
                    else:
                        self._give(task)
                if not self._busy():
                    return
                yield from self._collect()
        finally:
            self._end()

    def _busy(self) -> list[_Worker[T]]:
        return [worker for worker in self._workers if worker.task is not None]

    def _give(self, task: T) -> None:
        worker = next((worker for worker in self._workers if worker.task is None), None)
        if worker is None:
            ours, theirs = self._context.Pipe()
            arguments = (theirs, self._work, self._bound, list(sys.path))
            process = self._context.Process(target=_serve, args=arguments, daemon=True)
            process.start()
            theirs.close()
            worker = _Worker(process, ours)
            self._workers.append(worker)
        worker.task = task
        worker.kill_at = time.monotonic() + self._bound * PATIENCE + GRACE
        try:
            worker.pipe.send(task)
        except (BrokenPipeError, ConnectionResetError):
            return  # it has died; who collects will see that

    def _collect(self) -> Iterator[tuple[T, R | Lost]]:
        busy = self._busy()
        first = min(worker.kill_at for worker in busy)
        wait([worker.pipe for worker in busy], max(first - time.monotonic(), 0.0))
        for worker in busy:
            task = worker.task
            assert task is not None
            if worker.pipe.poll():
                result = self._receive(worker)
            elif time.monotonic() >= worker.kill_at:
                result = Lost(f"silent for {self._bound * PATIENCE + GRACE:g} s; killed", late=True)
            else:
                continue
            worker.task = None
            worker.done += 1
            if isinstance(result, Lost) or worker.done >= self._most:
                self._dismiss(worker)
            yield task, result

    def _receive(self, worker: _Worker[T]) -> R | Lost:
        try:
            result: R | Lost = worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            worker.process.join(GRACE)
            return Lost(f"its process died: {_ending(worker.process.exitcode)}")
        return result

    def _dismiss(self, worker: _Worker[T]) -> None:
        self._workers.remove(worker)
        worker.pipe.close()
        worker.process.kill()
        worker.process.join()
        worker.process.close()

    def _end(self) -> None:
        for worker in self._workers:
            worker.process.kill()  # all, before any is waited for: that may be interrupted again
        for worker in list(self._workers):
            self._dismiss(worker)


def _ending(code: int | None) -> str:
    if code is None:
        return "nobody knows how"
    if code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit status {code}"


def _serve(pipe: Connection, work: Callable[[Any], Any], bound: float, path: list[str]) -> None:
    """A worker: tasks in, results out, until nobody listens."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # sent to all of a group: for who gives the tasks
    sys.path[:] = path
    logging.disable(logging.CRITICAL)
    sys.unraisablehook = lambda _: (
        None
    )  # generators of processes that were killed in the simulation
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        watch = _Watch(pipe, bound)
        result: Any
        try:
            result = work(task)
        except BaseException:  # noqa: BLE001 - whatever it is, the task is lost and says why
            result = Lost(traceback.format_exc())
        watch.end()
        try:
            pipe.send(result)
        except (BrokenPipeError, ConnectionResetError):
            return


class _Watch:
    """Ends a worker that works longer than it may, and says where it stands. Of the main thread."""

    def __init__(self, pipe: Connection, bound: float) -> None:
        self._pipe = pipe
        self._bound = bound
        self._thread = threading.get_ident()
        self._until = time.process_time() + bound, time.monotonic() + bound * PATIENCE
        self._lock = threading.Lock()
        self._over = False
        self._arm()

    def _arm(self) -> None:
        self._timer = threading.Timer(self._bound, self._look)
        self._timer.daemon = True
        self._timer.start()

    def _look(self) -> None:
        with self._lock:
            if self._over:
                return
            if time.process_time() < self._until[0] and time.monotonic() < self._until[1]:
                self._arm()
                return
            self._give_up()

    def _give_up(self) -> None:
        frame = sys._current_frames().get(self._thread)
        stack = "".join(traceback.format_stack(frame)) if frame is not None else "unknown\n"
        why = f"it took longer than {self._bound:g} s; it stood at\n{stack}"
        self._pipe.send(Lost(why, late=True))
        os._exit(1)

    def end(self) -> None:
        """The task is done."""
        with self._lock:
            self._over = True
            self._timer.cancel()
