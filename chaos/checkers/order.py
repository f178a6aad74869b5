"""Numbers that never fall: tokens, versions, ids, revisions.

Of two operations of which one had ended before the other began, the later one saw everything that
the earlier one saw. Operations that overlap say nothing about each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chaos.history import Operation


@dataclass(frozen=True, slots=True)
class Seen:
    """An operation saw the number at some moment between its begin and its end.

    Args:
        made: the number came into being by this very operation, so nobody saw it earlier.
    """

    operation: Operation
    number: int
    made: bool = False


def falls(seen: Iterable[Seen]) -> Iterator[tuple[Seen, Seen]]:
    """Pairs (earlier, later) that contradict the order.

    The later one's number is below the earlier one's; or equal, though the later one made it. For
    each later one at most one pair is given.
    """
    all_seen = list(seen)
    by_end = sorted(all_seen, key=lambda item: item.operation.end)
    highest: Seen | None = None
    position = 0
    for later in sorted(all_seen, key=lambda item: item.operation.begin):
        while by_end[position].operation.end < later.operation.begin:
            if highest is None or by_end[position].number > highest.number:
                highest = by_end[position]
            position += 1
        if highest is None:
            continue
        if later.number < highest.number or (later.made and later.number == highest.number):
            yield highest, later


def repeats(seen: Iterable[Seen]) -> Iterator[tuple[Seen, Seen]]:
    """Pairs of operations that both made the same number."""
    makers: dict[int, Seen] = {}
    for item in seen:
        if item.made:
            first = makers.setdefault(item.number, item)
            if first is not item:
                yield first, item
