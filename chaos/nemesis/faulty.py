"""Runs the product's command line in this interpreter, on a disk and by clocks that can fail.

    python3 -m chaos.nemesis.faulty --control FILE -- serve --config n1.toml

The node is the one that runs without this: only the edges it is given are others, and those ask the
control file before each operation. It needs no root, and costs nothing measurable while no fault
is set. What it cannot do is lose what the operating system holds: that needs `chaos.nemesis.fuse`.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chaos.nemesis.faulty_control import Control, place_of
from raftcoord.consensus.edges import RealDisk, RealEdges, RealFile

LOOK = 0.005
"""Seconds between two looks at the control of a sync that is held up."""


def _error(number: int, what: str) -> OSError:
    return OSError(number, f"{os.strerror(number)} (a fault of the nemesis: {what})")


class FaultyFile(RealFile):
    """A file of the operating system that fails when it is told to."""

    def __init__(self, path: str, create: bool, control: Control) -> None:
        super().__init__(path, create)
        self._control = control
        self._place = place_of(path)
        self._at = 0

    def write(self, data: bytes) -> None:
        if self._control.armed:
            self._grow(self._at + len(data))
        super().write(data)
        self._at += len(data)

    def seek(self, offset: int) -> None:
        super().seek(offset)
        self._at = offset

    def write_durable(self, offset: int, data: bytes) -> None:
        if not self._control.armed:
            super().write_durable(offset, data)
            return
        self._grow(offset + len(data))
        # As a failed fsync leaves it: written, and nobody knows whether durable.
        os.pwrite(self._fd, data, offset)
        self.sync()

    def read(self, offset: int, size: int) -> bytes:
        data = super().read(offset, size)
        if not self._control.armed:
            return data
        number = self._control.read_error(self._place)
        if number:
            raise _error(number, "reads fail")
        return self._control.flipped(self._place, data)

    def allocate(self, size: int) -> None:
        if self._control.armed:
            self._grow(size)
        super().allocate(size)

    def sync(self) -> None:
        if self._control.armed:
            hold_up(self._control, self._place)
        super().sync()

    def _grow(self, size: int) -> None:
        if not self._control.take_room(size - self.size()):
            raise _error(errno.ENOSPC, "the disk is full")


def hold_up(control: Control, place: int) -> None:
    """What a sync meets before it is done. Raises OSError where it fails."""
    begun = time.monotonic()
    delay = control.sync_delay(place)
    while control.armed and time.monotonic() - begun < delay:
        time.sleep(min(LOOK, delay))
    number = control.sync_error(place)
    if number:
        raise _error(number, "syncs fail")


class FaultyDisk(RealDisk):
    """The file system of the operating system, failing when it is told to."""

    def __init__(self, control: Control) -> None:
        super().__init__()
        self._control = control

    def open(self, path: str, *, create: bool = False) -> RealFile:
        return FaultyFile(path, create, self._control)

    def sync_dir(self, path: str) -> None:
        if self._control.armed:
            hold_up(self._control, place_of(path))
        super().sync_dir(path)


class FaultyEdges(RealEdges):
    """The edges of a real process with a disk that can fail and a clock that can be wrong."""

    def __init__(self, control: Control) -> None:
        super().__init__()
        self.disk = FaultyDisk(control)
        self._fields = control.fields
        self._known = 0
        self._jumps = self._fields.jumps
        self._rate = 1.0
        self._true = self._shown = time.monotonic()

    def monotonic(self) -> float:
        now = time.monotonic()
        if self._fields.clock != self._known:
            self._turn(now)
        return self._shown + (now - self._true) * self._rate

    def _turn(self, now: float) -> None:
        """The control says something new of the clock: go on from here, so that it never falls."""
        fields = self._fields
        self._shown += (now - self._true) * self._rate
        self._true = now
        self._known, self._rate = fields.clock, fields.rate
        if fields.jumps != self._jumps:
            self._jumps = fields.jumps
            self._shown += fields.jump


def bend_wall_clock(control: Control) -> None:
    """Put this interpreter's wall clock off by what the control says.

    `time.time`, `time.time_ns`, and `gmtime` and `localtime` of now; what asks the operating system
    without them (`datetime.now`, a library in C) sees the right time.
    """
    fields = control.fields
    seconds, nanoseconds = time.time, time.time_ns
    broken_down = {name: getattr(time, name) for name in ("gmtime", "localtime")}

    def bent() -> float:
        return seconds() + float(fields.wall)

    def bent_ns() -> int:
        return nanoseconds() + int(fields.wall * 1e9)

    def bent_parts(name: str, at: Any) -> time.struct_time:
        parts: time.struct_time = broken_down[name](bent() if at is None else at)
        return parts

    time.time, time.time_ns = bent, bent_ns
    time.gmtime = lambda seconds=None, /: bent_parts("gmtime", seconds)
    time.localtime = lambda seconds=None, /: bent_parts("localtime", seconds)


def main(argv: Sequence[str]) -> int:
    """Run the product; its exit code."""
    border = argv.index("--") if "--" in argv else len(argv)
    parser = argparse.ArgumentParser(
        prog="python3 -m chaos.nemesis.faulty",
        description="Run a node whose disk and clock fail as a file says.",
        usage="%(prog)s --control FILE -- serve --config FILE",
    )
    parser.add_argument("--control", type=Path, required=True, help="made by the nemesis")
    options = parser.parse_args(argv[:border])
    try:
        control = Control(options.control)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    bend_wall_clock(control)

    # Behind the wall clock: who imports `time.time` by name gets the one that is bent.
    from raftcoord import cli
    from raftcoord.server import process

    names = vars(process)
    assert names["RealEdges"] is RealEdges, "the node takes its edges from somewhere else"
    names["RealEdges"] = lambda: FaultyEdges(control)
    cli.main(list(argv[border + 1 :]), prog_name="raftcoord")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
