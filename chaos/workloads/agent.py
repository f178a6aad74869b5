"""An agent: one sequential caller that writes down all it does."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from random import Random
from typing import Any

from chaos.history import Invoke, Operation, Result, Writer
from chaos.workloads.connections import Connections
from chaos.workloads.requests import request_for

PATIENCE = 6.0
"""Seconds without an answer after which an agent gives up. A node itself gives up after 5."""


class Agent:
    """Asks one thing after the other, each of a node chosen at random.

    Args:
        name: "client.workload"; what it names (owners, members, values) begins with it.
        ports: node → its port.
        pause: seconds from the begin of one operation to that of the next, at least.
    """

    def __init__(
        self,
        name: str,
        ports: Mapping[str, int],
        writer: Writer,
        random: Random,
        pause: float = 0.0,
    ) -> None:
        self.name = name
        self.random = random
        self.nodes = tuple(ports)
        self.stopping = threading.Event()
        self._connections = Connections(ports)
        self._writer = writer
        self._pause = pause
        self._next = 0.0
        self._count = 0

    def ask(self, kind: str, *, node: str | None = None, **arguments: Any) -> Operation:
        """Do one operation and write it down.

        Args:
            kind, arguments: see `chaos.workloads.requests`; arguments that are None are left out.
            node: whom to ask; one at random where it is None.
        """
        self._keep_pace()
        asked = self.random.choice(self.nodes) if node is None else node
        arguments = {key: value for key, value in arguments.items() if value is not None}
        self._count += 1
        begin = time.monotonic_ns()
        line = Invoke(begin, f"{self.name}-{self._count}", self.name, asked, kind, arguments)
        self._writer.write(line)
        patience = PATIENCE + float(arguments.get("wait", 0))
        heard = self._connections.ask(asked, request_for(kind, arguments), patience)
        result = Result(
            time.monotonic_ns(),
            line.id,
            heard.outcome,
            heard.status,
            heard.slug,
            heard.revision,
            heard.answer,
            heard.why,
        )
        self._writer.write(result)
        return Operation(
            line.id,
            self.name,
            asked,
            kind,
            arguments,
            begin,
            result.at,
            result.outcome,
            result.status,
            result.slug,
            result.revision,
            result.answer,
            result.why,
        )

    def pause(self, seconds: float) -> None:
        """Do nothing for a while; ends early when the load ends."""
        self.stopping.wait(seconds)

    def unique(self, word: str) -> str:
        """A name that nobody used before."""
        return f"{self.name}-{word}{self._count}"

    def chance(self, share: float) -> bool:
        """True in this share of the cases."""
        return self.random.random() < share

    def close(self) -> None:
        """Close its connections."""
        self._connections.close()

    def _keep_pace(self) -> None:
        now = time.monotonic()
        if now < self._next:
            self.stopping.wait(self._next - now)
        self._next = max(now, self._next) + self._pause
