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
from typing import Any, TypeVarTuple, cast

from chaos.simulation.bare import BareLoop
from chaos.simulation.hosts import CURRENT, Host

_Ts = TypeVarTuple("_Ts")

STANDSTILL = 1_000_000
"""Callbacks at one instant after which the run is given up: something never waits."""


class HostHandle(asyncio.Handle):
    """A callback of a host."""

    __slots__ = ("host",)
    host: Host


class HostTimer(asyncio.TimerHandle):
    """A timer of a host."""

    __slots__ = ("host",)
    host: Host
    _scheduled: bool


class Timeline(BareLoop):
    """Ready callbacks, timers and the running of them. `steps`: callbacks so far."""

    def __init__(self, seed: int, start: float) -> None:
        self.rng = Random(seed)
        self.steps = 0
        self._now = start
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
        self.call_soon(callback, *args, context=context)

    # asyncio's face.

    def time(self) -> float:
        """Virtual seconds, the same for all hosts."""
        return self._now

    def call_soon(
        self,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        handle = HostHandle(callback, args, self, context)
        host = CURRENT.get() if context is None else context.get(CURRENT)
        handle.host = host or self._outside
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
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self._add_timer(when, callback, args, context, self._host_of(context))

    def _host_of(self, context: contextvars.Context | None) -> Host:
        host = CURRENT.get() if context is None else context.get(CURRENT)
        return host or self._outside

    def _add_timer(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context | None,
        host: Host,
    ) -> HostTimer:
        timer = HostTimer(when, callback, args, self, context)
        timer.host = host
        timer._scheduled = True
        self._sequence += 1
        heapq.heappush(self._timers, (when, self.rng.random(), self._sequence, timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        if not cast(HostTimer, handle)._scheduled:
            return
        self._cancelled += 1
        if self._cancelled > 100 and self._cancelled * 2 > len(self._timers):
            # This one is marked as cancelled only after this call.
            left = (e for e in self._timers if not e[3]._cancelled and e[3] is not handle)
            self._timers = list(left)
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
                handle._run()
            self.steps += turn
            here += turn
            if self._stopping or (condition is not None and condition()):
                return not self._stopping
            if ready:
                if here > STANDSTILL:
                    raise RuntimeError(f"time stands still at {self._now}: {ready[0]!r}")
                continue
            here = 0
            if not self._advance(until):
                return False

    def _advance(self, until: float) -> bool:
        """Move time to the next timer and make it and its equals ready."""
        timers = self._timers
        while timers and timers[0][3]._cancelled:
            self._cancelled -= 1
            heapq.heappop(timers)
        if not timers or timers[0][0] > until:
            if until != float("inf"):
                self._now = max(self._now, until)
            return False
        when = timers[0][0]
        self._now = max(self._now, when)
        while timers and timers[0][0] <= when:
            timer = heapq.heappop(timers)[3]
            if timer._cancelled:
                self._cancelled -= 1
                continue
            timer._scheduled = False
            self._ready.append(timer)
        return True
