"""What of the real world would get into a run, and is kept out while it lasts."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

from aiohttp import web_protocol

from raftcoord.server import answers

_LOGS = ("raftcoord", "asyncio", "aiohttp")


@contextmanager
def no_collections() -> Iterator[None]:
    """No garbage is collected at a moment of its own; all that was made in the block is at its
    end, which costs least where nothing refers to it any more."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            # What the finalizers of tasks that never ended bring back goes the second time.
            gc.collect(0)
            gc.collect(1)
            gc.enable()


@contextmanager
def stillness(time: Callable[[], float]) -> Iterator[None]:
    """No clock but `time`, and no log of nodes."""
    with _no_logs(), _date_of(time), _no_phrases(), _tasks_of_the_loop():
        yield


@contextmanager
def _no_logs() -> Iterator[None]:
    logs = [logging.getLogger(name) for name in _LOGS]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)


class _Date:
    """The Date header of virtual time, as `raftcoord.server.answers` makes it of a wall clock."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time

    def line(self) -> bytes:
        """The header and the end of its line."""
        return f"Date: {formatdate(int(self._time()), usegmt=True)}\r\n".encode()


@contextmanager
def _date_of(time: Callable[[], float]) -> Iterator[None]:
    real = answers._date
    answers._date = _Date(time)  # type: ignore[assignment]
    try:
        yield
    finally:
        answers._date = real


@contextmanager
def _no_phrases() -> Iterator[None]:
    """The words behind a status are Python's, and another one's are others."""
    real = answers._STATUS_LINES
    answers._STATUS_LINES = {status: b"HTTP/1.1 %d \r\n" % status for status in real}
    try:
        yield
    finally:
        answers._STATUS_LINES = real


@contextmanager
def _tasks_of_the_loop() -> Iterator[None]:
    """From Python 3.12 on aiohttp makes its tasks past the loop, and runs their first step at once.

    Here they are the loop's on every Python, which then all play the same run.
    """
    module: Any = web_protocol
    real = module.sys
    module.sys = SimpleNamespace(version_info=(3, 11))
    try:
        yield
    finally:
        module.sys = real
