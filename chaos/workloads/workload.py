"""What a load is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from chaos.workloads.caller import Caller


class Workload(ABC):
    """A load of one kind: what one agent does, step by step, until it is told to stop.

    A workload of your own is a subclass with a `name` and a `step`; give it to the runner as
    `--workloads package.module:Class`. Each client process runs one agent for each workload.

    - All it does it does by `await self.agent.ask(kind, …)`, so that it is written into the
      history. It waits by that and by `await self.agent.pause(seconds)` alone, and it looks at no
      clock but `self.agent.seconds()`: so the same class runs in a simulated world, too.
    - What it decides it decides by `self.agent.random`, which follows from the run's seed.
    - A request may be refused, or its outcome unknown, at any time; the judges know that, and the
      next step goes on from whatever is there.
    - Names it puts into the cluster begin with `self.agent.name`, or are shared on purpose.
    """

    name: ClassVar[str]

    def __init__(self, agent: Caller) -> None:
        self.agent = agent

    @abstractmethod
    async def step(self) -> None:
        """Do a few operations that belong together."""
