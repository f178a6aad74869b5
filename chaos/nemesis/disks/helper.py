"""A helper process that attaches a file system, and detaches it when its input ends.

So it is also detached when the runner is killed: the pipe's other end is gone then.
"""

from __future__ import annotations

import contextlib
import select
import subprocess
import sys
import time
from pathlib import Path

from chaos.nemesis.fault import CannotInject
from chaos.nemesis.fuse import mounting
from cluster.environment import ROOT
from cluster.member import last_line

PATIENCE = 10.0
"""Seconds within which a helper answers, and ends."""


class Helper:
    """One helper, `python3 -m MODULE FOLDER …`. Raises CannotInject where it attaches nothing."""

    def __init__(self, module: str, folder: Path, *arguments: str) -> None:
        mounting.sweep()
        self.folder = folder
        self._log = folder.with_name(f"{folder.name}.log")
        folder.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, str(folder), *arguments],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                # A Ctrl-C at the terminal reaches only the runner, which ends the input.
                start_new_session=True,
            )
        if self._heard() != "ready":
            self.close()
            raise CannotInject(f"{folder} could not be attached: {last_line(self._log)}")

    def ask(self, line: str) -> str:
        """The answer to a line. Raises CannotInject where there is none."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        answer = self._heard()
        if not answer:
            raise CannotInject(f"the helper of {self.folder} is gone: {last_line(self._log)}")
        return answer

    def close(self) -> None:
        """Detach and end."""
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        until = time.monotonic() + PATIENCE
        while self.folder in mounting.mounts() and time.monotonic() < until:
            time.sleep(0.01)

    def _heard(self) -> str:
        assert self._process.stdout is not None
        heard = select.select([self._process.stdout], [], [], PATIENCE)[0]
        return self._process.stdout.readline().decode().strip() if heard else ""
