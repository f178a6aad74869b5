"""The statistics, held against the standard library and by hand."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import Ratio, median, percentile, ratio_of_pairs, spread

VALUES = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=50)


@given(VALUES)
def test_median_is_the_standard_librarys(values: list[float]) -> None:
    assert median(values) == pytest.approx(statistics.median(values))


@given(VALUES, st.floats(0.01, 1.0))
def test_percentile_is_the_smallest_value_that_covers_the_share(
    values: list[float], share: float
) -> None:
    ordered = sorted(values)
    found = percentile(ordered, share)
    covered = sum(value <= found for value in ordered)
    below = sum(value < found for value in ordered)
    assert covered >= share * len(ordered) - 1e-9
    assert below < share * len(ordered) + 1e-9


def test_percentiles_of_a_hundred() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert (percentile(ordered, 0.5), percentile(ordered, 0.99), percentile(ordered, 1)) == (
        50,
        99,
        100,
    )


def test_spread_is_relative_to_the_median() -> None:
    assert spread([90.0, 100.0, 120.0]) == pytest.approx(0.3)
    assert spread([5.0]) == 0
    assert spread([0.0, 0.0]) == 0


def test_ratios_are_taken_pair_by_pair() -> None:
    # The machine grew three times faster in between; the ratio of medians would be misled.
    assert ratio_of_pairs([10.0, 20.0, 90.0], [5.0, 10.0, 30.0]) == Ratio(2.0, 2.0, 3.0)
    assert ratio_of_pairs([10.0, 20.0], [5.0]) == Ratio(2.0, 2.0, 2.0)
    assert ratio_of_pairs([10.0], [0.0]) is None
    assert ratio_of_pairs([], []) is None


def test_nothing_has_no_median() -> None:
    with pytest.raises(ValueError, match="no values"):
        median([])
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)
