"""`python3 -m tests`: the house checks side by side, then pytest; the last line is pytest's own.

Arguments go to pytest. `--fast` leaves the house checks out, `--slow` takes the slow tests in.
The checks run before pytest and not beside it: tests with real processes and election timeouts
need the machine for themselves.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FAILED_CHECKS = "RAFTCOORD_FAILED_CHECKS"


@dataclass(frozen=True)
class Check:
    """One check of the house: a program of the environment, green when it exits with 0."""

    name: str
    command: tuple[str, ...]


CHECKS = (
    # mypy takes longest, so it starts first; the others share the second core.
    Check("mypy --strict", (sys.executable, "-m", "mypy", "--no-error-summary")),
    Check("ruff check", (sys.executable, "-m", "ruff", "check", "--output-format=concise")),
    Check("ruff format", (sys.executable, "-m", "ruff", "format", "--check")),
    Check(
        "import contract",
        (
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-logo",
        ),
    ),
)


def main(argv: list[str]) -> int:
    """Run everything; 0 only when every check and every test passed."""
    fast = "--fast" in argv
    slow = "--slow" in argv
    wanted = [argument for argument in argv if argument not in ("--fast", "--slow")]
    failed = [] if fast else run_checks()
    if not slow and not any(argument.startswith("-m") for argument in wanted):
        wanted = ["-m", "not slow", *wanted]
    # pytest replaces this process: its summary is the last thing on the screen, and its exit code
    # is ours. tests/conftest.py names the failed checks above that summary and fails the run.
    environment = {**os.environ, FAILED_CHECKS: ", ".join(failed)}
    os.chdir(ROOT)
    os.execve(sys.executable, [sys.executable, "-m", "pytest", *wanted], environment)


def run_checks() -> list[str]:
    """Run all checks, say one line for each and show what a red one printed; the red names."""
    failed = []
    with ThreadPoolExecutor(max_workers=2) as workers:
        for check, (code, seconds, output) in zip(CHECKS, workers.map(_run, CHECKS), strict=True):
            print(f"{check.name:<16} {'ok' if code == 0 else 'FAILED':<7} {seconds:5.1f} s")
            if code != 0:
                failed.append(check.name)
                print(output.rstrip())
            sys.stdout.flush()
    return failed


def _run(check: Check) -> tuple[int, float, str]:
    begun = time.monotonic()
    done = subprocess.run(
        check.command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, time.monotonic() - begun, done.stdout
