"""Runs `python3 -m cluster` as a user does, in a folder and on ports of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cluster.environment import ROOT
from cluster.places import free_port
from cluster.up import PROGRAM

FAKE_PROGRAM = shlex.join([sys.executable, "-I", str(Path(__file__).with_name("fake_node.py"))])


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for: {what}"
        time.sleep(0.01)


class Screen:
    """A running command; what it wrote so far can be read while it runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.text = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.text += line

    def shows(self, text: str, seconds: float = 20) -> None:
        wait_for(lambda: text in self.text or not self._reader.is_alive(), text, seconds)
        assert text in self.text, self.text

    def end(self, seconds: float = 20) -> int:
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code


class LocalCluster:
    """A data folder, and the commands on it. `fake`: with fake_node instead of the real node."""

    def __init__(self, folder: Path, *, fake: bool = True) -> None:
        self.folder = folder / "cluster"
        self.port = free_port(3)
        self.screens: list[Screen] = []
        self.environment = dict(os.environ)
        # As a user's shell has it: what a command does not flush is not seen.
        self.environment.pop("PYTHONUNBUFFERED", None)
        if fake:
            self.environment[PROGRAM] = FAKE_PROGRAM

    def run(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; `code` None = any."""
        done = subprocess.run(
            [sys.executable, "-m", "cluster", *arguments, "--data", str(self.folder)],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert code is None or done.returncode == code, (done.stdout, done.stderr)
        return done

    def refused(self, *arguments: str) -> str:
        """The one sentence with which a command fails."""
        error = self.run(*arguments, code=1).stderr
        assert error.startswith("cluster: ")
        assert error.count("\n") == 1, error
        return error

    def start(self, *arguments: str) -> Screen:
        """`up` on a terminal that goes on."""
        return self.start_command("up", *arguments)

    def start_command(self, *arguments: str) -> Screen:
        process = subprocess.Popen(
            [sys.executable, "-m", "cluster", *arguments, "--data", str(self.folder)],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.screens.append(Screen(process))
        return self.screens[-1]

    def up(self, *arguments: str) -> Screen:
        """`up`, ready."""
        screen = self.start("--port", str(self.port), *arguments)
        screen.shows("nodes are ready")
        return screen

    def status(self) -> dict[str, Any]:
        return json.loads(self.run("status", "--json", code=None).stdout)

    def node(self, name: str) -> dict[str, Any]:
        return next(node for node in self.status()["nodes"] if node["node"] == name)

    def starts(self, name: str) -> list[str]:
        """The flags of each start of a (fake) node."""
        lines = (self.folder / "started").read_text().splitlines()
        return [line.partition(" ")[2] for line in lines if line.startswith(f"{name} ")]

    def processes(self) -> list[int]:
        """Every process that works in our folder: the supervisor and the nodes."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if any(word.startswith(os.fsencode(self.folder)) for word in words):
                    found.append(int(entry.name))
        return found

    def close(self) -> None:
        """Leave nothing behind, whatever the test did."""
        for screen in self.screens:
            if screen.process.poll() is None:
                screen.process.send_signal(signal.SIGTERM)
        for screen in self.screens:
            with contextlib.suppress(subprocess.TimeoutExpired):
                screen.end(15)
            screen.process.kill()
        if self.folder.exists():
            self.run("down", code=None)
        wait_for(lambda: self.processes() == [], "every process of the cluster to end")
