"""How long nobody was served, by kind of fault."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from chaos.checkers.recovery import Window


@dataclass(frozen=True)
class Summary:
    """The windows of one kind of fault.

    Args:
        kind: of fault. count: how often it was done.
        times: seconds to the next accepted write, ascending, of those behind which there was one.
        without: how many had none.
        gap: the longest time without an accepted write while such a fault was at work, in seconds.
    """

    kind: str
    count: int
    times: tuple[float, ...]
    without: int
    gap: float

    @property
    def median(self) -> float | None:
        """None where no write was accepted after any."""
        return median(self.times) if self.times else None

    @property
    def longest(self) -> float | None:
        """None where no write was accepted after any."""
        return self.times[-1] if self.times else None


def summaries(found: list[Window]) -> list[Summary]:
    """One for each kind: first those behind which nothing was accepted, then the longest."""
    kinds: dict[str, list[Window]] = {}
    for window in found:
        kinds.setdefault(window.kind, []).append(window)
    known = [_summary(kind, of_kind) for kind, of_kind in kinds.items()]
    return sorted(known, key=lambda item: (-item.without, -(item.longest or 0), item.kind))


def _summary(kind: str, of_kind: list[Window]) -> Summary:
    times = sorted(window.seconds for window in of_kind if window.seconds is not None)
    gap = max(window.gap for window in of_kind)
    return Summary(kind, len(of_kind), tuple(times), len(of_kind) - len(times), gap)
