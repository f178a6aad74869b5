"""pins.txt is the whole environment: nothing unpinned comes in, nothing pinned is superfluous."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from cluster import environment
from cluster.environment import Pin, canonical, read_pins
from tests.house.runner import ROOT

PINS = read_pins(Path(environment.__file__).with_name("pins.txt"))
TOOLS = {"pytest", "hypothesis", "mypy", "ruff", "import-linter", "packaging"}


def project() -> dict[str, list[Requirement]]:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {
        "runtime": [Requirement(text) for text in table["dependencies"]],
        "optional": [Requirement(text) for text in table["optional-dependencies"]["fast"]],
    }


def closure(names: set[str]) -> set[str]:
    """The packages behind `names`, on any Python we run on: markers are read as true where they
    speak of the version, for the pins are one list for all of them."""
    known: set[str] = set()
    waiting = {canonical(name) for name in names}
    while waiting:
        name = waiting.pop()
        known.add(name)
        for text in importlib.metadata.requires(name) or ():
            needed = Requirement(text)
            versions = ("3.11", "3.12", "3.13")
            applies = needed.marker is None or any(
                needed.marker.evaluate({"python_version": version, "extra": ""})
                for version in versions
            )
            if applies and canonical(needed.name) not in known:
                waiting.add(canonical(needed.name))
    return known


def names(pins: list[Pin]) -> set[str]:
    return {canonical(pin.name) for pin in pins}


def test_the_pins_satisfy_what_the_package_declares() -> None:
    for section, requirements in project().items():
        versions = {canonical(pin.name): pin.version for pin in PINS[section]}
        for requirement in requirements:
            assert requirement.specifier.contains(versions[canonical(requirement.name)])


def test_every_package_behind_the_declared_ones_is_pinned_and_no_other() -> None:
    declared = {requirement.name for requirement in project()["runtime"]}
    runtime = names(PINS["runtime"])
    assert closure(declared) == runtime
    assert closure(TOOLS) - runtime == names(PINS["tests"])


def test_the_tests_run_on_the_pinned_versions() -> None:
    for pin in [*PINS["runtime"], *PINS["tests"]]:
        assert importlib.metadata.version(pin.name) == pin.version
