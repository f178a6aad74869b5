"""Runs of `chaos run` against fake nodes, and what such a run leaves behind."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from chaos.running.command import PROGRAM
from cluster.environment import ROOT
from cluster.processes import birth

FAKE = shlex.join([sys.executable, "-I", str(Path(__file__).with_name("fake_node.py"))])
KILLS = ("--kinds", "kill-leader,kill-follower,kill-all")
SHORT = ("--workloads", "locks", "--clients", "2", "--rate", "150")
KILLED = (
    '{"fault": "kill-leader", "before": 0.5, "lasts": 0.1}\n'
    '{"fault": "kill-follower", "before": 0.3, "lasts": 0.1, "pick": 1}\n'
    '{"fault": "kill-all", "before": 0.3, "lasts": 0.2}\n'
)
"""The leader, a follower, all; in quick succession."""


def scheduled(folder: Path, text: str = KILLED) -> tuple[str, str]:
    """The option that names a schedule, which is written for it."""
    file = folder / "schedule"
    file.write_text(text)
    return "--schedule", str(file)


def command(folder: Path, *more: str, first: str = "") -> list[str]:
    """What runs it; `first`: code that the runner executes before."""
    words = ("--data", str(folder / "cluster"), "--seed", "5", *SHORT, *more)
    code = f"{first}\nimport sys; from chaos.main import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-c", code, "run", *words]


def run(folder: Path, *more: str, fault: str = "") -> subprocess.CompletedProcess[str]:
    """A run to its end, with a fault of the fake nodes."""
    (folder / "fault").write_text(fault)
    return subprocess.run(
        command(folder, *more),
        cwd=ROOT,
        env={**os.environ, PROGRAM: FAKE},
        capture_output=True,
        text=True,
        timeout=120,
    )


@contextmanager
def begun(folder: Path, *more: str, first: str = "") -> Iterator[subprocess.Popen[str]]:
    """A run that goes on, and says what it says into a pipe; killed in the end."""
    process = subprocess.Popen(
        command(folder, *more, first=first),
        cwd=ROOT,
        env={**os.environ, PROGRAM: FAKE},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def read_until(process: subprocess.Popen[str], word: str) -> str:
    """What it says, to the first line that begins with a word."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith(word):
            return said
    raise AssertionError(f"it ended, and said no {word!r}: {said}")


def processes_of(folder: Path) -> list[int]:
    """Processes that have the folder in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in words and birth(int(entry.name)) is not None:
                found.append(int(entry.name))
    return found


def wait_for(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for: {what}"
        time.sleep(0.02)


def children_of(pid: int) -> list[int]:
    entries = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [child for child in entries if _parent(child) == pid]


def stopped_by(pid: int) -> list[int]:
    """Its children that SIGSTOP has reached."""
    return [child for child in children_of(pid) if _stat(child)[:1] == ["T"]]


def _parent(pid: int) -> int:
    stat = _stat(pid)
    return int(stat[1]) if stat else 0


def _stat(pid: int) -> list[str]:
    """Its state, its parent, and more; nothing where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
