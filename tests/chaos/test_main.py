"""What all commands of chaos share: how they end, and with which status."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from chaos import main


def test_a_sigterm_is_heard_as_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(commands: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setitem(main.REGISTERS, "judge", ended)
    # One that is not heard must not end the tests.
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert main.main(["judge", "x"]) == main.INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "interrupted" in capsys.readouterr().err


def test_a_bug_of_the_tool_is_no_broken_rule(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(commands: Any) -> None:
        raise ZeroDivisionError("once more")

    monkeypatch.setitem(main.REGISTERS, "judge", broken)
    assert main.main(["judge", "x"]) == main.BUG
    said = capsys.readouterr().err
    assert "ZeroDivisionError: once more" in said
    assert "bug of chaos itself" in said
