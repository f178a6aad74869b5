"""Which packages the project needs, whether this interpreter has them, and where `.venv` stands.

Everything on the path of each start is here and cheap (a small file, one listing per entry of
sys.path); what makes or repairs an environment is in `cluster.installation`.

An environment of ours is complete for a group when its stamp, written last, holds the hash of the
group's pins: an installation that was interrupted, or pins that changed, are thus seen.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
GROUPS = {"runtime": ("runtime",), "tests": ("runtime", "tests")}
OPTIONAL = "optional"
Standing = Literal["here", "there", "missing"]


class Unusable(Exception):
    """No environment can be had here; the text is one sentence for the user."""


@dataclass(frozen=True)
class Pin:
    """A package and its one version."""

    name: str
    version: str

    @property
    def marker(self) -> str:
        """What its metadata folder is called, as installers normalise it."""
        return f"{canonical(self.name)}-{self.version}".lower()

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


def canonical(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")


def read_pins(file: Path) -> dict[str, list[Pin]]:
    """Section -> pins of pins.txt."""
    sections: dict[str, list[Pin]] = {}
    section: list[Pin] = []
    for raw in file.read_text(encoding="utf-8").splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), [])
            continue
        name, _, version = line.partition("==")
        section.append(Pin(name, version))
    return sections


def installed(path: Iterable[str]) -> set[str]:
    """Markers (`name-version`) of all packages found in the folders of `path`."""
    found = set()
    for folder in path:
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue
        for name in names:
            if name.endswith(".dist-info"):
                package, _, version = name[: -len(".dist-info")].partition("-")
                found.add(f"{canonical(package)}-{version}".lower())
    return found


@dataclass(frozen=True)
class Environment:
    """The project's `.venv` and the pins it must hold."""

    folder: Path
    pins: dict[str, list[Pin]]

    @classmethod
    def of_project(cls) -> Environment:
        return cls(ROOT / ".venv", read_pins(Path(__file__).with_name("pins.txt")))

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def stamp(self) -> Path:
        return self.folder / "raftcoord-stamp.json"

    def needed(self, group: str) -> list[Pin]:
        return [pin for section in GROUPS[group] for pin in self.pins.get(section, [])]

    def hash_of(self, group: str) -> str:
        import hashlib

        pins = [*self.needed(group), *self.pins.get(OPTIONAL, [])]
        return hashlib.sha256("\n".join(sorted(map(str, pins))).encode()).hexdigest()

    def stamps(self) -> dict[str, str]:
        try:
            stamps = json.loads(self.stamp.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return stamps if isinstance(stamps, dict) else {}

    def complete(self, group: str) -> bool:
        return self.stamps().get(group) == self.hash_of(group) and os.access(self.python, os.X_OK)

    def is_running(self) -> bool:
        """Whether this interpreter is the one in `.venv`."""
        try:
            return os.path.samefile(sys.prefix, self.folder)
        except OSError:
            return False

    def standing(self, group: str) -> Standing:
        """Where the group's packages are: in this interpreter, in `.venv`, or missing."""
        inside = self.is_running()
        present = installed(sys.path)
        has_all = all(pin.marker in present for pin in self.needed(group))
        if has_all and (not inside or self.complete(group)):
            return "here"
        return "there" if not inside and self.complete(group) else "missing"

    def move_in(self) -> None:
        """Go on as the same command inside `.venv`, if this is not inside already."""
        if not self.is_running():
            # The same process goes on: its id, its terminal and whoever waits for it stay.
            os.execv(self.python, [str(self.python), *sys.orig_argv[1:]])
