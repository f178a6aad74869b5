"""One sequential caller that writes down all it does, whatever carries its requests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from random import Random
from typing import Any

from chaos.history import Invoke, Operation, Result
from chaos.workloads.heard import Heard
from chaos.workloads.requests import Request, request_for

PATIENCE = 6.0
"""Seconds without an answer after which a caller gives up. A node itself gives up after 5."""


class Caller(ABC):
    """What a workload is given: asks one thing after the other, of a node chosen at random.

    Args:
        name: "client.workload"; what it names (owners, members, values) begins with it.
        nodes: whom it may ask.
        random: decides everything that a workload draws.

    `realm`: what the names of locks and rings begin with, which all callers share: empty in a
    cluster that nobody else uses, else something that nobody else has.
    """

    realm = ""

    def __init__(self, name: str, nodes: Iterable[str], random: Random) -> None:
        self.name = name
        self.random = random
        self.nodes = tuple(nodes)
        self._count = 0

    async def ask(
        self,
        kind: str,
        *,
        node: str | None = None,
        patience: float | None = None,
        **arguments: Any,
    ) -> Operation:
        """Do one operation and write it down.

        Args:
            kind, arguments: see `chaos.workloads.requests`; arguments that are None are left out.
            node: whom to ask; one at random where it is None.
            patience: seconds after which it hangs up; `PATIENCE` and its wait where it is None.
        """
        await self._keep_pace()
        asked = self.random.choice(self.nodes) if node is None else node
        arguments = self._in_realm(kind, arguments)
        self._count += 1
        line = Invoke(self._now(), f"{self.name}-{self._count}", self.name, asked, kind, arguments)
        self._write(line)
        if patience is None:
            patience = PATIENCE + float(arguments.get("wait", 0))
        heard = await self._exchange(asked, request_for(kind, arguments), patience)
        result = Result(
            self._now(),
            line.id,
            heard.outcome,
            heard.status,
            heard.slug,
            heard.revision,
            heard.answer,
            heard.why,
        )
        self._write(result)
        return Operation(
            line.id,
            self.name,
            asked,
            kind,
            arguments,
            line.at,
            result.at,
            result.outcome,
            result.status,
            result.slug,
            result.revision,
            result.answer,
            result.why,
        )

    def _in_realm(self, kind: str, arguments: dict[str, Any]) -> dict[str, Any]:
        given = {key: value for key, value in arguments.items() if value is not None}
        for field in ("name", "ring", "key") if kind.startswith("simple.") else ("name", "ring"):
            name = given.get(field)
            if isinstance(name, str) and not name.startswith(self.realm):
                given[field] = self.realm + name
        return given

    def unique(self, word: str) -> str:
        """A name that nobody used before."""
        return f"{self.name}-{word}{self._count}"

    def chance(self, share: float) -> bool:
        """True in this share of the cases."""
        return self.random.random() < share

    def seconds(self) -> float:
        """Time on the clock on which operations begin and end (there in nanoseconds)."""
        return self._now() / 1e9

    @abstractmethod
    async def pause(self, seconds: float) -> None:
        """Do nothing for a while; ends early when the load ends."""

    @abstractmethod
    def _now(self) -> int:
        """Nanoseconds on the history's clock."""

    @abstractmethod
    def _write(self, line: Invoke | Result) -> None:
        """Put a line into the history."""

    @abstractmethod
    async def _keep_pace(self) -> None:
        """Wait until the next operation may begin."""

    @abstractmethod
    async def _exchange(self, node: str, request: Request, patience: float) -> Heard:
        """Send a request to a node and wait for its answer, `patience` seconds at most."""
