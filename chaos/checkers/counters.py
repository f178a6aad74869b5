"""Nothing is executed twice: ids and tokens are counted on by one, for each thing that was made.

A number that no answer shows was made by a request of unknown outcome. Where more numbers are
missing than such requests had been sent by then, one request was executed twice.

Source of the counting: one counter for the cluster's grants, one for its transactions (a prepare
of the simple protocol is one), one for its sessions. It holds for a cluster that began with the
history.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from chaos.checkers.facts import may_have_held
from chaos.checkers.violation import Violation, shown
from chaos.history import History, Operation

FRESH = "fresh"
"""Stands in the `run` of a history whose cluster was new."""

COUNTERS = {
    "token": {"lock.acquire": "token", "simple.lock": "token"},
    "transaction id": {"transaction.begin": "id", "simple.prepare": "transaction"},
    "session id": {"session.open": "id"},
}
"""Counter → kinds that count it on → the field of the answer with the number."""


def judge(history: History) -> Iterator[Violation]:
    """No number is missing without a request that may have made it."""
    if not history.run.get(FRESH):
        return
    for counter, kinds in COUNTERS.items():
        made: dict[int, Operation] = {}
        unheard: list[Operation] = []
        for item in history.of(*kinds):
            number = item.answer.get(kinds[item.kind])
            if item.ok and isinstance(number, int):
                made[number] = item
            elif not item.ok and may_have_held(item):
                unheard.append(item)
        yield from _missing(counter, made, unheard)


def _missing(
    counter: str, made: dict[int, Operation], unheard: list[Operation]
) -> Iterator[Violation]:
    begins = [item.begin for item in unheard]
    for answered, (number, item) in enumerate(sorted(made.items()), 1):
        missing = number - answered
        sent = bisect_left(begins, item.end)
        if missing > sent:
            text = (
                f"at {counter} {number} there are {missing} numbers that no answer shows, and"
                f" {sent} requests that may have made them: something was executed twice"
            )
            yield Violation("executed twice", text, shown(item))
            return
