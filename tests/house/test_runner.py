"""`python3 -m tests` ends red when a check is, and its last line is pytest's own in every case."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import runner
from tests.house.runner import FAILED_CHECKS, ROOT, Check


def test_a_red_check_is_named_and_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checks = (
        Check("green", (sys.executable, "-c", "print('not shown')")),
        Check("red", (sys.executable, "-c", "print('the reason'); raise SystemExit(3)")),
    )
    monkeypatch.setattr(runner, "CHECKS", checks)
    assert runner.run_checks() == ["red"]
    shown = capsys.readouterr().out
    assert "the reason" in shown
    assert "not shown" not in shown


@pytest.mark.parametrize(("failed", "code"), [("", 0), ("mypy --strict", 1)])
def test_a_red_check_fails_the_run_though_all_tests_pass(failed: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/house/test_pins.py"],
        cwd=ROOT,
        env={**os.environ, FAILED_CHECKS: failed},
        capture_output=True,
        text=True,
    )
    lines = done.stdout.strip().splitlines()
    assert done.returncode == code
    assert "3 passed" in lines[-1]
    assert any("mypy --strict" in line for line in lines[:-1]) == bool(failed)


@pytest.mark.parametrize(
    ("given", "to_pytest", "checked"),
    [
        ([], ["-m", "not slow"], True),
        (["--fast", "tests/machine"], ["-m", "not slow", "tests/machine"], False),
        (["--slow", "-x"], ["-x"], True),
        (["-m", "slow"], ["-m", "slow"], True),
    ],
)
def test_what_is_not_ours_goes_to_pytest(
    monkeypatch: pytest.MonkeyPatch, given: list[str], to_pytest: list[str], checked: bool
) -> None:
    ran: list[list[str]] = []
    checks: list[str] = []
    monkeypatch.setattr(os, "execve", lambda _, command, __: ran.append(command))
    monkeypatch.setattr(os, "chdir", lambda _: None)
    monkeypatch.setattr(runner, "run_checks", lambda: checks.append("run") or [])
    runner.main(given)
    assert ran == [[sys.executable, "-m", "pytest", *to_pytest]]
    assert bool(checks) == checked


def test_every_folder_of_the_suite_is_one_the_runner_finds() -> None:
    """A test file outside of a package would shadow another of the same name."""
    for file in Path(ROOT / "tests").rglob("test_*.py"):
        assert (file.parent / "__init__.py").exists(), file.parent
