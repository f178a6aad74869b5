"""Progress while a run goes on: one line that is rewritten in place where somebody looks at a
terminal, else a plain line now and then."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TextIO

REWRITE = 0.1
"""Seconds between two states of the line on a terminal, at least."""
PLAIN = 15.0
"""Seconds between two lines where there is no terminal."""
_ERASE = "\r\x1b[K"


class Live:
    """Progress of a run.

    Args:
        out: where it goes. Whether it is a terminal is asked once.
        total_seconds: how long the run will take; None where nobody knows.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        out: TextIO,
        total_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out = out
        self._total = total_seconds
        self._clock = clock
        self._terminal = out.isatty()
        self._began = clock()
        self._written = float("-inf") if self._terminal else self._began
        self._shown = ""

    def line(self, text: str) -> None:
        """A line that stays; the changing one goes on below it."""
        if self._shown:
            self._out.write(_ERASE)
        self._out.write(text + "\n")
        if self._shown:
            self._out.write(self._shown)
        self._out.flush()

    def status(self, **fields: object) -> None:
        """How it stands. May be called as often as one likes.

        A field shows as its name and value, `accepted=3` as "accepted 3"; one that is None or ""
        is left out. Behind them: the time that is over and the time that is left.
        """
        now = self._clock()
        if now - self._written < (REWRITE if self._terminal else PLAIN):
            return
        self._written = now
        said = {name: value for name, value in fields.items() if value not in (None, "")}
        parts = [f"{name} {_plain(value)}" for name, value in said.items()]
        text = "  ".join([self._time(now), *parts])
        if not self._terminal:
            self._out.write(text + "\n")
        else:
            # A line that wraps cannot be rewritten in place.
            self._shown = text[: max(10, _width(self._out) - 1)]
            self._out.write(_ERASE + self._shown)
        self._out.flush()

    def close(self) -> None:
        """Nothing comes any more; the changing line goes away. May be called twice."""
        if self._shown:
            self._out.write(_ERASE)
            self._out.flush()
            self._shown = ""

    def _time(self, now: float) -> str:
        over = now - self._began
        if self._total is None:
            return clock_face(over)
        left = max(0.0, self._total - over)
        return f"{clock_face(over)} of {clock_face(self._total)}, {clock_face(left)} left"


def clock_face(value: float) -> str:
    """Seconds as minutes and seconds."""
    minutes, rest = divmod(round(value), 60)
    return f"{minutes}:{rest:02}"


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _width(out: TextIO) -> int:
    try:
        return os.get_terminal_size(out.fileno()).columns
    except (OSError, ValueError):
        return 80
