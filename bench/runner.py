"""The course of a run: start the systems, measure them in turns, stop them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench.etcd_nodes import Etcd
from bench.failover import Kills, kill_leader
from bench.generator import Job
from bench.load import generate
from bench.nodes import HOST, System, running
from bench.plan import FAILOVER, HTTP, Cell, Plan
from bench.processes import BenchError
from bench.raftcoord_nodes import Raftcoord
from bench.results import Results, Run
from bench.surroundings import (
    busy_share,
    describe,
    file_system,
    in_memory,
    processor_times,
    sync_floor,
)

Say = Callable[[str], None]

KINDS: dict[str, type[System]] = {"raftcoord": Raftcoord, "etcd": Etcd}
_IDLE = 1.0


def measure(plan: Plan, folder: Path, say: Say) -> Results:
    """Everything in the plan; the data of all systems lies under `folder`.

    Raises BenchError when a system does not start, ends by itself or stays without a leader.
    """
    results = Results(
        plan=plan,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        surroundings=describe(folder),
        busy_before=busy_share(),
    )
    results.floor = sync_floor(folder)
    systems = []
    for name in plan.systems:
        missing = KINDS[name].missing()
        if missing is None:
            systems.append(KINDS[name](folder / name))
        else:
            results.skipped[name] = missing
            say(missing)
    say(f"starting {' and '.join(system.name for system in systems) or 'nothing'}")
    with running(systems):
        for system in systems:
            results.versions[system.name] = system.version()
            results.idle[system.name] = _idle(system)
        if HTTP in plan.parts:
            _measure_cells(results, systems, say)
        if FAILOVER in plan.parts:
            _measure_kills(results, systems, say)
    return results


def _idle(system: System) -> float:
    before = system.cpu_seconds()
    time.sleep(_IDLE)
    return (system.cpu_seconds() - before) / _IDLE


def _measure_cells(results: Results, systems: list[System], say: Say) -> None:
    for repetition in range(results.plan.repeat):
        for cell in results.plan.cells:
            say(
                f"{repetition + 1} of {results.plan.repeat}: "
                f"{cell.connections} connections on the {cell.where}"
            )
            # Back to back, so that a pair sees the same machine.
            for system in systems:
                run = _measure(results.plan, cell, system, systems, repetition)
                results.runs.setdefault(cell, {}).setdefault(system.name, []).append(run)


def _measure(plan: Plan, cell: Cell, system: System, systems: list[System], repetition: int) -> Run:
    leader, others = system.roles()
    node = leader if cell.where == "leader" else others[0]
    job = Job(
        system=system.name,
        host=HOST,
        port=node.port,
        connections=cell.connections,
        seconds=plan.seconds,
        warmup=plan.warmup,
        prefix=f"bench-{cell.where}-{cell.connections}-{repetition}",
    )
    ours, before = _own_seconds(systems), system.cpu_seconds()
    busy, ticks = processor_times()
    outcome = generate(job)
    spent = (system.cpu_seconds() - before) * 1000
    ours = _own_seconds(systems) - ours
    busy, ticks = (now - then for now, then in zip(processor_times(), (busy, ticks), strict=True))
    foreign = busy - ours * os.sysconf("SC_CLK_TCK")
    if system.roles()[0] is not leader:
        outcome.errors["the leader changed during the run"] = 1
    # The nodes' time covers the warm-up too; cycles are known for the window only.
    in_all = outcome.cycles * (plan.seconds + plan.warmup) / plan.seconds
    return Run(
        outcome,
        system_ms=spent / in_all if in_all else 0.0,
        others=max(0.0, foreign / ticks) if ticks else 0.0,
    )


def _own_seconds(systems: list[System]) -> float:
    """Processor seconds of everything that belongs to the run: nodes, generators, the runner."""
    mine = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in mine) + sum(
        system.cpu_seconds() for system in systems
    )


def _measure_kills(results: Results, systems: list[System], say: Say) -> None:
    for system in systems:
        results.kills[system.name] = Kills()
    for number in range(results.plan.kills):
        for system in systems:
            say(f"kill {number + 1} of {results.plan.kills}: the leader of {system.name}")
            kill_leader(system, results.kills[system.name])


@contextlib.contextmanager
def data_folder(parent: Path) -> Iterator[Path]:
    """A folder for one run under `parent`, removed afterwards, which git does not see.

    What earlier runs left because they were killed is removed too; a run that still goes on is
    known by its lock. Raises BenchError where it cannot be made or is held in memory.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        (parent / ".gitignore").write_text("*\n", encoding="ascii")
    except OSError as error:
        raise BenchError(
            f"cannot use {parent} for data: {error}; choose another: --data"
        ) from error
    kind = file_system(parent)
    if in_memory(kind):
        raise BenchError(f"{parent} is held in memory ({kind}), so a sync costs nothing: --data")
    for old in parent.glob("run-*"):
        with _lock(old) as free:
            if free:
                shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=parent)).resolve()
    with _lock(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[bool]:
    """Hold the folder's lock; False where another process has it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = True
    except OSError:
        free = False
    try:
        yield free
    finally:
        os.close(descriptor)
