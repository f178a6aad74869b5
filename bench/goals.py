"""What the figures are held against, and whether they reach it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.figures import median
from bench.plan import Cell
from bench.results import Results, cycles, p50

OURS = "raftcoord"


@dataclass(frozen=True)
class Goal:
    """value: None where this run did not measure it. at_least: whether more is better."""

    text: str
    value: float | None
    bound: float
    at_least: bool
    unit: str

    @property
    def met(self) -> bool | None:
        if self.value is None:
            return None
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def goals(results: Results) -> Iterator[Goal]:
    """Each goal with what this run has to say about it."""
    rate = results.ratio(Cell("leader", 64), cycles)
    yield Goal(
        "lock+unlock cycles at 64 connections, to etcd's",
        rate.median if rate else None,
        1.5,
        True,
        "×",
    )
    write = results.ratio(Cell("leader", 1), p50)
    yield Goal(
        "one caller's write, p50, to etcd's",
        write.median if write else None,
        1.0,
        False,
        "×",
    )
    yield Goal(
        "a write through a follower, p50, to the leader's (worst of 1, 16, 64)",
        _through_follower(results),
        2.0,
        False,
        "×",
    )
    kills = results.kills.get(OURS)
    yield Goal(
        "leader killed to next accepted write, median",
        median(kills.seconds) if kills and kills.seconds else None,
        0.5,
        False,
        " s",
    )


def _through_follower(results: Results) -> float | None:
    found = []
    for cell in results.runs:
        if cell.where == "follower":
            direct = results.values("leader", cell.connections, OURS, p50)
            through = results.values("follower", cell.connections, OURS, p50)
            if direct and through:
                found.append(median(through) / median(direct))
    return max(found) if found else None
