"""Answers as functions of the log: revisions never fall, one revision has one content, and in the
end all nodes show the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec

from chaos.checkers.facts import PEEKS, READS
from chaos.checkers.order import Seen, falls, repeats
from chaos.checkers.violation import Violation, shown
from chaos.history import History, Operation
from raftcoord.errors import ERRORS

FINAL = "final"
"""The client that reads everything through every node when the load is over."""

ENTRIES_OF_THEIR_OWN = frozenset(
    ("session.open", "transaction.begin", "simple.lock", "simple.prepare")
)
"""Writes that are always a new entry; so are acquires that do not wait."""
VOLATILE = frozenset(("expires_in", "retry_after"))
"""Fields that may be counted at the moment of the answer."""

_WHEN = frozenset(("wait", "min_revision"))
"""Arguments that say when a question is answered, and not by what."""

_to_json = msgspec.json.Encoder(order="deterministic").encode


def judge(history: History) -> Iterator[Violation]:
    """All rules about reads and revisions."""
    yield from _revisions(history)
    yield from _reached(history)
    yield from _one_content(history)
    yield from _same_in_the_end(history)


def _evaluated(item: Operation) -> bool:
    """Whether the answer rests on the state: refusals of the door or of the cluster do not."""
    if item.revision is None:
        return False
    error = ERRORS.get(item.slug or "")
    return item.ok or (error is not None and error.blame == "state")


def _revisions(history: History) -> Iterator[Violation]:
    seen = [
        Seen(item, item.revision, made=item.ok and appends(item))
        for item in history.operations
        if item.revision is not None and item.kind not in PEEKS and _evaluated(item)
    ]
    for earlier, later in falls(seen):
        text = (
            f"an answer at revision {earlier.number} was followed by one at {later.number}, which"
            " began after it"
        )
        yield Violation("revisions fall", text, shown(earlier.operation, later.operation))
    for first, second in repeats(seen):
        text = f"two writes stand at revision {first.number}"
        yield Violation("revision repeated", text, shown(first.operation, second.operation))


def _reached(history: History) -> Iterator[Violation]:
    for item in history.operations:
        wanted = item.arguments.get("min_revision")
        if wanted and item.ok and item.revision is not None and item.revision < wanted:
            text = f"revision {wanted} was asked for, {item.revision} was answered"
            yield Violation("revision not reached", text, shown(item))


def appends(item: Operation) -> bool:
    """Whether it is an entry of its own in the log, where it was acknowledged."""
    if item.kind == "lock.acquire":
        return not item.arguments.get("wait")
    return item.kind in ENTRIES_OF_THEIR_OWN


def _one_content(history: History) -> Iterator[Violation]:
    contents: dict[tuple[bytes, int], tuple[Operation, bytes]] = {}
    for item in history.operations:
        if item.kind not in READS or not item.ok or item.revision is None:
            continue
        content = _to_json(_steady(item.answer))
        first, expected = contents.setdefault((_question(item), item.revision), (item, content))
        if content != expected:
            text = f"{item.kind} has two answers at revision {item.revision}"
            yield Violation("two contents of a revision", text, shown(first, item))


def _question(item: Operation) -> bytes:
    arguments = {key: value for key, value in item.arguments.items() if key not in _WHEN}
    return _to_json([PEEKS.get(item.kind, item.kind), arguments])


def _steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _steady(inner) for key, inner in value.items() if key not in VOLATILE}
    if isinstance(value, list):
        return [_steady(inner) for inner in value]
    return value


def _same_in_the_end(history: History) -> Iterator[Violation]:
    """Every question of the last round was answered by every node at one and the same revision.

    That the answers are then equal is what `_one_content` holds.
    """
    answers: dict[bytes, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    examples: dict[bytes, list[Operation]] = defaultdict(list)
    for item in history.operations:
        if item.client == FINAL and item.kind in READS:
            question = _question(item)
            examples[question].append(item)
            if item.ok and item.revision is not None:
                answers[question][item.revision].add(item.node)
    for question, asked in examples.items():
        if not any(nodes >= set(history.nodes) for nodes in answers[question].values()):
            text = f"not all nodes answered {asked[-1].kind} at the same revision in the end"
            yield Violation("no agreement in the end", text, shown(*asked[-3:]))
