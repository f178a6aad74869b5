"""Which packages the project needs, whether this interpreter has them, and where `.venv` stands.

Everything on the path of each start is here and cheap (small files, one listing per entry of
sys.path); what makes or repairs an environment is in `cluster.installation`.

An environment of ours is complete for a group when its stamp, written last, holds the hash of the
group's pins: an installation that was interrupted, or pins that changed, are thus seen.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
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


def installed(path: Iterable[str]) -> dict[str, bool]:
    """Marker (`name-version`) of each package found in the folders of `path` -> whether its code
    is there too: somebody may have removed it and left its metadata."""
    found: dict[str, bool] = {}
    for folder in path:
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue
        for name in names:
            if name.endswith(".dist-info"):
                package, _, version = name[: -len(".dist-info")].partition("-")
                marker = f"{canonical(package)}-{version}".lower()
                found[marker] = found.get(marker, False) or _is_whole(Path(folder or "."), name)
    return found


def _is_whole(folder: Path, metadata: str) -> bool:
    """Whether the modules a package recorded are there; the upper two levels tell enough."""
    try:
        record = (folder / metadata / "RECORD").read_text(encoding="utf-8")
    except (OSError, ValueError):
        # Packages of the system keep none.
        return True
    files = (line.partition(",")[0] for line in record.splitlines())
    modules = (file for file in files if file.endswith(".py") and file.count("/") < 2)
    return all(os.path.exists(folder / module) for module in modules)


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
        has_all = all(present.get(pin.marker) for pin in self.needed(group))
        if has_all and (not inside or self.complete(group)):
            return "here"
        return "there" if not inside and self.complete(group) else "missing"

    def damaged(self, group: str) -> list[Pin]:
        """What pip would take for installed in this interpreter though its code is gone."""
        present = installed(sys.path)
        return [pin for pin in self.needed(group) if present.get(pin.marker) is False]

    def introduce(self) -> None:
        """Let `.venv` know the project: importable and a command `raftcoord` from any folder."""
        root = f"{self.folder.parent}\n"
        command = f'#!/bin/sh\nexec {shlex.quote(str(self.python))} -P -m raftcoord "$@"\n'
        script = self.folder / "bin" / "raftcoord"
        # A `.venv` that cannot be written serves the project all the same.
        with contextlib.suppress(OSError):
            for site in self.folder.glob("lib/python*/site-packages"):
                write_if_other(site / "raftcoord-project.pth", root)
            # One that is there may be of an installation by the user.
            if not script.exists() or script.read_bytes().startswith(b"#!/bin/sh\nexec "):
                write_if_other(script, command)
                script.chmod(0o755)

    def move_in(self) -> None:
        """Go on as the same command inside `.venv`, if this is not inside already."""
        if not self.is_running():
            # The same process goes on: its id, its terminal and whoever waits for it stay.
            os.execv(self.python, [str(self.python), *sys.orig_argv[1:]])


def write_if_other(file: Path, text: str) -> None:
    """Make `file` hold `text`, whole at every moment; raises OSError."""
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return
    aside = file.with_name(f"{file.name}.{os.getpid()}.new")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, file)
