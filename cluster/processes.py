"""Starting node processes, and telling a process from another that got its number later."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LINUX = os.uname().sysname == "Linux"
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Identity:
    """A process id with the moment the process began: together they name one process for ever."""

    pid: int
    birth: str

    @classmethod
    def of(cls, pid: int) -> Identity:
        return cls(pid, birth(pid) or "")

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> Identity | None:
        if value is None or not isinstance(value.get("pid"), int):
            return None
        return cls(value["pid"], str(value.get("birth", "")))

    def as_json(self) -> dict[str, str | int]:
        return {"pid": self.pid, "birth": self.birth}

    def is_alive(self) -> bool:
        return self.birth != "" and birth(self.pid) == self.birth

    def send(self, number: signal.Signals) -> bool:
        """Signal the process if it is still this one; whether it was."""
        if not self.is_alive():
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True


def birth(pid: int) -> str | None:
    """When the process began, in the system's own terms; None where there is none (a zombie, which
    runs no more, counts as none)."""
    if LINUX:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except OSError:
            return None
        # The name in brackets may hold anything; the fields are counted behind it (proc(5)).
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in ("Z", "X") else f"{boot}:{fields[19]}"
    shown = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return shown.stdout.strip() or None


def spawn(command: list[str], cwd: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a node: its own session, so that a Ctrl-C at the terminal reaches only its supervisor;
    its stderr in `log`; on Linux it is killed when the supervisor dies, however that dies.

    The caller runs no threads (what runs between fork and exec takes no lock another could hold).
    """
    with open(log, "ab") as out:
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=_die_with_parent(),  # noqa: PLW1509
        )


def _environment() -> dict[str, str]:
    """The caller's, without settings meant for a node run by hand: they would win over the file."""
    return {key: value for key, value in os.environ.items() if not key.startswith("RAFTCOORD_")}


def _die_with_parent() -> Callable[[], None] | None:
    if not LINUX:
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def arrange() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return arrange


def describe_end(code: int) -> str:
    """A return code for people: "exit 66" or "SIGKILL"."""
    if code >= 0:
        return f"exit {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
