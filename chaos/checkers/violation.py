"""What a judge finds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chaos.history import Fault, Operation


@dataclass(frozen=True)
class Violation:
    """A rule that the history breaks.

    Args:
        rule: its short name.
        text: one sentence: what should be, and what was.
        operations: the piece of history that shows it, at most a handful.
        faults: the same of what the nemesis saw.
    """

    rule: str
    text: str
    operations: tuple[Operation, ...] = ()
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class Undecided:
    """What a judge could not tell within its bound.

    Args:
        of: the object.
        text: one sentence.
    """

    of: str
    text: str


def shown(*operations: Operation | None) -> tuple[Operation, ...]:
    """The operations that are there, each once, in the order of their beginnings."""
    there: dict[str, Operation] = {item.id: item for item in operations if item is not None}
    return tuple(sorted(there.values(), key=lambda item: item.begin))


def first_of(operations: Iterable[Operation]) -> Operation | None:
    """The one that ended first."""
    return min(operations, key=lambda item: item.end, default=None)
