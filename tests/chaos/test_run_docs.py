"""What docs/chaos.md shows is what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random
from typing import Any

import pytest

from chaos import history
from chaos.history import FORMAT, Header, Writer
from chaos.main import main
from chaos.nemesis import schedule
from chaos.nemesis.table import FAULTS
from chaos.running.settings import Settings
from chaos.workloads.agent import Agent, drive
from cluster.environment import ROOT

PAGE = (ROOT / "docs" / "chaos.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_every_kind_of_fault_stands_there() -> None:
    named = set(re.findall(r"`([a-z-]+)`", PAGE))
    missing = [name for name in FAULTS if name not in named and not name.startswith("fuse-")]
    assert missing == []


def test_its_workload_works(tmp_path: Path) -> None:
    (code,) = blocks("python")
    made: dict[str, Any] = {}
    exec(code, made)
    writer = Writer(tmp_path / "history", Header(FORMAT))
    agent = Agent("c1.turnstile", {"n1": 1}, writer, Random(1))
    drive(made["Turnstile"](agent).step())
    asked = history.load(tmp_path / "history").operations
    assert [item.kind for item in asked] == ["lock.acquire"]


def test_its_schedule_can_be_read(tmp_path: Path) -> None:
    (text,) = blocks("json")
    file = tmp_path / "schedule"
    file.write_text(text)
    steps = schedule.read(file, FAULTS)
    assert [step.fault for step in steps] == ["pause-leader", "slow-links"]
    assert json.loads(text.splitlines()[0])["lasts"] == steps[0].lasts


def test_its_commands_know_their_options(capsys: pytest.CaptureFixture[str]) -> None:
    for block in blocks("sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = line.partition("#")[0].split()[2:]
            assert words[0] == "chaos", line
            with pytest.raises(SystemExit) as ended:
                main([*words[1:], "--help"])
            assert ended.value.code == 0
            known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
            assert {word for word in words if word.startswith("--")} <= known, line


def test_the_list_of_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--kinds", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(FAULTS)


def test_a_run_has_a_patience_that_the_page_states() -> None:
    assert Settings.patience == 60.0
    assert "`--patience` (60 s)" in PAGE
