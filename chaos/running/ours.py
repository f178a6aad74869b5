"""Of a history in somebody else's cluster, what the run itself did.

The judges know a thing from its beginning on. What was there before, or is made by others, they
must not see: it would be a vote that nobody cast, a holder that nobody acquired. Locks and rings of
the run have names of its own realm; sessions and transactions are known by the answers that made
them. One whose making was never answered is left out too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from chaos.history import Invoke, Line, Result

_MADE = {
    "transaction.begin": ("transaction", "id"),
    "simple.prepare": ("transaction", "transaction"),
    "session.open": ("session", "id"),
}
"""Kind → what it makes, and the field of its answer with the number."""


def only_ours(lines: list[Line], realm: str) -> Iterator[Line]:
    """The lines that say something about what the run made, lists cut to it."""
    kinds = {line.id: line.kind for line in lines if isinstance(line, Invoke)}
    known = _known(lines, kinds)
    dropped: set[str] = set()
    for line in lines:
        if isinstance(line, Invoke) and _is_strange(line, known):
            dropped.add(line.id)
    keeps: dict[str, tuple[str, Callable[[dict[str, Any]], bool]]] = {
        "locks.list": ("locks", lambda item: str(item.get("name")).startswith(realm)),
        "rings.list": ("rings", lambda item: str(item.get("name")).startswith(realm)),
        "sessions.list": ("sessions", lambda item: ("session", item.get("id")) in known),
        "transactions.list": (
            "transactions",
            lambda item: ("transaction", item.get("id")) in known,
        ),
    }
    for line in lines:
        if isinstance(line, Invoke | Result) and line.id in dropped:
            continue
        if isinstance(line, Result) and line.outcome == "ok" and kinds[line.id] in keeps:
            field, keep = keeps[kinds[line.id]]
            shown = [item for item in line.answer.get(field, ()) if keep(item)]
            yield msgspec.structs.replace(line, answer={**line.answer, field: shown})
        else:
            yield line


def _known(lines: list[Line], kinds: dict[str, str]) -> set[tuple[str, Any]]:
    known = set()
    for line in lines:
        if isinstance(line, Result) and line.outcome == "ok" and kinds[line.id] in _MADE:
            what, field = _MADE[kinds[line.id]]
            known.add((what, line.answer.get(field)))
    return known


def _is_strange(line: Invoke, known: set[tuple[str, Any]]) -> bool:
    """Whether it asks about a transaction of which nobody knows whether it is the run's."""
    asks = line.kind.startswith("transaction.") and line.kind not in _MADE
    return asks and ("transaction", line.arguments.get("id")) not in known
