"""Everything a run found out, and its JSON form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.failover import Kills
from bench.figures import NOISY, Ratio, median, ratio_of_pairs, spread
from bench.generator import Outcome
from bench.plan import Cell, Plan, Where
from bench.surroundings import SyncFloor

FORMAT = 1


@dataclass(frozen=True)
class Run:
    """One measurement.

    system_ms: processor milliseconds of all three nodes per cycle.
    others: share of all processors that went to what is no part of the measurement.
    """

    outcome: Outcome
    system_ms: float
    others: float


@dataclass
class Results:
    """What `bench.report` shows.

    skipped: system → why. idle: system → share of one core its three nodes use without callers.
    """

    plan: Plan
    started: str
    surroundings: dict[str, Any]
    busy_before: float
    floor: SyncFloor | None = None
    versions: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    idle: dict[str, float] = field(default_factory=dict)
    runs: dict[Cell, dict[str, list[Run]]] = field(default_factory=dict)
    kills: dict[str, Kills] = field(default_factory=dict)

    def values(
        self, where: Where, connections: int, system: str, what: Callable[[Run], float]
    ) -> list[float]:
        """One figure of each repetition, in order; empty where it was not measured."""
        runs = self.runs.get(Cell(where, connections), {}).get(system, [])
        return [what(run) for run in runs]

    def ratio(
        self, cell: Cell, what: Callable[[Run], float], pair: Sequence[str] = ("raftcoord", "etcd")
    ) -> Ratio | None:
        """First system over second, pair by pair."""
        ours, theirs = (self.values(cell.where, cell.connections, name, what) for name in pair)
        return ratio_of_pairs(ours, theirs)

    def errors(self) -> dict[str, int]:
        """Where and what → how often, over everything."""
        found: dict[str, int] = {}
        for cell, systems in self.runs.items():
            for system, runs in systems.items():
                for run in runs:
                    for reason, times in run.outcome.errors.items():
                        key = f"{system} {cell.where} {cell.connections}: {reason}"
                        found[key] = found.get(key, 0) + times
        for system, kills in self.kills.items():
            for reason, times in kills.errors.items():
                found[f"{system} failover: {reason}"] = times
        return found


def cycles(run: Run) -> float:
    return run.outcome.cycles_per_second


def p50(run: Run) -> float:
    return run.outcome.p50


def p99(run: Run) -> float:
    return run.outcome.p99


def others(results: Results) -> float:
    """Share of all processors that went to something else while it was measured, median."""
    shares = [
        run.others for systems in results.runs.values() for runs in systems.values() for run in runs
    ]
    return median(shares) if shares else 0.0


def is_noisy(values: Sequence[float]) -> bool:
    """Whether repetitions differ so much that their median says little."""
    return len(values) > 1 and spread(values) > NOISY


def to_json(results: Results) -> dict[str, Any]:
    """Plain values only. Times: latencies in ms, failover in s, processor shares of one core."""
    return {
        "format": FORMAT,
        "started": results.started,
        "surroundings": results.surroundings,
        "busy_before": results.busy_before,
        "sync_floor_ms": asdict(results.floor) if results.floor else None,
        "plan": asdict(results.plan),
        "versions": results.versions,
        "skipped": results.skipped,
        "idle_processor": results.idle,
        "http": [
            _cell(results, cell, system, runs)
            for cell, systems in results.runs.items()
            for system, runs in systems.items()
        ],
        "ratios": [
            {
                "where": cell.where,
                "connections": cell.connections,
                "cycles_per_second": asdict(ratio),
                "p50": asdict(latency),
            }
            for cell in results.runs
            if (ratio := results.ratio(cell, cycles)) and (latency := results.ratio(cell, p50))
        ],
        "failover": {system: _kills(kills) for system, kills in results.kills.items()},
        "errors": results.errors(),
    }


def _cell(results: Results, cell: Cell, system: str, runs: list[Run]) -> dict[str, Any]:
    rates = [cycles(run) for run in runs]
    return {
        "where": cell.where,
        "connections": cell.connections,
        "system": system,
        "cycles_per_second": median(rates),
        "spread": spread(rates),
        "noisy": is_noisy(rates),
        "p50_ms": median([p50(run) for run in runs]),
        "p99_ms": median([p99(run) for run in runs]),
        "system_ms_per_cycle": median([run.system_ms for run in runs]),
        "generator_processor": median([run.outcome.processor for run in runs]),
        "other_load": median([run.others for run in runs]),
        "runs": [
            {
                **asdict(run.outcome),
                "cycles_per_second": cycles(run),
                "system_ms_per_cycle": run.system_ms,
                "other_load": run.others,
            }
            for run in runs
        ],
    }


def _kills(kills: Kills) -> dict[str, Any]:
    return {
        "median_s": median(kills.seconds) if kills.seconds else None,
        "max_s": max(kills.seconds) if kills.seconds else None,
        "seconds": kills.seconds,
        "refused": dict(kills.refused),
        "errors": dict(kills.errors),
    }
