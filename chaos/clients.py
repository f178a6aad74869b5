"""The client processes of a run, and what they write, read while they write it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec

from chaos.checkers.facts import is_write
from chaos.history import FOREVER, Invoke, Line, Outcome, Result
from chaos.workloads.process import Plan
from cluster.environment import ROOT
from cluster.member import last_line

STOP_PATIENCE = 20.0
"""Seconds for the agents to finish what they have begun; longer than any of them waits."""


class ClientDied(Exception):
    """A client process ended before it was told to; its last words are in the text."""


class Clients:
    """Starts client processes and follows their files.

    Args:
        folder: takes the files and logs.

    `files`: what they write, also those that were killed. `counts`: of outcomes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._plans: dict[str, Plan] = {}
        self._spared: set[str] = set()
        self._tails: dict[str, _Tail] = {}
        self.files: list[Path] = []
        self._begun: dict[str, Invoke] = {}
        self._writes: list[tuple[int, int]] = []
        self.counts: Counter[Outcome] = Counter()

    @property
    def working(self) -> tuple[str, ...]:
        """The clients that faults may hit."""
        return tuple(client for client in self._processes if client not in self._spared)

    def start(self, plan: Plan, *, spared: bool = False) -> None:
        """Start a client process. Raises OSError.

        Args:
            spared: no fault hits it.
        """
        log = self._folder / f"{plan.client}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "chaos.workloads.process"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                # A Ctrl-C at the terminal reaches only the runner, which ends the clients' stdin.
                start_new_session=True,
            )
        self._processes[plan.client] = process
        self._plans[plan.client] = plan
        if spared:
            self._spared.add(plan.client)
        self._tails[plan.client] = _Tail(Path(plan.history))
        self.files.append(Path(plan.history))
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(plan) + b"\n")
        process.stdin.flush()

    def kill(self, client: str) -> None:
        """SIGKILL, as a fault; one of a new name takes its place. Raises OSError."""
        process = self._processes.pop(client)
        process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()
        self._read(client)
        del self._tails[client]
        plan = self._plans[client]
        named = {f"c{number}" for number in range(1, len(self._plans) + 2)} - set(self._plans)
        name = min(named, key=lambda text: int(text[1:]))
        file = Path(plan.history).with_name(f"{name}.jsonl")
        self.start(msgspec.structs.replace(plan, client=name, history=str(file)))

    def pause(self, client: str) -> None:
        """SIGSTOP, as a fault."""
        self._processes[client].send_signal(signal.SIGSTOP)

    def resume(self, client: str) -> None:
        """SIGCONT, where it still runs."""
        process = self._processes.get(client)
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGCONT)

    def follow(self) -> None:
        """Read what was written meanwhile. Raises ClientDied."""
        for client in self._tails:
            self._read(client)
        for client, process in self._processes.items():
            code = process.poll()
            if code is not None:
                said = last_line(self._folder / f"{client}.log")
                raise ClientDied(f"client process {client} ended with {code}: {said}")

    def write_accepted(self, since: int) -> float | None:
        """Seconds from `since` (monotonic nanoseconds) to the end of the first write that began
        behind it and was accepted; None where there is none yet."""
        end = min((end for begin, end in self._writes if begin >= since), default=FOREVER)
        return None if end == FOREVER else (end - since) / 1e9

    def forget_writes(self) -> None:
        """Look only at writes from now on."""
        self._writes.clear()

    def stop(self, patience: float = STOP_PATIENCE) -> None:
        """Let them finish, and end those that do not.

        Args:
            patience: seconds that all of them together have.
        """
        until = time.monotonic() + patience
        for client, process in self._processes.items():
            self.resume(client)
            if process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.close()
        for process in self._processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.01, until - time.monotonic()))
            if process.poll() is None:
                process.kill()
                process.wait()
        self._processes.clear()

    def kill_now(self) -> None:
        """SIGKILL to all that run, without waiting; safe in a signal handler."""
        for process in self._processes.values():
            if process.returncode is None:
                process.kill()

    def lines_whole(self) -> None:
        """Cut a line that a client which was killed had not finished. All are stopped."""
        for file in self.files:
            if file.exists():
                data = file.read_bytes()
                if not data.endswith(b"\n"):
                    file.write_bytes(data[: data.rfind(b"\n") + 1])

    def _read(self, client: str) -> None:
        for line in self._tails[client].read():
            self._take(line)

    def _take(self, line: Line) -> None:
        if isinstance(line, Invoke):
            self._begun[line.id] = line
        elif isinstance(line, Result):
            self.counts[line.outcome] += 1
            begun = self._begun.pop(line.id, None)
            if begun is not None and line.outcome == "ok" and is_write(begun.kind):
                self._writes.append((begun.at, line.at))


class _Tail:
    """A growing history file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._offset = 0
        self._decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)

    def read(self) -> list[Line]:
        """The lines that were completed since the last call."""
        try:
            with self.file.open("rb") as stream:
                stream.seek(self._offset)
                data = stream.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [self._decoder.decode(line) for line in whole.splitlines()]
