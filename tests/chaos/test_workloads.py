"""Loads as coroutines: what an agent in a thread makes of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest

from chaos.history import FORMAT, Header, Writer
from chaos.workloads.agent import Agent, drive


def test_a_coroutine_that_waits_for_something_else_is_refused() -> None:
    async def lost() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="waits only by"):
        drive(lost())


def test_an_agent_blocks_and_hands_back_what_it_heard(tmp_path: Path) -> None:
    agent = Agent("c1.x", {"n1": 1}, Writer(tmp_path / "h", Header(FORMAT)), Random(5))
    asked = drive(agent.ask("lock.read", name="a", wait=None))
    assert (asked.outcome, asked.node, asked.arguments) == ("never-sent", "n1", {"name": "a"})
    assert asked.begin <= asked.end <= agent.seconds() * 1e9
