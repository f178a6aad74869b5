"""Hosts of a simulated world, and what the network asks of the loop that runs them."""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, Protocol
from weakref import WeakSet


class Host:
    """One life of one machine's process: after `kill`, the same name is another Host.

    `blocked`: none of its callbacks runs now; while it is alive they wait in `held`. `pace`: how
    many virtual seconds its timers take for a second.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.blocked = False
        self.pace = 1.0
        self.held: deque[asyncio.Handle] = deque()
        self.tasks: WeakSet[asyncio.Task[Any]] = WeakSet()

    def __repr__(self) -> str:
        state = "dead" if not self.alive else "paused" if self.blocked else "running"
        return f"<Host {self.name or 'outside'} {state}>"


CURRENT: contextvars.ContextVar[Host | None] = contextvars.ContextVar("host", default=None)
"""The host whose code runs. Callbacks, timers and tasks inherit it."""


class Scheduler(Protocol):
    """The loop, as the network sees it."""

    rng: Random
    now: float

    def time(self) -> float:
        """Virtual seconds."""

    def later(self, when: float, event: Callable[..., object], *args: Any) -> None:
        """Something that happens in the network at a time, whatever state the hosts are in."""

    def on_host(
        self, context: contextvars.Context, callback: Callable[..., object], *args: Any
    ) -> None:
        """A callback of the host whose context it is; waits while that is paused."""
