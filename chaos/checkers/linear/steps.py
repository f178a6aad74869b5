"""What the search for an order works on, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from chaos.history import FOREVER, Operation

S = TypeVar("S", bound=Hashable)
Word = Literal["linearizable", "not linearizable", "undecided"]


@dataclass(slots=True, eq=False)
class Step(Generic[S]):
    """An operation as the model sees it.

    Args:
        may: state → the states it may lead to; none where the state does not explain its answer.
        optional: nobody heard what became of it.
        read: it changes nothing, and was evaluated where its revision says.
        limit: the highest `level` of a state that explains it.
        leads: whether a state can still become one that explains it, however the object goes on.
        alike: optional steps of which this is equal do the same; the one that began first goes
            first, for it can stand wherever the others can.
    """

    operation: Operation
    may: Callable[[S], Sequence[S]]
    optional: bool = False
    read: bool = False
    limit: int = FOREVER
    leads: Callable[[S], bool] | None = None
    alike: Hashable = None

    @property
    def begin(self) -> int:
        """Nothing of it happened before."""
        return self.operation.begin

    @property
    def end(self) -> int:
        """Where it is not optional: everything of it happened before."""
        return self.operation.end


@dataclass(frozen=True)
class Model(Generic[S]):
    """What an object is.

    Args:
        initial: its state before all operations.
        alone: state → (moment, state): what may happen by itself, and from when on.
        level: a number that never falls, however the state goes on.
        words: a state for people.
    """

    initial: S
    alone: Callable[[S], Iterable[tuple[int, S]]] = lambda state: ()
    level: Callable[[S], int] = lambda state: 0
    words: Callable[[S], str] = repr


@dataclass(frozen=True)
class Found(Generic[S]):
    """What the search says.

    Args:
        at: the operation that no state explains, where there is one.
        states: those reached before it.
        before: what led to the first of them, the last few.
        visited: configurations.
    """

    word: Word
    at: Operation | None = None
    states: tuple[S, ...] = ()
    before: tuple[Operation, ...] = ()
    visited: int = 0


def place_by_time(step: Step[S]) -> tuple[int, ...]:
    """Where a step stands in the order of time."""
    return step.end, step.begin


def place_by_revision(step: Step[S]) -> tuple[int, ...]:
    """Where it stands in the order of revisions; at one of them, what it changed comes first."""
    revision = step.operation.revision
    assert revision is not None
    return revision, step.read or not step.operation.ok, step.end
