"""Processes that the bench starts, and nothing else that it may ever signal.

Each runs in a session of its own, so that Ctrl-C reaches only the bench, which then stops them in
order; on Linux the kernel kills them too when the bench itself is killed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

STOP = 5.0
"""Seconds a process has to end by itself before it is killed."""

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class BenchError(Exception):
    """The bench cannot go on; the text is one sentence for the user."""


def die_with_parent() -> None:
    """In a child before exec: be killed when the parent ends (prctl(2), PR_SET_PDEATHSIG)."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """A process that can be started again after it ended.

    Args:
        name: for people.
        command: program and arguments.
        log: file that takes its output, appended.
        folder: its working directory.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path, folder: Path) -> None:
        self.name = name
        self._command = tuple(command)
        self._log = log
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Process id while it lives."""
        return self._process.pid if self._process is not None and self.alive else None

    def start(self) -> None:
        """Start it. Raises BenchError when it still lives or the program cannot be run."""
        if self.alive:
            raise BenchError(f"{self.name} already runs")
        try:
            with self._log.open("ab") as log:
                # The bench has one thread, so code between fork and exec is safe here.
                self._process = subprocess.Popen(
                    self._command,
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=die_with_parent,  # noqa: PLW1509
                )
        except OSError as error:
            raise BenchError(f"cannot start {self.name}: {error}") from error

    def start_again_as(self, command: Sequence[str]) -> None:
        """Use another command from the next start on."""
        self._command = tuple(command)

    def kill(self) -> None:
        """SIGKILL, without waiting."""
        if self._process is not None:
            self._process.kill()

    def wait(self) -> None:
        """Wait for the end of a process that was killed. Raises BenchError after STOP seconds."""
        if self._process is not None:
            try:
                self._process.wait(STOP)
            except subprocess.TimeoutExpired as error:
                raise BenchError(f"{self.name} does not end though it was killed") from error

    def stop(self) -> None:
        """SIGTERM, then SIGKILL after STOP seconds; nothing where it already ended."""
        self.ask_to_stop()
        if self._process is None:
            return
        try:
            self._process.wait(STOP)
        except subprocess.TimeoutExpired:
            self.kill()
            self.wait()

    def ask_to_stop(self) -> None:
        """SIGTERM, without waiting."""
        if self._process is not None:
            self._process.terminate()

    def cpu_seconds(self) -> float:
        """User and system time so far, seconds; 0 where the system does not tell."""
        try:
            text = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii")
        except OSError:
            return 0.0
        # The name of the program may hold blanks and brackets: fields are counted after it.
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def last_words(self, lines: int = 8) -> str:
        """The end of its output."""
        try:
            text = self._log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that were free a moment ago, all different."""
    with ExitStack() as held:
        ports = []
        for _ in range(count):
            probe = held.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports.append(int(probe.getsockname()[1]))
    return ports


def wait_for(what: str, condition: Callable[[], bool], seconds: float) -> None:
    """Ask until it holds. Raises BenchError, naming `what`, when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            raise BenchError(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.02)
