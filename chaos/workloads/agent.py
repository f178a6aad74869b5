"""An agent: a caller in a thread of a client process, over real connections."""

from __future__ import annotations

import threading
import time
from collections.abc import Coroutine, Mapping
from random import Random
from typing import Any, TypeVar

from chaos.history import Invoke, Result, Writer
from chaos.workloads.caller import PATIENCE, Caller
from chaos.workloads.connections import Connections
from chaos.workloads.heard import Heard
from chaos.workloads.requests import Request

_T = TypeVar("_T")


def drive(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine of an agent's to its end, in this thread; its result.

    An agent blocks where it waits, so such a coroutine never suspends. Raises RuntimeError where
    one does: a workload waits by its agent alone.
    """
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return ended.value  # type: ignore[no-any-return]
    coroutine.close()
    raise RuntimeError("a workload waits only by `await self.agent.ask(…)` and `.pause(…)`")


class Agent(Caller):
    """Asks over connections of its own; blocks its thread where it waits.

    Args:
        ports: node → its port on this machine, or "host:port".
        pause: seconds from the begin of one operation to that of the next, at least.
    """

    def __init__(
        self,
        name: str,
        ports: Mapping[str, int | str],
        writer: Writer,
        random: Random,
        pause: float = 0.0,
    ) -> None:
        super().__init__(name, ports, random)
        self.stopping = threading.Event()
        self._connections = Connections(ports)
        self._writer = writer
        self._pause = pause
        self._next = 0.0

    async def pause(self, seconds: float) -> None:
        self.stopping.wait(seconds)

    def close(self) -> None:
        """Close its connections."""
        self._connections.close()

    def _now(self) -> int:
        return time.monotonic_ns()

    def _write(self, line: Invoke | Result) -> None:
        self._writer.write(line)

    async def _keep_pace(self) -> None:
        now = time.monotonic()
        if now < self._next:
            self.stopping.wait(self._next - now)
        self._next = max(now, self._next) + self._pause

    async def _exchange(self, node: str, request: Request, patience: float) -> Heard:
        return self._connections.ask(node, request, patience)


__all__ = ["PATIENCE", "Agent", "drive"]
