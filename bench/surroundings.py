"""What the figures depend on besides the systems: machine, versions, disk, and other load."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.figures import median, percentile

BUSY = 0.15
"""Share of the processors in use before the run above which the machine counts as loaded."""
_SYNCS = 300
_RECORD = bytes(256)
_PREALLOCATED = 1 << 20
_MEMORY_FILE_SYSTEMS = {"tmpfs", "ramfs"}


@dataclass(frozen=True)
class SyncFloor:
    """fdatasync of 256 bytes, milliseconds: appended, and written into a preallocated file."""

    appended: float
    appended_p99: float
    in_place: float
    in_place_p99: float


def sync_floor(folder: Path, syncs: int = _SYNCS) -> SyncFloor:
    """Measure on the file system of `folder`. Raises OSError."""
    with tempfile.TemporaryDirectory(dir=folder) as where:
        appended = _time_syncs(Path(where) / "appended", 0, syncs)
        in_place = _time_syncs(Path(where) / "in-place", _PREALLOCATED, syncs)
    return SyncFloor(
        median(appended), percentile(appended, 0.99), median(in_place), percentile(in_place, 0.99)
    )


def _time_syncs(file: Path, preallocated: int, syncs: int) -> list[float]:
    sync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)
    descriptor = os.open(file, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        if preallocated:
            os.pwrite(descriptor, bytes(preallocated), 0)
            os.fsync(descriptor)
        times = []
        for number in range(syncs):
            os.pwrite(descriptor, _RECORD, number * len(_RECORD))
            begun = time.perf_counter()
            sync(descriptor)
            times.append((time.perf_counter() - begun) * 1000)
    finally:
        os.close(descriptor)
    return sorted(times)


def describe(folder: Path) -> dict[str, Any]:
    """The machine in words and numbers; memory in MiB."""
    return {
        "cpu": _field(Path("/proc/cpuinfo"), "model name") or platform.processor() or "unknown",
        "cores": os.cpu_count() or 0,
        "memory_mib": _memory_mib(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "uvloop": _package("uvloop"),
        "aiohttp": _package("aiohttp"),
        "file_system": file_system(folder),
    }


def in_memory(kind: str) -> bool:
    """Whether a file system of this kind keeps its files in memory only, so that a sync is free."""
    return kind in _MEMORY_FILE_SYSTEMS


def file_system(folder: Path) -> str:
    """The kind of file system that holds `folder`, "unknown" where the machine does not tell."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    best, kind = "", "unknown"
    place = str(folder.resolve())
    for mount in mounts:
        _, point, what, *_ = mount.split()
        inside = place == point or place.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, what
    return kind


def busy_share(seconds: float = 0.5) -> float:
    """Share of all processors that was in use for a moment (0 to 1); 0 where unknown."""
    before = processor_times()
    time.sleep(seconds)
    after = processor_times()
    total = after[1] - before[1]
    return (after[0] - before[0]) / total if total > 0 else 0.0


def processor_times() -> tuple[int, int]:
    """In use and in all, clock ticks over all processors since the machine started."""
    try:
        first = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
    except OSError:
        return 0, 0
    times = [int(part) for part in first.split()[1:9]]
    idle = times[3] + times[4]
    return sum(times) - idle, sum(times)


def _memory_mib() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    except (ValueError, OSError):
        return 0


def _field(file: Path, name: str) -> str:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _package(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
