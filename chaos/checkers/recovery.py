"""Whether the cluster came back after each fault, and how soon.

A fault that lasts is told by two lines, `begin` and `end`, with its name as their role; a kill by
`kill` and `recovered`. What a caller notices of a fault is the time without an accepted write.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from chaos.checkers.facts import is_write
from chaos.checkers.violation import Violation
from chaos.history import FOREVER, SECOND, Fault, History, Operation

PATIENCE = "patience"
"""Stands in the `run` of a history: seconds within which a write must be accepted again."""
DEFAULT_PATIENCE = 60.0
AFTERMATH = 5 * SECOND
"""Nanoseconds behind the end of a fault that count as its own: what it delayed comes then."""
ENDS = {"begin": "end", "kill": "recovered"}
"""The line that begins a fault, and the one that ends it."""


@dataclass(frozen=True)
class Recovery:
    """A kill, and the seconds to the end of the first write that began behind it and was accepted;
    None where there was none."""

    kill: Fault
    seconds: float | None


@dataclass(frozen=True)
class Window:
    """A fault, and what callers noticed of it.

    Args:
        kind: its name; `kill-leader`, `kill-follower`, `kill-all` for kills.
        begin, end: in nanoseconds; `end` is the last moment of the history where nothing says
            that it ended.
        seconds: from its begin to the end of the first write that began behind it and was
            accepted; None where there was none.
        gap: the longest time without an accepted write, in seconds, from its begin to 5 s behind
            its end, or to the begin of the next fault.
        ended: whether the history says when it ended.
    """

    kind: str
    begin: int
    end: int
    seconds: float | None
    gap: float
    nodes: tuple[str, ...] = ()
    round: int = 0
    detail: str = ""
    ended: bool = True


class _Writes:
    """The accepted writes of a history."""

    def __init__(self, history: History) -> None:
        writes = [item for item in history.operations if item.ok and is_write(item.kind)]
        self.begins = [item.begin for item in writes]
        # earliest[i]: the earliest end among the writes from i on.
        self.earliest = [item.end for item in writes]
        self.ends = sorted(self.earliest)
        for at in range(len(writes) - 2, -1, -1):
            self.earliest[at] = min(self.earliest[at], self.earliest[at + 1])

    def next_after(self, moment: int) -> int | None:
        """When the first of those that began behind the moment was accepted."""
        at = bisect_left(self.begins, moment)
        return self.earliest[at] if at < len(self.begins) else None

    def longest_gap(self, begin: int, end: int) -> int:
        """The longest time between two acceptances, or one and an edge of the time asked for."""
        inside = self.ends[bisect_left(self.ends, begin) : bisect_right(self.ends, end)]
        moments = [begin, *inside, max(begin, end)]
        return max(b - a for a, b in pairwise(moments))


def recoveries(history: History) -> list[Recovery]:
    """One for each kill, in the order of their times."""
    writes = _Writes(history)
    kills = [fault for fault in history.faults if fault.what == "kill"]
    return [Recovery(kill, _seconds(kill.at, writes.next_after(kill.at))) for kill in kills]


def windows(history: History) -> list[Window]:
    """One for each fault, in the order of their begins."""
    writes, last, asked = _Writes(history), _last_moment(history), _last_asked(history)
    found = []
    begins = sorted(item.at for item in history.faults if item.what in ENDS)
    for begin, end in _pairs(history.faults):
        over = max(begin.at, last) if end is None else end.at
        # What comes behind the begin of the next fault is that one's.
        following = next((at for at in begins if at > over), over + AFTERMATH)
        until = min(over + AFTERMATH, following, max(asked, begin.at))
        kind = f"kill-{begin.role}" if begin.what == "kill" else begin.role
        window = Window(
            kind,
            begin.at,
            over,
            _seconds(begin.at, writes.next_after(begin.at)),
            writes.longest_gap(begin.at, until) / SECOND,
            begin.nodes,
            begin.round,
            begin.detail,
            end is not None,
        )
        found.append(window)
    return found


def _seconds(begin: int, end: int | None) -> float | None:
    return None if end is None else (end - begin) / SECOND


def _last_asked(history: History) -> int:
    """Until when somebody asked for writes: that none is accepted behind the load says nothing."""
    writes = [item for item in history.operations if is_write(item.kind)]
    return max(map(_moment, writes), default=_last_moment(history))


def _moment(item: Operation) -> int:
    return item.end if item.end != FOREVER else item.begin


def _last_moment(history: History) -> int:
    """The last moment at which somebody was seen to ask, or to be answered."""
    moments = map(_moment, history.operations)
    return max([*moments, *(fault.at for fault in history.faults)], default=0)


def _pairs(faults: Iterable[Fault]) -> Iterator[tuple[Fault, Fault | None]]:
    """Each fault's first line with the one that ends it, in the order of the first ones."""
    ends: dict[int, Fault] = {}
    begun: list[Fault] = []
    for fault in faults:
        if fault.what in ENDS:
            begun.append(fault)
            continue
        for at, begin in enumerate(begun):
            same = (begin.round, begin.role) == (fault.round, fault.role)
            if at not in ends and same and ENDS[begin.what] == fault.what:
                ends[at] = fault
                break
    for at, begin in enumerate(begun):
        yield begin, ends.get(at)


def judge(history: History) -> Iterator[Violation]:
    """After every fault the cluster accepts writes again, and its nodes come back.

    One that leaves a majority untouched has no effect on it for longer than the patience, counted
    from its begin; any other none for longer than that behind its end. What the history is too
    short for is not judged.
    """
    for fault in history.faults:
        if fault.what == "no-recovery":
            text = f"round {fault.round}: {fault.detail}"
            before = [item for item in history.faults if item.round == fault.round]
            yield Violation("no recovery", text, faults=tuple(before[-6:]))
    yield from _not_in_time(history)


def _not_in_time(history: History) -> Iterator[Violation]:
    writes = _Writes(history)
    asked = max((item.begin for item in history.operations if is_write(item.kind)), default=0)
    patience = float(history.run.get(PATIENCE, DEFAULT_PATIENCE))
    for begin, end in _pairs(history.faults):
        if begin.what != "begin":
            continue
        minority = 0 < len(begin.nodes) <= (len(history.nodes) - 1) // 2
        if not minority and end is None:
            continue
        since = begin if minority or end is None else end
        accepted = writes.next_after(since.at)
        until = since.at + int(patience * SECOND)
        if (accepted is None or accepted > until) and asked > until:
            text = (
                f"no write was accepted within {patience:g} s of the {since.what} of"
                f" {begin.role}, which hit {', '.join(begin.nodes) or 'the links'}"
            )
            shown = (begin,) if end is None else (begin, end)
            yield Violation("no recovery", text, faults=shown)
