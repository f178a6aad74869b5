"""What a history says about each key of the simple protocol's transactions; `deal_model` says what
it means. A prepare is a transaction under /v1 too, and may be decided there by its id."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from chaos.checkers.clocks import clocks_of
from chaos.checkers.linear import deal_model as model
from chaos.checkers.linear.deal_model import ABORTED, COMMITTED, Deal, Decide, NotPrepared, Prepare
from chaos.checkers.linear.steps import Model, Step
from chaos.history import FOREVER, History, Operation

KEPT = 600.0
"""Seconds for which a decision is kept."""
UNNAMED = "a value of which nobody heard"
DECISIONS = {"commit": COMMITTED, "rollback": ABORTED}


def objects_of(history: History) -> Iterator[tuple[str, Model[Deal], list[Step[Deal]]]]:
    """(name, model, steps) of each key."""
    reader = _Reader(history)
    steps: dict[str, list[Step[Deal]]] = defaultdict(list)
    for item in history.of("simple.prepare", "simple.commit", "simple.rollback"):
        if item.outcome != "never-sent":
            key = str(item.arguments["key"])
            read = reader.prepare if item.kind == "simple.prepare" else reader.decide
            step = read(key, item)
            if step is not None:
                steps[key].append(step)
    for item in history.of("transaction.commit", "transaction.rollback"):
        for key, step in reader.by_number(item):
            steps[key].append(step)
    for key, of_key in steps.items():
        yield f"simple transaction {key}", model.MODEL, of_key


class _Reader:
    """Makes a step of an operation; None where it says nothing about the key."""

    def __init__(self, history: History) -> None:
        self._clocks = clocks_of(history)
        self._keys: dict[int, str] = {}
        self._kept: dict[str, dict[str, int]] = defaultdict(dict)
        self._asked: dict[str, dict[str, int]] = defaultdict(dict)
        self._named: set[tuple[str, str]] = set()
        self._unheard: dict[str, int] = {}
        for item in history.of("simple.prepare", "simple.commit", "simple.rollback"):
            self._take(item)
        begun = {item.answer.get("id") for item in history.of("transaction.begin") if item.ok}
        self._strange = begun.union(self._keys)

    def _take(self, item: Operation) -> None:
        key, number = str(item.arguments["key"]), _number(item)
        if number is not None:
            self._keys[number] = key
        value = _value(item)
        if item.kind != "simple.prepare":
            if value is not None and item.outcome != "never-sent":
                self._named.add((key, value))
            if value is not None and item.outcome in ("ok", "refused"):
                asked = self._asked[key]
                asked[value] = max(asked.get(value, 0), item.end)
            return
        assert value is not None
        self._kept[key].setdefault(value, self._clocks.surely_until(item.begin, KEPT))
        if item.outcome == "unknown":
            self._unheard.setdefault(key, item.begin)

    def prepare(self, key: str, item: Operation) -> Step[Deal] | None:
        """A prepare."""
        number = _number(item)
        if item.slug == "already-prepared":
            return Step(item, partial(model.already_prepared, number), limit=number or FOREVER)
        if item.outcome == "refused":
            return None
        until = self._clocks.surely_until(item.begin, float(item.arguments["expire"]))
        value = str(item.arguments["value"])
        if item.outcome == "unknown":
            alike = None
            if (key, value) not in self._named:
                # Nobody asks for it, so that it does not matter which one it was.
                value, alike = UNNAMED, item.arguments["expire"]
            prepare = Prepare(value, until, item.begin, self._asked[key])
            return Step(item, partial(model.prepared, prepare, 0), optional=True, alike=alike)
        prepare = Prepare(value, until, item.begin, self._asked[key])
        if number is None:
            return None
        return Step(item, partial(model.prepared, prepare, number), limit=number)

    def decide(self, key: str, item: Operation) -> Step[Deal] | None:
        """A commit or a rollback."""
        value = _value(item)
        decide = Decide(value, DECISIONS[item.kind.partition(".")[2]])
        if item.outcome == "unknown":
            return Step(item, partial(model.may_be_decided, decide), optional=True)
        if item.ok:
            return Step(item, partial(model.decided, decide, _number(item)))
        if item.slug == "transaction-decided":
            return Step(item, partial(model.contrary, decide))
        if item.slug == "not-prepared":
            refusal = NotPrepared(decide, item.end, item.answer.get("state"), self._kept[key])
            return Step(item, partial(model.not_prepared, refusal))
        return None

    def by_number(self, item: Operation) -> Iterator[tuple[str, Step[Deal]]]:
        """A commit or a rollback under /v1, for each key that it may have been about."""
        number, state = item.arguments.get("id"), DECISIONS[item.kind.partition(".")[2]]
        if not isinstance(number, int):
            return
        key = self._keys.get(number)
        if key is None:
            if item.sent and number not in self._strange:
                # Of a prepare whose answer nobody heard, or of a transaction begun like that.
                for unheard in self._unheard:
                    yield unheard, self._maybe(item, number, state)
        elif item.outcome == "unknown":
            yield key, self._maybe(item, number, state)
        elif item.ok:
            yield key, Step(item, partial(model.decided_by_number, number, state))
        elif item.slug == "transaction-decided":
            yield key, Step(item, partial(model.contrary_by_number, number, state))

    def _maybe(self, item: Operation, number: int, state: str) -> Step[Deal]:
        may: Callable[[Deal], Any] = partial(model.may_be_decided_by_number, number, state)
        return Step(item, may, optional=True, limit=number)


def _value(item: Operation) -> str | None:
    value = item.arguments.get("prepared" if item.kind == "simple.rollback" else "value")
    return None if value is None else str(value)


def _number(item: Operation) -> int | None:
    number = item.answer.get("transaction")
    return number if isinstance(number, int) else None
