"""Makes `.venv` and installs the pins into it, seen on screen; safe to interrupt and to race.

A lock in the folder lets one process work while others wait. A note (`raftcoord-partial`) is
written before anything is changed and removed after the stamp is: found at a start, it says that
the last installation did not end. An environment we made is then made anew; one that was there
before us keeps its other packages, ours are installed over.
"""

from __future__ import annotations

import fcntl
import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.environment import OPTIONAL, Environment, Unusable
from cluster.pip_progress import run_pip

LOCK = "raftcoord-lock"
PARTIAL = "raftcoord-partial"


def install(environment: Environment, group: str) -> None:
    """Make the environment complete for `group`; raises Unusable with one sentence."""
    try:
        environment.folder.mkdir(parents=True, exist_ok=True)
        with _alone(environment.folder / LOCK):
            if environment.is_running() or not environment.complete(group):
                _install_alone(environment, group)
    except OSError as error:
        raise Unusable(f"cannot write {environment.folder}: {error.strerror or error}") from error
    importlib.invalidate_caches()


def _install_alone(environment: Environment, group: str) -> None:
    note = environment.folder / PARTIAL
    interrupted = note.read_text(encoding="utf-8") if note.exists() else ""
    usable = os.access(environment.python, os.X_OK) and interrupted != "new"
    if not usable:
        if environment.is_running():
            raise Unusable("the folder .venv was not finished; remove it and start again")
        _clear(environment.folder)
        _write_whole(note, "new")
        _make(environment)
    else:
        _write_whole(note, "update")
    _ensure_pip(environment)
    again = ["--force-reinstall"] if interrupted == "update" else []
    if environment.is_running() and not again and (damaged := environment.damaged(group)):
        say("packages of .venv were removed; installing them again")
        run_pip(environment.python, damaged, ["--force-reinstall"])
    run_pip(environment.python, environment.needed(group), again)
    _install_optional(environment, again)
    stamps = environment.stamps() | {group: environment.hash_of(group)}
    if group == "tests":
        stamps["runtime"] = environment.hash_of("runtime")
    _write_whole(environment.stamp, json.dumps(stamps, indent=1))
    note.unlink()


def _install_optional(environment: Environment, again: list[str]) -> None:
    """What makes things faster where a wheel exists; the product runs without it."""
    for pin in environment.pins.get(OPTIONAL, []):
        try:
            run_pip(environment.python, [pin], ["--only-binary=:all:", *again])
        except Unusable:
            say(f"  {pin} has no wheel for this platform; going on without it")


def _make(environment: Environment) -> None:
    if not _can_make():
        _install_venv_support()
    say(f"making {environment.folder} with Python {sys.version.split()[0]}")
    done = subprocess.run(
        [_base_python(), "-m", "venv", str(environment.folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise Unusable(f"python -m venv failed: {lines[-1] if lines else 'it gave no reason'}")


def _can_make() -> bool:
    return all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))


def _install_venv_support() -> None:
    """Debian keeps venv's pip in a package of its own; root gets it installed, others are told."""
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    apt = shutil.which("apt-get")
    of_system = os.path.realpath(sys.executable).startswith("/usr/bin/")
    if apt and of_system and os.geteuid() == 0:
        say(f"this Python has no ensurepip; installing the package {package}")
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        order = [apt, "install", "-y", "-q", "--no-install-recommends", package]
        for command in (order, [apt, "update", "-q"], order):
            subprocess.run(command, env=quiet, capture_output=True, check=False)
            importlib.invalidate_caches()
            if _can_make():
                return
    if apt:
        raise Unusable(
            f"this Python lacks ensurepip, which venv needs; `apt install {package}` brings it"
            " (python3-venv for the system's own Python)"
        )
    raise Unusable(
        "this Python lacks venv or ensurepip; install the package of your system that holds them"
        " (on Debian and Ubuntu python3-venv)"
    )


def _ensure_pip(environment: Environment) -> None:
    """An environment made by another tool may have no pip."""
    python = str(environment.python)
    has_pip = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False)
    if has_pip.returncode == 0:
        return
    made = subprocess.run([python, "-m", "ensurepip"], capture_output=True, check=False)
    if made.returncode != 0:
        raise Unusable("the folder .venv has no pip and none can be made; remove it, start again")


def _base_python() -> str:
    """The interpreter behind the one that runs: a venv made from a venv would hang on it."""
    return getattr(sys, "_base_executable", None) or sys.executable


def _clear(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.name == LOCK:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _write_whole(file: Path, text: str) -> None:
    aside = file.with_name(file.name + ".new")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, file)


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    with file.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process installs the packages; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def say(line: str) -> None:
    """Progress goes to stderr: stdout belongs to the command that follows."""
    print(line, file=sys.stderr, flush=True)
