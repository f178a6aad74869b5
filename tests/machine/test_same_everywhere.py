"""The same log gives the same bytes: twice, under any hash seed, on every Python that is present.

Other interpreters are those named in RAFTCOORD_PYTHONS (paths, separated by colons), `python3.X`
on the search path and those of pyenv. One without msgspec is given it, in a folder of pytest's
cache, or skipped where that fails.
"""

import os
import shutil
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pytest

from raftcoord.machine import Machine
from tests.machine.logs import Entry, make

ROOT = Path(__file__).parents[2]
SEEDS = (11, 12, 13)
LENGTH = 500

PROGRAM = """
import sys
from raftcoord.machine import Machine
for line in sys.stdin:
    machine = Machine()
    for text in line.split():
        index, term, time, payload = text.split(",")
        machine.apply(int(index), int(term), int(time), bytes.fromhex(payload))
    print(machine.digest(), b"".join(machine.pack()).hex())
"""


@cache
def logs() -> tuple[tuple[Entry, ...], ...]:
    return tuple(tuple(make(seed, LENGTH)) for seed in SEEDS)


@cache
def expected() -> list[str]:
    results = []
    for log in logs():
        machine = Machine()
        for entry in log:
            machine.apply(*entry)
        assert not machine.alarms
        results.append(f"{machine.digest()} {b''.join(machine.pack()).hex()}")
    return results


def told_to(python: str, hash_seed: str, packages: str = "") -> list[str]:
    lines = [
        " ".join(f"{index},{term},{time},{payload.hex()}" for index, term, time, payload in log)
        for log in logs()
    ]
    path = os.pathsep.join(part for part in (str(ROOT), packages) if part)
    finished = subprocess.run(
        [python, "-c", PROGRAM],
        input="\n".join(lines) + "\n",
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return finished.stdout.splitlines()


def candidates(minor: int) -> list[str]:
    """Where a Python 3.minor may be, the likeliest first."""
    named = [sys.executable]
    named += [path for path in os.environ.get("RAFTCOORD_PYTHONS", "").split(":") if path]
    pyenv = Path.home() / ".pyenv" / "versions"
    named += map(str, sorted(pyenv.glob(f"3.{minor}.*/bin/python")))
    found = shutil.which(f"python3.{minor}")
    return [*named, found] if found else named


def problem_of(python: str, minor: int) -> str | None:
    """Why the interpreter cannot be used for this version; None when it can."""
    code = "import sys; print(sys.version_info[1]); import msgspec"
    tried = subprocess.run(
        [python, "-c", code],
        env={**os.environ, "PYTHONPATH": packages(minor)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    if tried.stdout.strip() != str(minor):
        return "is another version"
    return (tried.stderr.splitlines() or ["does not run"])[-1] if tried.returncode else None


def packages(minor: int) -> str:
    """The folder with the machine's one package for another version of Python than this one."""
    return str(ROOT / ".pytest_cache" / "pythons" / f"3.{minor}")


def install(python: str, minor: int) -> None:
    """Put the package there, where that can be done: this Python's own version of it."""
    wanted = f"msgspec=={version('msgspec')}"
    command = [python, "-m", "pip", "install", "--quiet", "--target", packages(minor), wanted]
    subprocess.run(command, capture_output=True, timeout=120, check=False)


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_hash_seeds_do_not_matter(hash_seed: str) -> None:
    assert told_to(sys.executable, hash_seed) == expected()


@pytest.mark.parametrize("minor", [11, 12, 13, 14])
def test_other_pythons_agree(minor: int) -> None:
    problems = []
    for python in candidates(minor):
        problem = problem_of(python, minor)
        if problem is not None and "No module named" in problem:
            install(python, minor)
            problem = problem_of(python, minor)
        if problem is None:
            assert told_to(python, "7", packages(minor)) == expected()
            return
        problems.append(f"{python}: {problem}")
    pytest.skip("; ".join(problems) or f"no Python 3.{minor} is present")
