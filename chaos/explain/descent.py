"""Time downwards: where a moment is on the diagram.

What happens within a millisecond must be told apart, and a second in which nothing happens must
not take a screen. So the axis has a scale of its own between any two moments: longer times are
longer, but never shorter than can be seen, and quiet ones are folded.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise

SCALES = (30_000.0, 16_000.0, 8_000.0, 4_000.0, 2_000.0)
"""Units for a virtual second; the first with which the picture is not too high."""
HIGHEST = 12_000.0
LEAST = 2.0
"""Units between two moments at which something happens, at least."""
MOST = 56.0
"""Units between them at most: what is longer is folded."""


class Descent:
    """The axis.

    Args:
        moments: at which something happens, in seconds, in any order.
        top: where `begin` is.
    """

    def __init__(self, moments: Iterable[float], begin: float, end: float, top: float) -> None:
        inside = {at for at in moments if begin < at < end}
        self._times = sorted({begin, *inside, end})
        self._places = [top]
        self.folds: list[tuple[float, float]] = []
        for scale in SCALES:
            self._place(top, scale)
            if self.bottom - top <= HIGHEST:
                break

    def _place(self, top: float, scale: float) -> None:
        self._places, self.folds = [top], []
        for before, after in pairwise(self._times):
            length = (after - before) * scale
            if length > MOST:
                self.folds.append((before, after))
            self._places.append(self._places[-1] + min(max(length, LEAST), MOST))

    @property
    def bottom(self) -> float:
        """Where the end is."""
        return self._places[-1]

    def y(self, at: float) -> float:
        """Where a moment is; what lies outside is at the nearer end."""
        number = bisect_right(self._times, at)
        if number == 0:
            return self._places[0]
        if number == len(self._times):
            return self._places[-1]
        before, after = self._times[number - 1], self._times[number]
        low, high = self._places[number - 1], self._places[number]
        return low + (high - low) * (at - before) / (after - before)

    def ticks(self, apart: float) -> list[float]:
        """Moments with at least so many units between them."""
        found: list[float] = []
        last = -apart
        for at, place in zip(self._times, self._places, strict=True):
            if place - last >= apart:
                found.append(at)
                last = place
        return found
