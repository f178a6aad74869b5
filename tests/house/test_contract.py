"""The import contract holds the rooms: each kind of wrong import turns it red."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.house.runner import CHECKS, ROOT

ROOMS = (
    "errors", "commands", "hashring", "machine", "consensus", "server", "client", "simple",
    "testing", "contrib", "cli",
)  # fmt: skip
COMMAND = next(check.command for check in CHECKS if check.name == "import contract")

WRONG = [
    # importer, what it imports, the contract that must break
    ("raftcoord.errors", "raftcoord.commands", "rooms"),
    ("raftcoord.commands", "raftcoord.machine", "rooms"),
    ("raftcoord.commands", "raftcoord.hashring", "rooms"),
    ("raftcoord.machine", "raftcoord.consensus", "rooms"),
    ("raftcoord.consensus", "raftcoord.machine", "rooms"),
    ("raftcoord.machine", "raftcoord.server", "rooms"),
    ("raftcoord.client", "raftcoord.server", "rooms"),
    ("raftcoord.client", "raftcoord.simple", "rooms"),
    ("raftcoord.server", "raftcoord.cli", "rooms"),
    ("raftcoord.contrib", "raftcoord.testing", "rooms"),
    ("raftcoord.cupboard", "raftcoord.errors", "rooms"),
    ("raftcoord.server", "cluster.main", "product"),
    ("raftcoord.cli", "tests", "product"),
    ("raftcoord.machine", "time", "machine"),
    ("raftcoord.machine", "asyncio", "machine"),
    ("raftcoord.machine", "logging", "machine"),
    ("raftcoord.hashring", "random", "machine"),
    ("raftcoord.consensus", "raftcoord.commands", "consensus"),
    ("raftcoord.server", "pysyncobj.syncobj", "engine"),
    ("raftcoord.consensus.node", "pysyncobj", "engine"),
    ("raftcoord.server", "raftcoord.hashring", "front-door"),
    ("raftcoord.simple", "raftcoord.server", "simple"),
    ("raftcoord.simple", "raftcoord.machine", "simple"),
    ("raftcoord.consensus", "pickle", "pickle"),
    ("cluster.main", "raftcoord.machine", "cluster"),
    ("cluster.main", "chaos", "cluster"),
    ("raftcoord.consensus.core", "raftcoord.consensus.node", "cycles"),
    ("raftcoord.hashring", "raftcoord.machine", "cycles"),
]
RIGHT = [
    ("raftcoord.commands", "raftcoord.errors"),
    ("raftcoord.machine", "raftcoord.hashring"),
    ("raftcoord.consensus", "raftcoord.errors"),
    ("raftcoord.consensus.core", "pysyncobj"),
    ("raftcoord.consensus.node", "raftcoord.consensus.core"),
    ("raftcoord.server", "raftcoord.consensus"),
    ("raftcoord.server", "raftcoord.machine"),
    ("raftcoord.client", "raftcoord.hashring"),
    ("raftcoord.simple", "raftcoord.client"),
    ("raftcoord.testing", "raftcoord.server"),
    ("raftcoord.cli", "raftcoord.simple"),
    ("cluster.main", "raftcoord.server"),
    ("cluster.main", "raftcoord.simple"),
    ("chaos", "raftcoord.machine"),
    ("tests", "raftcoord.consensus"),
]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """The rooms, all there and empty, but for the imports the table allows."""
    files = [f"raftcoord.{room}" for room in ROOMS]
    files += ["raftcoord.consensus.core", "raftcoord.consensus.node", "cluster.main"]
    for module in files:
        add(tmp_path, module, "")
    for root in ("raftcoord", "cluster", "chaos", "bench", "tests"):
        add(tmp_path, root, "")
    for importer, imported in RIGHT:
        add(tmp_path, importer, f"import {imported}\n")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def add(house: Path, module: str, line: str) -> None:
    folder = house.joinpath(*module.split("."))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "__init__.py").open("a") as file:
        file.write(line)


def lint(house: Path, contract: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, *COMMAND[1:], "--no-cache", "--contract", contract],
        cwd=house,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def contracts() -> list[str]:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return [contract["id"] for contract in config["tool"]["importlinter"]["contracts"]]


def test_what_the_table_allows_is_allowed(house: Path) -> None:
    done = subprocess.run(COMMAND, cwd=house, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("importer", "imported", "contract"), WRONG)
def test_a_wrong_import_breaks_its_contract(
    house: Path, importer: str, imported: str, contract: str
) -> None:
    add(house, importer, f"import {imported}\n")
    code, output = lint(house, contract)
    assert code == 1, output
    assert "0 kept, 1 broken" in output


def test_no_contract_stands_that_nobody_has_seen_fail() -> None:
    assert set(contracts()) == {contract for _, _, contract in WRONG}
