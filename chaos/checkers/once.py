"""What several judges reckon of the same history, reckoned once."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from chaos.history import History

T = TypeVar("T")


def once(reckon: Callable[[History], T]) -> Callable[[History], T]:
    """Keeps the result for the last history, as long as that lives. Nobody may change it."""
    kept: list[tuple[weakref.ref[History], T]] = []

    @wraps(reckon)
    def look(history: History) -> T:
        if kept and kept[0][0]() is history:
            return kept[0][1]
        result = reckon(history)
        kept[:] = [(weakref.ref(history, lambda _: kept.clear()), result)]
        return result

    return look
