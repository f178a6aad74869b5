"""What a run measures, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Where = Literal["leader", "follower"]

HTTP = "http"
FAILOVER = "failover"
PARTS = (HTTP, FAILOVER)
SYSTEMS = ("raftcoord", "etcd")


@dataclass(frozen=True)
class Cell:
    """One place in the table: through which node, over how many connections."""

    where: Where
    connections: int


@dataclass(frozen=True)
class Plan:
    """seconds, warmup: of each measurement; repeat: how often each cell; kills: of each leader."""

    systems: tuple[str, ...]
    parts: tuple[str, ...]
    seconds: float
    warmup: float
    repeat: int
    kills: int
    cells: tuple[Cell, ...]


def make_plan(
    only: list[str] | None = None,
    *,
    quick: bool = False,
    seconds: float | None = None,
    repeat: int | None = None,
    kills: int | None = None,
) -> Plan:
    """A plan from what the caller gave; the rest is the full form, or the one under a minute.

    `only` holds names of parts and systems; where it names none of one kind, all of it is meant.
    """
    chosen = only or []
    length = seconds or (0.7 if quick else 3.0)
    return Plan(
        systems=tuple(name for name in SYSTEMS if name in chosen) or SYSTEMS,
        parts=tuple(part for part in PARTS if part in chosen) or PARTS,
        seconds=length,
        warmup=min(0.5, length / 4),
        repeat=repeat or (2 if quick else 5),
        kills=kills or (3 if quick else 20),
        cells=tuple(
            Cell(where, connections)
            for where in ("leader", "follower")
            for connections in (1, 16, 64)
        ),
    )
