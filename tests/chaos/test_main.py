"""What all commands of chaos share: how they end, and with which status."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from chaos import main
from chaos.inputs import CannotRead, reading


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


READ = ["judge", "run --schedule", "simulate --seeds 1 --schedule", "simulate --seeds 1 --results"]


@pytest.mark.parametrize("words", READ)
def test_a_file_that_was_named_and_cannot_be_read_is_named_with_the_reason(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    binary, locked = tmp_path / "binary", tmp_path / "locked"
    binary.write_bytes(bytes(range(256)))
    locked.touch()
    wrong = [
        (tmp_path / "no" / "file", ": No such file or directory"),
        (tmp_path, ": Is a directory"),
        (binary, ", line 1: "),
    ]
    if os.geteuid() != 0:  # who may read anything
        locked.chmod(0)
        wrong.append((locked, ": Permission denied"))
    for file, reason in wrong:
        assert main.main([*words.split(), str(file)]) == main.UNREADABLE
        assert f"chaos: {file}{reason}" in capsys.readouterr().err


def test_a_file_without_permission_is_refused_as_one_that_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "history"
    with pytest.raises(CannotRead, match=f"^{file}: Permission denied$"), reading(file):
        raise PermissionError(13, "Permission denied", str(file))
    with pytest.raises(CannotRead, match=f"^{file}: Input/output error$"), reading(file):
        raise OSError(5, "Input/output error")


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
