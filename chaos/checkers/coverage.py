"""Whether the history says anything: answers that should not be, and things never acknowledged."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from chaos.checkers.facts import is_write
from chaos.checkers.violation import Violation, shown
from chaos.history import History
from raftcoord.errors import ERRORS

ENOUGH = 50
"""A kind that was sent so often and never acknowledged is not tested at all."""
ALLOWED = frozenset(("unknown-participant",))
"""Blames of the caller that a load may earn: it votes in transactions it knows by their id only."""


def judge_answers(history: History) -> Iterator[Violation]:
    """No answer says that a request is malformed, or that the server met a bug."""
    seen: set[tuple[str, str | None]] = set()
    for item in history.operations:
        if item.status is None or (item.kind, item.slug) in seen:
            continue
        error = ERRORS.get(item.slug or "")
        blamed = error is not None and error.blame == "caller" and item.slug not in ALLOWED
        wrong = blamed or item.slug == "internal-error"
        nameless = not item.ok and error is None
        if wrong or nameless:
            seen.add((item.kind, item.slug))
            text = f"{item.kind} was answered with status {item.status}, {item.slug or 'no slug'}"
            yield Violation("unexpected answer", text, shown(item))


def judge_coverage(history: History) -> Iterator[Violation]:
    """Something was acknowledged, of every kind of request."""
    counts = history.counts()
    if not any(counts[kind]["ok"] for kind in counts if is_write(kind)):
        yield Violation("nothing acknowledged", "not one write was acknowledged in this history")
        return
    for kind, outcomes in counts.items():
        if outcomes["ok"] == 0 and sum(outcomes.values()) >= ENOUGH:
            tried = sum(outcomes.values())
            examples = list(islice(history.of(kind), 3))
            text = f"{kind} was tried {tried} times and never acknowledged"
            yield Violation("nothing acknowledged", text, shown(*examples))
