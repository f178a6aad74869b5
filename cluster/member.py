"""One node as its supervisor sees it: the process, what it last said of itself, why it is down."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from cluster.places import NodePlace

Phase = Literal["down", "starting", "ready", "waiting", "refused"]

REFUSALS = frozenset({65, 66, 70, 75, 78})
"""Exit codes by which a node says that it must not or cannot run as things are (sysexits): damaged
or missing data, an entry it cannot apply, a locked folder, a wrong configuration."""
FRESH = 1.5
"""Seconds for which what a node said of itself is believed."""
PATIENCE = 3.0
"""Seconds without an answer after which a node counts as silent."""
LOG_LIMIT = 8 << 20
"""Bytes of a log after which it is moved aside; one older piece is kept."""


class Member:
    """phase: "waiting" is dead and about to be started again, "refused" dead for good.

    process: set as long as the end of the process was not dealt with.
    """

    def __init__(self, place: NodePlace) -> None:
        self.place = place
        self.id = place.id
        self.process: subprocess.Popen[bytes] | None = None
        self.phase: Phase = "down"
        self.paused = False
        self.stopping = False
        self.silent = False
        self.reason = ""
        self.started = 0.0
        self.ready_since = 0.0
        self.died: float | None = None
        self.failures = 0
        self.status: dict[str, Any] | None = None
        self.answered = 0.0
        self.timer: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()

    @property
    def running(self) -> bool:
        return self.process is not None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None else None

    def signal(self, number: signal.Signals) -> None:
        """To our own child, which was not waited for yet: the number cannot be another's."""
        if self.process is not None:
            self.process.send_signal(number)

    def forget_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def leads(self, now: float) -> bool:
        return (
            self.running
            and self.status is not None
            and self.status.get("role") == "leader"
            and now - self.answered < FRESH
        )

    def term(self) -> int:
        return int((self.status or {}).get("term") or 0)

    def notify(self) -> None:
        """Wake whoever waits for a change of this member."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, reached: Callable[[], bool], seconds: float) -> bool:
        """Wait for changes until `reached()`; False when the time was over."""
        try:
            async with asyncio.timeout(seconds):
                while not reached():
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True


def last_line(log: Path) -> str:
    """The last line of a log that says something, cut to what fits on a screen."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8_192))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    said = [line.strip() for line in lines if line.strip()]
    return said[-1][:400] if said else ""


def trim(log: Path) -> None:
    """Move a log that grew too large aside. The node goes on writing to the same file, so it is
    copied and cut; a line written between the two is lost, which a log may be."""
    try:
        if log.stat().st_size <= LOG_LIMIT:
            return
        aside = log.with_name(log.name + ".1")
        aside.write_bytes(log.read_bytes()[-LOG_LIMIT:])
        os.truncate(log, 0)
    except OSError:
        # A full disk must not stop the nodes; the next round tries again.
        return
