"""A seed is one run, whatever the hash seed and on every Python that has what the product needs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.machine.test_same_everywhere import ROOT, candidates

PROGRAM = """
from chaos.simulation.profiles import PROFILES, replace
from chaos.simulation.simulate import simulate
for name, seed in (("three", 3), ("three", 21), ("five", 5), ("three", 3)):
    outcome = simulate(seed, replace(PROFILES[name], seconds=5.0))
    print(name, seed, outcome.trace, outcome.http, sorted(outcome.counts.items()), outcome.broken)
"""


def told_by(python: str, hash_seed: str) -> list[str]:
    """What an interpreter says of the runs."""
    finished = subprocess.run(
        [python, "-c", PROGRAM],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    return finished.stdout.splitlines()


def is_equipped(python: str, minor: int) -> bool:
    """Whether it is this version, and has the packages."""
    code = "import sys, aiohttp, msgspec, pysyncobj; print(sys.version_info[1])"
    tried = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60)
    return tried.stdout.strip() == str(minor)


@pytest.fixture(scope="module")
def here() -> list[str]:
    return told_by(sys.executable, "0")


def test_the_runs_say_something(here: list[str]) -> None:
    assert len(here) == 4
    assert all(line.endswith("None") and "('ok', " in line for line in here), here
    assert " True " in here[1]
    assert len({line.split()[2] for line in here}) == 3
    assert here[0] == here[3], "a run depends on what the process did before"


def test_hash_seeds_do_not_matter(here: list[str]) -> None:
    assert told_by(sys.executable, "4242") == here


@pytest.mark.parametrize("minor", [11, 12, 13])
def test_other_pythons_play_the_same_run(here: list[str], minor: int) -> None:
    if sys.version_info[1] == minor:
        pytest.skip("it is this one")
    for python in candidates(minor):
        if is_equipped(python, minor):
            assert told_by(python, "7") == here
            return
    pytest.skip(f"no Python 3.{minor} with all packages is present; see RAFTCOORD_PYTHONS")
