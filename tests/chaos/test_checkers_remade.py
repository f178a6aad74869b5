"""The judges of rings that are made again, and of reads of what a node has."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.history import Operation
from chaos.workloads.requests import request_for
from tests.chaos.histories import found, op, rules


def put(
    begin: float, end: float | None, version: int = 0, nodes: int = 16, **more: Any
) -> Operation:
    answer = {"version": version, "changed": True} if version else None
    return op(begin, end, "ring.put", ring="R", virtual_nodes=nodes, answer=answer, **more)


def delete(begin: float, end: float | None, version: int = 0, **more: Any) -> Operation:
    answer = {"version": version} if version else None
    return op(begin, end, "ring.delete", ring="R", answer=answer, **more)


def read(
    begin: float, end: float, version: int = 0, nodes: int = 16, *members: str, **more: Any
) -> Operation:
    if not version:
        return op(begin, end, "ring.read", slug="unknown-ring", ring="R", **more)
    shown = [{"id": member, "weight": 1.0} for member in members]
    answer = {"version": version, "virtual_nodes": nodes, "members": shown}
    return op(begin, end, "ring.read", ring="R", answer=answer, **more)


def join(begin: float, end: float, member: str, version: int) -> Operation:
    answer = {"version": version, "changed": True}
    return op(begin, end, "ring.join", ring="R", member=member, answer=answer)


LIFE = (
    put(0, 1, 1),
    join(2, 3, "a", 2),
    read(4, 5, 2, 16, "a"),
    delete(6, 7, 2),
    read(8, 9),
    join(10, 11, "b", 3),
    put(12, 13, 4, nodes=32),
    read(14, 15, 4, 32, "b"),
)


def test_a_ring_that_is_made_again_goes_on_above() -> None:
    assert found(*LIFE) == []


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        (read(8, 9.5, 2, 16, "a"), "deleted ring seen"),
        (read(16, 17), "ring lost"),
        (read(5.1, 5.5), "ring lost"),
        (read(16, 17, 4, 16, "b"), "other settings"),
        (read(16, 17, 5, 32, "b"), None),
        (read(6.5, 7.5, 2, 16, "a"), None),
        (read(6.5, 7.5), None),
    ],
)
def test_what_is_shown_of_it(more: Operation, rule: str | None) -> None:
    assert rules(*LIFE, more) >= ({rule} if rule else set())
    if rule is None:
        assert found(*LIFE, more) == []


def test_a_delete_of_which_nobody_heard_may_come_at_any_time() -> None:
    assert found(put(0, 1, 1), delete(2, None), read(8, 9, 1), read(18, 19)) == []
    assert found(put(0, 1, 1), read(18, 19), delete(20, None)) != []


def test_a_version_that_begins_anew() -> None:
    assert "version repeated" in rules(put(0, 1, 1), delete(2, 3, 1), put(4, 5, 1))


def test_a_ring_that_is_first_made_behind_a_deleted_one_begins_above_it() -> None:
    other = op(8, 9, "ring.join", ring="S", member="a", answer={"version": 2, "changed": True})
    assert found(put(0, 1, 1), delete(2, 3, 1), other) == []
    assert found(put(0, 1, 1), other) == [], "of one that was perhaps deleted nothing is known"


def peek(begin: float, revision: int, version: int, **more: Any) -> Operation:
    answer = {"version": version, "virtual_nodes": 16, "members": []}
    return op(begin, begin + 1, "ring.peek", ring="R", answer=answer, revision=revision, **more)


def test_a_peek_may_be_old_and_shows_what_was() -> None:
    made, changed = put(0, 1, 1, revision=10), put(2, 3, 2, nodes=32, revision=20)
    seen = read(1, 1.5, 1, revision=11)
    assert found(made, changed, seen, peek(4, 11, 1), peek(6, 9, 1)) == []
    assert rules(made, changed, seen, peek(4, 11, 2)) == {"two contents of a revision"}


def test_a_peek_is_as_new_as_it_was_asked_to_be() -> None:
    made = put(0, 1, 1, revision=10)
    assert found(made, peek(2, 12, 1, min_revision=12)) == []
    assert rules(made, peek(2, 11, 1, min_revision=12)) == {"revision not reached"}
    refused = op(2, 3, "ring.peek", slug="revision-not-reached", ring="R", min_revision=99)
    assert found(made, refused) == []


def test_what_is_sent_for_a_peek() -> None:
    sent = request_for("lock.peek", {"name": "a", "min_revision": 7})
    assert (sent.method, sent.body) == ("GET", b"")
    assert sent.path == "/v1/locks/a?min_revision=7&consistency=stale"
    assert request_for("ring.delete", {"ring": "a"}).path == "/v1/rings/a"
