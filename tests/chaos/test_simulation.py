"""Whole clusters under faults, each a function of its seed."""

import subprocess
import sys

import pytest

from chaos.simulation.faults import ALL, Trouble, kill, power_cut_of_all
from chaos.simulation.judges import Judges, Violation
from chaos.simulation.world import World

TRACE = """
import logging, sys
from chaos.simulation.faults import Trouble
from chaos.simulation.world import World
logging.disable(logging.CRITICAL)
world = World(int(sys.argv[1]))
world.begin()
trouble = Trouble(world)
world.run(8)
print(world.loop.net.trace, world.loop.steps, sorted(world.told.items()), sorted(trouble.done))
"""


def judged(seed: int, *, members: int = 3, seconds: float = 15.0) -> World:
    """One run with all faults, which raises what the judges find."""
    world = World(seed, members=members)
    world.begin()
    trouble = Trouble(world, ALL)
    world.run(seconds)
    trouble.end()
    world.settle()
    assert world.told["applied"] > 20, "the run says nothing: hardly anything was applied"
    assert world.judges.reads > 5
    world.loop.close()
    return world


@pytest.mark.parametrize("seed", range(10))
def test_three_members_under_all_faults(seed: int) -> None:
    judged(seed)


@pytest.mark.parametrize("seed", range(100, 102))
def test_five_members_under_all_faults(seed: int) -> None:
    judged(seed, members=5)


@pytest.mark.parametrize("seed", range(200, 203))
def test_kills_and_power_cuts_close_together(seed: int) -> None:
    world = World(seed)
    world.begin()
    trouble = Trouble(world, (kill, power_cut_of_all), pause=0.3)
    world.run(10)
    trouble.end()
    world.settle()
    assert trouble.done.total() > 5


def test_a_seed_is_the_same_run_whatever_the_hash_seed() -> None:
    traces = {
        subprocess.run(
            [sys.executable, "-c", TRACE, "5"],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(traces) == 1
    assert "applied" in traces.pop()


def test_the_judges_catch_what_they_are_for() -> None:
    judges = Judges()
    judges.member_applied("n1", 5, 2, b"a")
    judges.member_applied("n2", 5, 2, b"a")
    judges.caller_told(b"a", "applied", 5, b"a")
    judges.caller_told(b"gone", "refused", 0, None)
    judges.member_leads("n1", 2)
    assert judges.newest_acknowledged() == 5
    for broken in (
        lambda: judges.member_applied("n3", 5, 2, b"b"),
        lambda: judges.member_applied("n3", 6, 2, b"a"),
        lambda: judges.member_applied("n3", 7, 2, b"gone"),
        lambda: judges.member_leads("n2", 2),
        lambda: judges.caller_told(b"a", "unknown", 0, None),
        lambda: judges.caller_told(b"never", "applied", 5, b"never"),
        lambda: judges.read_answered(5, 4),
        lambda: judges.members_agree({"n1": [b"a"], "n2": []}),
        lambda: judges.members_agree({"n1": [], "n2": []}),
    ):
        with pytest.raises(Violation):
            broken()


def test_acknowledging_before_the_sync_is_caught() -> None:
    """The simulation is worth something only where a broken product fails in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "raftcoord.consensus.core.Core.send_durable",
            lambda core, node, message: core.send(node, message),
        )
        caught = 0
        for seed in range(300, 330):
            world = World(seed, load=100, sync=(0.005, 0.05))
            world.begin()
            trouble = Trouble(world, (kill, power_cut_of_all, power_cut_of_all), pause=0.5)
            try:
                world.run(12)
                trouble.end()
                world.settle()
            except (Violation, BaseExceptionGroup):
                caught += 1
                break
    assert caught
