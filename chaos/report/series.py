"""Throughput and latency of a history, in buckets of time that are all of the same width."""

from __future__ import annotations

from dataclasses import dataclass, field

from chaos.history import FOREVER, OUTCOMES, SECOND, History, Operation, Outcome

_MILLISECOND = SECOND // 1000
WIDTHS = tuple(_MILLISECOND * ms for ms in (250, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000))
MOST = 2000
"""Buckets: more than twice as many as a screen has columns for them, so that zooming shows more."""


@dataclass
class Series:
    """What was measured.

    Args:
        begin: time of the first bucket's begin in ns. width: of each, in ns.
        counts: outcome → how many operations came to it in each bucket.
        median, high, longest: of the latencies in a bucket, in seconds: the 50th and the 99th
            percentile and the maximum; None where there were none.
    """

    begin: int
    width: int
    counts: dict[Outcome, list[int]] = field(default_factory=dict)
    median: list[float | None] = field(default_factory=list)
    high: list[float | None] = field(default_factory=list)
    longest: list[float | None] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many buckets."""
        return len(self.median)

    @property
    def seconds(self) -> float:
        """From the first bucket's begin to the last one's end."""
        return self.size * self.width / SECOND

    def rate(self, outcome: Outcome, bucket: int) -> float:
        """Operations a second."""
        return self.counts[outcome][bucket] * SECOND / self.width


def measure(history: History) -> Series:
    """Count each operation where its outcome was known, or, where it never was, at its begin."""
    begin = history.begin
    last = max((_known(item) for item in history.operations), default=begin)
    last = max(last, max((item.at for item in history.faults), default=begin))
    width = next((one for one in WIDTHS if (last - begin) // one < MOST), WIDTHS[-1])
    size = (last - begin) // width + 1
    series = Series(begin, width, {outcome: [0] * size for outcome in OUTCOMES})
    latencies: list[list[int]] = [[] for _ in range(size)]
    for item in history.operations:
        bucket = (_known(item) - begin) // width
        series.counts[item.outcome][bucket] += 1
        if item.outcome == "ok" and "wait" not in item.arguments:
            latencies[bucket].append(item.end - item.begin)
    for found in latencies:
        found.sort()
        series.median.append(percentile(found, 50))
        series.high.append(percentile(found, 99))
        series.longest.append(percentile(found, 100))
    return series


def percentile(ordered: list[int], share: int) -> float | None:
    """The nearest rank, of nanoseconds, in seconds."""
    if not ordered:
        return None
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)] / SECOND


def _known(item: Operation) -> int:
    return item.begin if item.end == FOREVER else item.end
