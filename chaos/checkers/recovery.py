"""Whether the cluster came back after each fault, and how soon."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from chaos.checkers.facts import is_write
from chaos.checkers.violation import Violation
from chaos.history import SECOND, Fault, History


@dataclass(frozen=True)
class Recovery:
    """A kill, and the seconds to the end of the first write that began behind it and was accepted;
    None where there was none."""

    kill: Fault
    seconds: float | None


def recoveries(history: History) -> list[Recovery]:
    """One for each kill, in the order of their times."""
    writes = [item for item in history.operations if is_write(item.kind) and item.ok]
    # earliest[i]: the earliest end among the writes from i on.
    earliest = [item.end for item in writes]
    for at in range(len(earliest) - 2, -1, -1):
        earliest[at] = min(earliest[at], earliest[at + 1])
    begins = [item.begin for item in writes]
    found = []
    for fault in history.faults:
        if fault.what == "kill":
            at = bisect_left(begins, fault.at)
            seconds = (earliest[at] - fault.at) / SECOND if at < len(writes) else None
            found.append(Recovery(fault, seconds))
    return found


def judge(history: History) -> Iterator[Violation]:
    """After every kill, the cluster accepts writes again and its nodes come back."""
    for fault in history.faults:
        if fault.what == "no-recovery":
            text = f"round {fault.round}: {fault.detail}"
            before = [item for item in history.faults if item.round == fault.round]
            yield Violation("no recovery", text, faults=tuple(before[-6:]))
