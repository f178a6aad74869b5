"""The model of a key of the simple protocol's transactions, on histories made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.checkers import Violation
from chaos.history import Operation
from tests.chaos.histories import (
    Story,
    op,
    orderless,
)


def case(state: str, decision: str | None = None, **more: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": 1, "state": state, "decision": decision}
    for field in ("reason", "participants"):
        if field in more:
            shown[field] = more[field]
    return shown


def prepared(
    begin: float, end: float | None, value: str, number: int = 0, **more: Any
) -> Operation:
    shown = more.pop("answer", {"transaction": number, "state": "prepared"} if number else None)
    asked = {"key": "D", "value": value, "expire": more.pop("expire", 9.0)}
    return op(begin, end, "simple.prepare", answer=shown, **asked, **more)


def deal(
    begin: float, end: float | None, what: str, value: str | None, number: int, **more: Any
) -> Operation:
    state = more.pop("state", {"commit": "committed", "rollback": "aborted"}[what])
    more["value" if what == "commit" else "prepared"] = value
    answer = {"transaction": number, "state": state}
    return op(begin, end, f"simple.{what}", key="D", answer=answer, **more)


def refused_for(begin: float, end: float, value: str, number: int) -> Operation:
    answer = {"transaction": number, "state": "prepared"}
    return prepared(begin, end, value, slug="already-prepared", answer=answer)


GOOD: dict[str, Story] = {
    "one after the other": lambda: [
        prepared(0, 1, "v", 1),
        refused_for(1, 2, "w", 1),
        deal(2, 3, "commit", "v", 1),
        prepared(3, 4, "w", 2),
        deal(4, 5, "commit", "v", 1),
        deal(5, 6, "rollback", None, 2),
        deal(6, 7, "commit", "w", 2, slug="transaction-decided", state="aborted"),
    ],
    "its time is over": lambda: [
        prepared(0, 1, "v", 1, expire=1.0),
        deal(2, 3, "commit", "v", 1, slug="transaction-decided", state="aborted"),
        prepared(3, 4, "w", 2),
    ],
    "decided by its id": lambda: [
        prepared(0, 1, "v", 1),
        op(2, 3, "transaction.rollback", id=1, answer=case("finished", "abort")),
        prepared(3, 4, "w", 2),
    ],
    "nobody heard of it, and a stranger decides it": lambda: [
        prepared(0, None, "v"),
        op(2, 3, "transaction.rollback", id=1, answer=case("finished", "abort")),
        deal(4, 5, "commit", "v", 1, slug="transaction-decided", state="aborted"),
    ],
    "forgotten after ten minutes": lambda: [
        prepared(0, 1, "v", 1),
        deal(1, 2, "commit", "v", 1),
        deal(605, 606, "rollback", "w", 1, slug="not-prepared", state="none"),
        deal(605, 606, "rollback", "v", 1, slug="not-prepared", state="none"),
    ],
    "never prepared": lambda: [
        deal(0, 1, "rollback", None, 0, slug="not-prepared", state="none"),
        prepared(1, 2, "v", 1),
        deal(2, 3, "commit", "w", 1, slug="not-prepared", state="prepared"),
    ],
}

BAD: dict[str, Story] = {
    "two prepared": lambda: [prepared(0, 1, "v", 1), prepared(2, 3, "w", 2)],
    "refused though nothing is prepared": lambda: [
        prepared(0, 1, "v", 1),
        deal(1, 2, "commit", "v", 1),
        refused_for(3, 4, "w", 1),
    ],
    "committed and rolled back": lambda: [
        prepared(0, 1, "v", 1),
        deal(1, 2, "commit", "v", 1),
        deal(3, 4, "rollback", "v", 1),
    ],
    "the decision of an earlier one is another": lambda: [
        prepared(0, 1, "v", 1),
        deal(1, 2, "commit", "v", 1),
        prepared(3, 4, "w", 2),
        deal(5, 6, "rollback", "v", 1),
    ],
    "aborted before its time": lambda: [
        prepared(0, 1, "v", 1),
        deal(2, 3, "commit", "v", 1, slug="transaction-decided", state="aborted"),
    ],
    "another is said to be the latest": lambda: [
        prepared(0, 1, "v", 1),
        deal(2, 3, "commit", "w", 1, slug="not-prepared", state="committed"),
    ],
    "not known though it was prepared": lambda: [
        prepared(0, 1, "v", 1),
        deal(2, 3, "commit", "v", 1, slug="not-prepared", state="none"),
    ],
    "prepared though its id was decided": lambda: [
        prepared(0, 1, "v", 1),
        op(2, 3, "transaction.commit", id=1, answer=case("finished", "commit")),
        refused_for(4, 5, "w", 1),
    ],
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_history_has_an_order(name: str) -> None:
    assert orderless(*GOOD[name]()) == []


@pytest.mark.parametrize("name", BAD)
def test_a_bad_history_has_none(name: str) -> None:
    (violation,) = orderless(*BAD[name]())
    assert isinstance(violation, Violation)
    assert violation.rule == "not linearizable"
    assert 1 <= len(violation.operations) <= 4
