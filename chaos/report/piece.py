"""The piece of history that shows a violation: its operations, and the faults around them."""

from __future__ import annotations

from chaos.checkers import Violation
from chaos.history import FOREVER, SECOND, Fault, History, Operation

FAULTS = 12
"""Faults that a piece shows at most."""


def piece(history: History, violation: Violation) -> list[Operation | Fault]:
    """In the order of their times: what the violation names, and the faults from a second before
    its first operation to the end of its last."""
    spans = [(item.begin, item.end) for item in violation.operations]
    near: list[Fault] = list(violation.faults)
    if spans:
        first = min(at for at, _ in spans) - SECOND
        last = max(max(at, end) for at, end in spans if end != FOREVER or at == spans[-1][0])
        near += [item for item in history.faults if first <= item.at <= last and item not in near]
    return sorted([*violation.operations, *near[:FAULTS]], key=time_of)


def time_of(item: Operation | Fault) -> int:
    """When it began, in ns."""
    return item.begin if isinstance(item, Operation) else item.at
