"""The model of a key of the simple protocol's transactions: one prepared value at a time, each
decided once.

What happens by itself: a prepared value aborts when its time is over. What was decided before is
part of the state as long as somebody still asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from chaos.checkers.linear.steps import Model

PREPARED, COMMITTED, ABORTED = "prepared", "committed", "aborted"


class Deal(NamedTuple):
    """A key.

    Args:
        last: the highest id of a prepare that is known.
        value, state: the latest prepare; None where there was none.
        number: its id; 0 where no answer has shown it yet.
        until: while it is prepared, it does not abort by itself before.
        olds: (value, state) of those decided before.
    """

    last: int
    value: str | None = None
    state: str | None = None
    number: int = 0
    until: int = 0
    olds: frozenset[tuple[str, str]] = frozenset()


States = tuple[Deal, ...]
NOTHING: States = ()


def alone(deal: Deal) -> Iterable[tuple[int, Deal]]:
    """What is not decided in time aborts."""
    return ((deal.until, deal._replace(state=ABORTED, until=0)),) if deal.state == PREPARED else ()


def last_number(deal: Deal) -> int:
    """The level of a key: ids never fall."""
    return deal.last


def words(deal: Deal) -> str:
    """For people."""
    if deal.state is None:
        return "nothing prepared"
    number = f" (transaction {deal.number})" if deal.number else ""
    return f"{deal.value} {deal.state}{number}"


MODEL: Model[Deal] = Model(Deal(0), alone, last_number, words)


class Prepare(NamedTuple):
    """A request to prepare.

    Args:
        until: the value does not abort by itself before.
        begin: of the request.
        asked: value → the last moment at which somebody was told about it.
    """

    value: str
    until: int
    begin: int
    asked: Mapping[str, int]

    def keeps(self, value: str) -> bool:
        """Whether it matters from here on what was decided about this value."""
        return value != self.value and self.asked.get(value, 0) >= self.begin


def prepared(prepare: Prepare, number: int, deal: Deal) -> States:
    """A value was prepared; `number` 0: nobody heard it."""
    if deal.state == PREPARED or (number and number <= deal.last):
        return NOTHING
    olds = deal.olds
    if deal.value is not None and deal.state is not None:
        every = {*olds, (deal.value, deal.state)}
        olds = frozenset(old for old in every if prepare.keeps(old[0]))
    last = number or deal.last
    return (Deal(last, prepare.value, PREPARED, number, prepare.until, olds),)


def _known(number: int, deal: Deal) -> Deal | None:
    """The key while this is its latest prepare, the id noted where it was not known; else None."""
    if deal.number == number:
        return deal if number else None
    if deal.number == 0 and deal.value is not None and number > deal.last:
        return deal._replace(number=number, last=number)
    return None


def already_prepared(number: int | None, deal: Deal) -> States:
    """A prepare was refused, because this one is not decided."""
    known = deal if number is None else _known(number, deal)
    return (known,) if known is not None and known.state == PREPARED else NOTHING


class Decide(NamedTuple):
    """A commit (`state` committed) or a rollback (aborted) of a value; of the latest, if None."""

    value: str | None
    state: str


def _state_of(value: str | None, deal: Deal) -> str | None:
    if value is None or value == deal.value:
        return deal.state
    return next((state for old, state in deal.olds if old == value), None)


def decided(decide: Decide, number: int | None, deal: Deal) -> States:
    """It was decided so, or had been before."""
    state = _state_of(decide.value, deal)
    latest = decide.value is None or decide.value == deal.value
    if state is None:
        return NOTHING
    if latest and number is not None:
        known = _known(number, deal)
        if known is None:
            return NOTHING
        deal = known
    if state == PREPARED:
        return (deal._replace(state=decide.state, until=0),)
    return (deal,) if state == decide.state else NOTHING


def may_be_decided(decide: Decide, deal: Deal) -> States:
    """A decision of which nobody heard."""
    if _state_of(decide.value, deal) != PREPARED:
        return NOTHING
    return (deal._replace(state=decide.state, until=0),)


def contrary(decide: Decide, deal: Deal) -> States:
    """It was refused, because the other one was decided."""
    other = COMMITTED if decide.state == ABORTED else ABORTED
    return (deal,) if _state_of(decide.value, deal) == other else NOTHING


class NotPrepared(NamedTuple):
    """A decision that was refused, because no such value is known.

    Args:
        at: when that was answered.
        shown: the state that the answer shows of the key's latest prepare; "none" for no such.
        kept: value → until when its decision is surely kept.
    """

    decide: Decide
    at: int
    shown: str | None
    kept: Mapping[str, int]

    def forgotten(self, value: str | None) -> bool:
        """Whether the decision about this value may be gone."""
        return value is None or self.kept.get(value, 0) <= self.at


def not_prepared(refusal: NotPrepared, deal: Deal) -> States:
    """It was refused, because no such value is known."""
    value = refusal.decide.value
    state = _state_of(value, deal)
    asked = deal.value if value is None else value
    if state == PREPARED or (state is not None and not refusal.forgotten(asked)):
        return NOTHING
    if refusal.shown in (None, deal.state or "none"):
        return (deal,)
    gone = refusal.shown == "none" and refusal.forgotten(deal.value)
    return (deal,) if gone else NOTHING


def decided_by_number(number: int, state: str, deal: Deal) -> States:
    """The transaction of this id, one of this key, was decided so."""
    known = _known(number, deal)
    if known is None:
        # One before the latest; or none yet.
        return (deal,) if number <= deal.last else NOTHING
    if known.state == PREPARED:
        return (known._replace(state=state, until=0),)
    return (known,) if known.state == state else NOTHING


def contrary_by_number(number: int, state: str, deal: Deal) -> States:
    """Deciding the transaction of this id was refused, because of the other decision."""
    known = _known(number, deal)
    if known is None:
        return (deal,) if number <= deal.last else NOTHING
    return NOTHING if known.state in (PREPARED, state) else (known,)


def may_be_decided_by_number(number: int, state: str, deal: Deal) -> States:
    """The same, where nobody heard of it, or where nobody knows whose id it was."""
    known = _known(number, deal)
    if known is None or known.state != PREPARED:
        return NOTHING
    return (known._replace(state=state, until=0),)


def never(deal: Deal) -> States:
    """Nothing can have been answered like this."""
    return NOTHING
