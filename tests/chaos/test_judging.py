"""`chaos judge` of files whose lines are well made, and say what no node says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaos import history, main
from chaos.history import FORMAT, Header, Invoke, Line, Result

LOCK = {"name": "L", "owner": "o", "ttl": 5.0}
GRANT = {"token": 7, "expires_in": 5.0}
BEGIN = {"participants": ["a", "b"], "timeout": 9.0, "decide": "all"}


def saved(file: Path, *operations: tuple[str, dict[str, Any], dict[str, Any]]) -> Path:
    """A history of operations that follow each other, all acknowledged."""
    lines: list[Line] = []
    for number, (kind, arguments, answer) in enumerate(operations):
        at = number * 1_000_000_000
        lines.append(Invoke(at, f"c.{number}", "c", "n1", kind, arguments))
        lines.append(Result(at + 1000, f"c.{number}", "ok", 200, None, number + 1, answer))
    history.save(file, lines, Header(FORMAT, ("n1",)))
    return file


STRANGE = {
    "an argument that is missing": ("lock.acquire", {"owner": "o", "ttl": 5.0}, GRANT),
    "an argument of another type": ("lock.check", {"name": "L", "token": []}, {"holds": True}),
    "a number that is none": ("lock.acquire", LOCK, {**GRANT, "expires_in": "soon"}),
    "a list that is none": ("rings.list", {"limit": 5}, {"rings": 3}),
    "an object that is none": ("rings.list", {"limit": 5}, {"rings": ["r"]}),
    "a transaction of nobody": ("transaction.begin", {"timeout": 9.0}, {"id": 3}),
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_a_judge_makes_nothing_of_is_refused_with_its_line(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    operation = STRANGE[name]
    fine = ("lock.acquire", {**LOCK, "name": "fine"}, {**GRANT, "token": 1})
    after = ("transaction.begin", BEGIN, {"id": 4})
    file = saved(tmp_path / "strange.jsonl", fine, operation, after)
    assert main.main(["judge", str(file)]) == main.UNREADABLE
    said = capsys.readouterr().err
    assert f"{file}, line 4: operation c.1, {operation[0]}, answered in line 5: " in said
    assert "Traceback" not in said


def test_the_same_without_it_is_judged(tmp_path: Path) -> None:
    fine = ("lock.acquire", {**LOCK, "name": "fine"}, {**GRANT, "token": 1})
    file = saved(tmp_path / "fine.jsonl", fine, ("transaction.begin", BEGIN, {"id": 4}))
    assert main.main(["judge", str(file)]) == 0
