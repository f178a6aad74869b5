"""The model of a transaction, on histories made by hand."""

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


def begun(begin: float, end: float, *names: str, **more: Any) -> Operation:
    asked = {"timeout": 9.0, "decide": "on_request", **more}
    answer = {"id": 1, "state": "open", "decision": None}
    return op(begin, end, "transaction.begin", participants=list(names), answer=answer, **asked)


def case(state: str, decision: str | None = None, **more: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": 1, "state": state, "decision": decision}
    for field in ("reason", "participants"):
        if field in more:
            shown[field] = more[field]
    return shown


def ask(
    begin: float, end: float | None, what: str, shown: dict[str, Any] | None = None, **more: Any
) -> Operation:
    return op(begin, end, f"transaction.{what}", id=1, answer=shown, **more)


def voted(
    begin: float, end: float | None, who: str, what: str = "commit", **more: Any
) -> Operation:
    shown = more.pop("answer", case("open") if what == "commit" else ABORTED)
    return ask(begin, end, "vote", shown, participant=who, vote=what, **more)


ABORTED = case("aborted", "abort", reason="vote")
COMMITTED = case("committed", "commit")

GOOD: dict[str, Story] = {
    "votes missing, then all there": lambda: [
        begun(0, 1, "p", "q"),
        voted(1, 2, "p"),
        ask(2, 3, "commit", {"missing": ["q"]}, slug="votes-missing"),
        voted(3, 4, "q"),
        ask(4, 5, "commit", COMMITTED),
        ask(5, 6, "ack", COMMITTED, participant="p"),
        ask(6, 7, "ack", case("finished", "commit"), participant="q"),
    ],
    "the last vote decides": lambda: [
        begun(0, 1, "p", decide="auto"),
        voted(1, 2, "p", answer=COMMITTED),
    ],
    "asked of before it was there": lambda: [
        ask(0, 1, "read", slug="unknown-transaction", status=404),
        begun(0, 2, "p"),
    ],
    "a commit of which nobody heard": lambda: [
        begun(0, 1, "p"),
        voted(1, 2, "p"),
        ask(2, None, "commit"),
        ask(3, 4, "read", case("open", participants={"p": {"vote": "commit", "acked": False}})),
        ask(5, 6, "rollback", COMMITTED, slug="transaction-decided"),
    ],
    "its time is over": lambda: [
        begun(0, 1, "p", timeout=2.0),
        ask(3, 4, "rollback", case("aborted", "abort", reason="timeout")),
    ],
    "its session ended, at its time": lambda: [
        op(0, 0.1, "session.open", ttl=2.0, answer={"id": 5}),
        begun(0.2, 0.3, "p", session=5, timeout=2.0),
        ask(4, 5, "read", case("aborted", "abort", reason="session-gone")),
        ask(6, 7, "read", case("aborted", "abort", reason="timeout")),
    ],
    "nothing is decided that could be acknowledged": lambda: [
        begun(0, 1, "p"),
        ask(1, 2, "ack", case("open"), participant="p", slug="transaction-open"),
        voted(2, 3, "x", answer={}, slug="unknown-participant"),
    ],
}

BAD: dict[str, Story] = {
    "committed with a vote missing": lambda: [
        begun(0, 1, "p", "q"),
        voted(1, 2, "p"),
        ask(3, 4, "commit", COMMITTED),
    ],
    "open after its decision": lambda: [
        begun(0, 1, "p"),
        voted(1, 2, "p", "abort"),
        ask(3, 4, "read", case("open")),
    ],
    "aborted, with another reason": lambda: [
        begun(0, 1, "p"),
        ask(2, 3, "rollback", case("aborted", "abort", reason="timeout")),
    ],
    "refused, though it can be committed": lambda: [
        begun(0, 1, "p"),
        voted(1, 2, "p"),
        ask(3, 4, "commit", {"missing": ["p"]}, slug="votes-missing"),
    ],
    "open, though the last vote is in": lambda: [
        begun(0, 1, "p", decide="auto"),
        voted(1, 2, "p", answer=case("open")),
    ],
    "finished before all acknowledged": lambda: [
        begun(0, 1, "p", "q"),
        voted(1, 2, "p", "abort"),
        ask(2, 3, "ack", case("finished", "abort", reason="vote"), participant="p"),
    ],
    "unknown, though it was begun": lambda: [
        begun(0, 1, "p"),
        ask(2, 3, "read", slug="unknown-transaction", status=404),
    ],
    "forgotten at once": lambda: [
        begun(0, 1, "p"),
        voted(1, 2, "p", "abort"),
        ask(3, 4, "read", slug="forgotten", status=410),
    ],
    "a late vote": lambda: [
        begun(0, 1, "p", "q"),
        voted(1, 2, "p", "abort"),
        voted(3, 4, "q", answer=ABORTED),
    ],
    "a conflict with a vote that was never given": lambda: [
        begun(0, 1, "p"),
        voted(1, 2, "p", answer={"participant": "p", "vote": "abort"}, slug="vote-conflict"),
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
