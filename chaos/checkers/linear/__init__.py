"""Judges of linearizability: each lock, ring and transaction behaves as if every operation on it
took effect at one moment between its begin and its end, in an order that its model explains.

Objects are judged one by one: a history is linearizable exactly when that of each object is
(Herlihy and Wing 1990, locality). Where all answers carry a revision, the order by revision must
itself be such an order, which is stricter; only where it is none, orders by time are searched.

The search is bounded (`search`). What it could not decide is reported, and is no violation.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

from chaos.checkers.linear import deals, locks, rings, transactions
from chaos.checkers.linear.search import find_order
from chaos.checkers.linear.steps import Found, Model, Step
from chaos.checkers.violation import Undecided, Violation, shown
from chaos.history import History

S = TypeVar("S", bound=Hashable)
Object = tuple[str, Model[S], list[Step[S]]]
SHOWN_STATES = 3


def judge_locks(history: History) -> Iterator[Violation | Undecided]:
    """Each lock of /v1 and of the simple protocol."""
    return _judge(locks.objects_of(history))


def judge_rings(history: History) -> Iterator[Violation | Undecided]:
    """Each ring."""
    return _judge(rings.objects_of(history))


def judge_transactions(history: History) -> Iterator[Violation | Undecided]:
    """Each transaction whose beginning was acknowledged."""
    return _judge(transactions.objects_of(history))


def judge_deals(history: History) -> Iterator[Violation | Undecided]:
    """Each key of the simple protocol's transactions."""
    return _judge(deals.objects_of(history))


JUDGES: dict[str, Callable[[History], Iterable[Violation | Undecided]]] = {
    "linear locks": judge_locks,
    "linear rings": judge_rings,
    "linear transactions": judge_transactions,
    "linear simple transactions": judge_deals,
}


def _judge(objects: Iterable[Object[S]]) -> Iterator[Violation | Undecided]:
    for name, model, steps in objects:
        said = _by_revision(name, model, steps)
        if said is not None:
            yield said


def _by_revision(name: str, model: Model[S], steps: list[Step[S]]) -> Violation | Undecided | None:
    strict: Found[S] | None = None
    if all(step.optional or step.operation.revision is not None for step in steps):
        strict = find_order(model, steps, "revision")
        if strict.word == "linearizable":
            return None
    found = find_order(model, steps)
    if found.word == "not linearizable":
        return _violation("not linearizable", "order", name, model, found)
    if strict is not None and strict.word == "not linearizable":
        return _violation("not in the order of revisions", "order by revision", name, model, strict)
    if found.word == "linearizable":
        return None
    return Undecided(name, f"{name}: undecided after {found.visited} configurations")


def _violation(rule: str, order: str, name: str, model: Model[S], found: Found[S]) -> Violation:
    at = found.at
    assert at is not None
    states = "; or ".join(sorted(map(model.words, found.states))[:SHOWN_STATES])
    said = at.slug or at.outcome
    text = f"{name}: no {order} explains that {at.kind} was answered {said}; before it: {states}"
    return Violation(rule, text, shown(*found.before, at))
