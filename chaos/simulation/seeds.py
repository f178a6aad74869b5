"""Which seeds: `7`, `1..200`, `1..10,17,30..40`."""

from __future__ import annotations

LARGEST = (1 << 63) - 1
MOST = 10_000_000
"""Seeds of one command at most."""


class BadSeeds(ValueError):
    """A text names no seeds.

    Args:
        text: as it was given.
        position: of the part that is wrong, in characters from 1.
        reason: what is wrong with it.
    """

    def __init__(self, text: str, position: int, reason: str) -> None:
        super().__init__(f"seeds {text!r}, character {position}: {reason}")
        self.position = position
        self.reason = reason


def parse(text: str) -> list[int]:
    """The seeds, in the order given, none twice. Raises BadSeeds."""
    seeds: dict[int, None] = {}
    position = 1
    for part in text.split(","):
        first, dots, last = part.partition("..")
        low = _number(text, first, position)
        high = _number(text, last, position + len(first) + 2) if dots else low
        if high < low:
            raise BadSeeds(text, position, f"{part} ends before it begins")
        if high - low >= MOST or len(seeds) + high - low >= MOST:
            raise BadSeeds(text, position, f"more than {MOST} seeds are not played at once")
        seeds.update(dict.fromkeys(range(low, high + 1)))
        position += len(part) + 1
    return list(seeds)


def _number(text: str, digits: str, position: int) -> int:
    if not digits:
        raise BadSeeds(text, position, "a seed is missing; write 7, 1..200 or 1..10,17")
    for offset, digit in enumerate(digits):
        if not (digit.isascii() and digit.isdigit()):
            raise BadSeeds(text, position + offset, f"{digit!r} is no digit")
    number = int(digits) if len(digits) <= 19 else LARGEST + 1
    if number > LARGEST:
        raise BadSeeds(text, position, f"a seed is at most {LARGEST}")
    return number
