"""What all tests share: the verdict of the house checks in pytest's own summary."""

from __future__ import annotations

import os

import pytest

from tests.house.runner import FAILED_CHECKS


def _failed_checks() -> str:
    return os.environ.get(FAILED_CHECKS, "")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _failed_checks() and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _failed_checks():
        terminalreporter.write_line(f"FAILED checks of the house: {_failed_checks()}", red=True)
