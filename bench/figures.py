"""The few statistics of a comparison: medians, percentiles, spreads, ratios of pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

NOISY = 0.25
"""A spread above this marks a figure: the machine had other load, or the run was too short."""


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two middle ones. Raises ValueError when empty."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 < share ≤ 1) of all are not above.

    Nearest rank, so the figure is a latency that some request really had. `ordered` is sorted.
    Raises ValueError when empty.
    """
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(values: Sequence[float]) -> float:
    """(largest - smallest) / median; 0 for a single value."""
    middle = median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


@dataclass(frozen=True)
class Ratio:
    """How one system compares with another over pairs that ran one after the other."""

    median: float
    low: float
    high: float


def ratio_of_pairs(ours: Sequence[float], theirs: Sequence[float]) -> Ratio | None:
    """ours / theirs for each pair, taken together; None where no pair has both."""
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=False) if other > 0]
    return Ratio(median(ratios), min(ratios), max(ratios)) if ratios else None
