"""What is to run, and when: callbacks in their order, timers by time, and the turns of the loop.

Callbacks are FIFO; timers are ordered by their time, then by a draw of the seeded generator, then
by their number. Time moves only when nothing is ready, and jumps to the next timer.
"""

import asyncio
import contextvars
import heapq
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, TypeVarTuple

from chaos.simulation.bare import BareLoop
from chaos.simulation.hosts import CURRENT, Host

_Ts = TypeVarTuple("_Ts")

STANDSTILL = 1_000_000
"""Callbacks at one instant after which the run is given up: something never waits."""


_copy_context = contextvars.copy_context
_current = CURRENT.get
_push, _pop = heapq.heappush, heapq.heappop


def _nothing() -> None:
    """What a cancelled handle would call: it lets go of all that it held."""


class HostHandle(asyncio.Handle):
    """A callback of a host."""

    __slots__ = ("host",)

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: contextvars.Context,
        host: Host,
    ) -> None:
        # What asyncio's own does, less what it does for debugging; there are very many of these.
        self._context = context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None
        self.host = host

    def cancel(self) -> None:
        self._cancelled = True
        self._callback, self._args = _nothing, ()


class HostTimer(asyncio.TimerHandle):
    """A timer of a host."""

    __slots__ = ("host",)

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: "Timeline",
        context: contextvars.Context,
        host: Host,
    ) -> None:
        self._when = when
        self._context = context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None
        self._scheduled = True
        self.host = host

    def cancel(self) -> None:
        if not self._cancelled:
            self._cancelled = True
            self._callback, self._args = _nothing, ()
            if self._scheduled:
                self._loop.timer_cancelled()


class Timeline(BareLoop):
    """Ready callbacks, timers and the running of them. `steps`: callbacks so far. `now`: what
    `time` says."""

    def __init__(self, seed: int, start: float) -> None:
        self.rng = Random(seed)
        self._tie = self.rng.random
        self.steps = 0
        self.now = start
        self._ready: deque[HostHandle | HostTimer] = deque()
        self._timers: list[tuple[float, float, int, HostTimer]] = []
        self._cancelled = 0
        self._sequence = 0
        self._stopping = False
        self._outside = Host("")
        self._running: Host = self._outside
        self._network_host = Host("network")
        self._network_context = contextvars.Context()
        self._network_context.run(CURRENT.set, self._network_host)

    # What the network asks for (hosts.Scheduler).

    def later(self, when: float, event: Callable[..., object], *args: Any) -> None:
        """Something that happens in the network at a time."""
        self._add_timer(when, event, args, self._network_context, self._network_host)

    def on_host(
        self, context: contextvars.Context, callback: Callable[..., object], *args: Any
    ) -> None:
        """A callback of the host whose context it is."""
        host = context.get(CURRENT) or self._outside
        self._ready.append(HostHandle(callback, args, self, context, host))

    # asyncio's face.

    def time(self) -> float:
        """Virtual seconds, the same for all hosts."""
        return self.now

    def call_soon(
        self,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        if context is None:
            context, host = _copy_context(), _current(None)
        else:
            host = context.get(CURRENT)
        handle = HostHandle(callback, args, self, context, host or self._outside)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(
        self,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self,
        delay: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        if context is None:
            context, current = _copy_context(), _current(None)
        else:
            current = context.get(CURRENT)
        host = current or self._outside
        return self._add_timer(self.now + delay * host.pace, callback, args, context, host)

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        if context is None:
            context, host = _copy_context(), _current(None)
        else:
            host = context.get(CURRENT)
        return self._add_timer(when, callback, args, context, host or self._outside)

    def _host_of(self, context: contextvars.Context | None) -> Host:
        host = CURRENT.get() if context is None else context.get(CURRENT)
        return host or self._outside

    def _add_timer(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context,
        host: Host,
    ) -> HostTimer:
        timer = HostTimer(when, callback, args, self, context, host)
        self._sequence += 1
        _push(self._timers, (when, self._tie(), self._sequence, timer))
        return timer

    def timer_cancelled(self) -> None:
        """One of the timers will not ring; when most are such, they are thrown out."""
        self._cancelled += 1
        if self._cancelled > 100 and self._cancelled * 2 > len(self._timers):
            self._timers = [entry for entry in self._timers if not entry[3]._cancelled]
            heapq.heapify(self._timers)
            self._cancelled = 0

    def stop(self) -> None:
        """End the run at the end of this turn."""
        self._stopping = True

    # Turns.

    def _turns(self, until: float, condition: Callable[[], bool] | None) -> bool:
        """Run turns until the condition holds (True), or time or all there is to do is over."""
        ready = self._ready
        here = 0
        while True:
            turn = len(ready)
            for _ in range(turn):
                handle = ready.popleft()
                if handle._cancelled:
                    continue
                host = handle.host
                if host.blocked:
                    if host.alive:
                        host.held.append(handle)
                    continue
                self._running = host
                try:
                    handle._context.run(handle._callback, *handle._args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:  # noqa: BLE001 - as `asyncio.Handle._run` does
                    self.call_exception_handler(
                        {
                            "message": f"Exception in callback {handle._callback}",
                            "exception": error,
                            "handle": handle,
                        }
                    )
            self.steps += turn
            here += turn
            if self._stopping or (condition is not None and condition()):
                return not self._stopping
            if ready:
                if here > STANDSTILL:
                    raise RuntimeError(f"time stands still at {self.now}: {ready[0]!r}")
                continue
            here = 0
            if not self._advance(until):
                return False

    def _advance(self, until: float) -> bool:
        """Move time to the next timer and make it and its equals ready."""
        timers = self._timers
        while timers and timers[0][3]._cancelled:
            self._cancelled -= 1
            _pop(timers)
        if not timers or timers[0][0] > until:
            if until != float("inf"):
                self.now = max(self.now, until)
            return False
        when = timers[0][0]
        self.now = max(self.now, when)
        ready = self._ready
        while timers and timers[0][0] <= when:
            timer = _pop(timers)[3]
            if timer._cancelled:
                self._cancelled -= 1
                continue
            timer._scheduled = False
            ready.append(timer)
        return True
