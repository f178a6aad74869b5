"""Loads: what the clients do while the nemesis is at work, each a small documented class."""

from __future__ import annotations

import importlib

from chaos.workloads.leaving import Leaving
from chaos.workloads.library import Library
from chaos.workloads.locks import Locks
from chaos.workloads.probe import Probe
from chaos.workloads.remade import Remade
from chaos.workloads.rings import Rings
from chaos.workloads.sessions import Sessions
from chaos.workloads.simple import Simple
from chaos.workloads.transactions import Transactions
from chaos.workloads.workload import Workload

WORKLOADS: dict[str, type[Workload]] = {
    kind.name: kind
    for kind in (Locks, Sessions, Rings, Transactions, Simple, Library, Leaving, Remade)
}


def workload(name: str) -> type[Workload]:
    """The workload of a name, or of `package.module:Class`. Raises ValueError where it is none."""
    if name in WORKLOADS:
        return WORKLOADS[name]
    module, _, attribute = name.partition(":")
    if not attribute:
        known = ", ".join(WORKLOADS)
        raise ValueError(f"there is no workload {name}; there are {known}, or package.module:Class")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"workload {name} cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Workload)):
        raise ValueError(f"{name} is no subclass of chaos.workloads.Workload")
    return found


__all__ = ["WORKLOADS", "Probe", "Workload", "workload"]
