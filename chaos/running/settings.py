"""What to run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chaos.nemesis.fault import Fault
from chaos.nemesis.schedule import Step
from chaos.workloads import WORKLOADS

NODES = 3


@dataclass(frozen=True)
class Settings:
    """What to run.

    Args:
        steps: the schedule; it may have no end.
        kinds: all faults that stand in it, by name.
        turn: how many steps the time never cuts short: all kinds once.
        folder: takes everything; it holds no cluster yet.
        history: where the history goes.
        rate: operations per second of all clients together, at most; probes come on top.
        minutes: behind which no step begins.
        seconds: no step begins that would, as long as the longest so far, end later than this
            with all that comes behind the last one.
        program: what runs a node, before `serve --config …`.
        patience: seconds within which a write must be accepted and all nodes be ready again.
        namespaces: whether links are cut in the kernel (`chaos.nemesis.wires`), not by a proxy.
        realm: see `chaos.workloads.caller.Caller`.
        addresses: "host:port" of the nodes of a cluster that is not the run's own.
    """

    steps: Iterable[Step]
    kinds: Mapping[str, type[Fault]]
    seed: int
    folder: Path
    history: Path
    turn: int = 0
    clients: int = 6
    workloads: tuple[str, ...] = tuple(WORKLOADS)
    rate: float = 300.0
    port: int | None = None
    minutes: float | None = None
    seconds: float | None = None
    program: list[str] = field(default_factory=list)
    patience: float = 60.0
    namespaces: bool = False
    realm: str = ""
    addresses: tuple[str, ...] = ()


class CannotRun(Exception):
    """The run could not be done, which says nothing about the cluster's rules; one sentence."""


@dataclass
class Ended:
    """How a run ended.

    Args:
        steps: those that were carried out and recovered from.
        loaded: the cluster had come up, and a write of the load was accepted.
        broken: it ended because the cluster did not recover.
    """

    steps: list[Step] = field(default_factory=list)
    loaded: bool = False
    interrupted: bool = False
    broken: bool = False
