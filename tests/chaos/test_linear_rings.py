"""The model of a ring, on histories made by hand."""

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


def joined(begin: float, end: float | None, who: str, version: int = 0, **more: Any) -> Operation:
    answer = {"version": version, "changed": more.pop("changed", True)} if version else None
    return op(begin, end, "ring.join", ring="R", member=who, answer=answer, **more)


def left(begin: float, end: float | None, who: str, version: int = 0, **more: Any) -> Operation:
    answer = {"version": version, "changed": more.pop("changed", True)} if version else None
    return op(begin, end, "ring.leave", ring="R", member=who, answer=answer, **more)


def ring(begin: float, end: float, version: int, *members: str | dict[str, Any]) -> Operation:
    shown = [{"id": who, "weight": 1.0} if isinstance(who, str) else who for who in members]
    answer = {"version": version, "members": shown, "virtual_nodes": 128}
    return op(begin, end, "ring.read", ring="R", answer=answer)


def of_session(session: int, *names: str) -> list[dict[str, Any]]:
    return [{"id": name, "weight": 1.0, "session": session} for name in names]


GOOD: dict[str, Story] = {
    "made by the first to join": lambda: [
        op(0, 1, "ring.read", ring="R", slug="unknown-ring", status=404),
        joined(0, 2, "a", 1),
        ring(2, 3, 1, "a"),
    ],
    "changes of which nobody heard fill the versions": lambda: [
        joined(0, 1, "a", 1),
        joined(1, None, "b"),
        left(1, None, "a"),
        joined(3, 4, "c", 4),
        ring(5, 6, 4, "b", "c"),
    ],
    "all members of a session leave at once, each a version": lambda: [
        op(0, 1, "session.open", ttl=2.0, answer={"id": 5}),
        joined(1, 1.1, "a", 1, session=5),
        joined(1.2, 1.3, "b", 2, session=5),
        joined(4, 5, "c", 5),
        ring(5, 6, 5, "c"),
        op(7, 8, "rings.list", answer={"rings": [{"name": "R", "version": 5}]}),
    ],
    "a version in the answer to what changed nothing": lambda: [
        joined(0, 1, "a", 1),
        joined(1, 2, "a", 1, changed=False),
        left(2, 3, "x", 1, changed=False),
    ],
}

BAD: dict[str, Story] = {
    "a version is passed over": lambda: [joined(0, 1, "a", 1), joined(1.5, 2, "b", 3)],
    "a change keeps the version": lambda: [joined(0, 1, "a", 1), joined(2, 3, "b", 1)],
    "not there, though it was made": lambda: [
        joined(0, 1, "a", 1),
        op(2, 3, "ring.read", ring="R", slug="unknown-ring", status=404),
    ],
    "one of a session's members leaves alone": lambda: [
        op(0, 1, "session.open", ttl=2.0, answer={"id": 5}),
        joined(1, 1.1, "a", 1, session=5),
        joined(1.2, 1.3, "b", 2, session=5),
        ring(4, 5, 3, *of_session(5, "b")),
    ],
    "members leave before their session ends": lambda: [
        op(0, 1, "session.open", ttl=9.0, answer={"id": 5}),
        joined(1, 1.1, "a", 1, session=5),
        ring(2, 3, 2),
    ],
    "a member stays, though its session was closed": lambda: [
        op(0, 1, "session.open", ttl=9.0, answer={"id": 5}),
        joined(1, 1.1, "a", 1, session=5),
        op(2, 3, "session.close", id=5),
        ring(4, 5, 1, *of_session(5, "a")),
    ],
    "another weight": lambda: [
        joined(0, 1, "a", 1),
        ring(2, 3, 1, {"id": "a", "weight": 2.0}),
    ],
    "listed with another version": lambda: [
        joined(0, 1, "a", 1),
        op(2, 3, "rings.list", answer={"rings": [{"name": "R", "version": 2}]}),
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
