"""The verdict as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from statistics import median
from typing import Any

from chaos.checkers import Verdict, Violation
from chaos.checkers.recovery import windows
from chaos.history import FOREVER, OUTCOMES, SECOND, Fault, History, Operation, Outcome
from chaos.report.piece import piece
from chaos.report.windows import Summary, summaries

LONGEST = 200
"""Characters of arguments or an answer that are shown."""


def report(history: History, verdict: Verdict) -> Iterator[str]:
    """Lines: counts, recoveries by kind of fault, violations each with the piece of history that
    shows it, and the verdict."""
    yield ""
    yield from _counts(verdict.counts)
    yield ""
    yield from _recoveries(verdict)
    yield from _windows(summaries(windows(history)))
    for name, violations in verdict.violations.items():
        for violation in violations:
            yield ""
            yield f"VIOLATION ({name}) {violation.rule}: {violation.text}"
            yield from _piece(history, violation)
    for name, unknown in verdict.undecided.items():
        yield ""
        for said in unknown:
            yield f"UNDECIDED ({name}) {said.of}: {said.text}"
    yield ""
    found = sum(map(len, verdict.violations.values()))
    judges = ", ".join(verdict.violations)
    if found:
        yield f"{found} violation{'s' if found > 1 else ''} (judges: {judges})"
    else:
        yield f"no violation (judges: {judges})"


def _counts(counts: dict[str, Counter[Outcome]]) -> Iterator[str]:
    yield f"{'operations':<24}" + "".join(f"{outcome:>12}" for outcome in OUTCOMES)
    total: Counter[Outcome] = Counter()
    for kind, outcomes in counts.items():
        total += outcomes
        yield f"{kind:<24}" + "".join(f"{outcomes[outcome]:>12}" for outcome in OUTCOMES)
    yield f"{'all':<24}" + "".join(f"{total[outcome]:>12}" for outcome in OUTCOMES)


def _recoveries(verdict: Verdict) -> Iterator[str]:
    for role, what in (
        ("leader", "the leader"),
        ("follower", "a follower"),
        ("all", "all nodes, and their start"),
    ):
        kills = [found for found in verdict.recoveries if found.kill.role == role]
        times = [found.seconds for found in kills if found.seconds is not None]
        if kills:
            text = f"median {median(times):.3f} s, max {max(times):.3f} s" if times else "none"
            yield f"next accepted write after a kill of {what}: {text} ({len(kills)} kills)"


def _windows(found: list[Summary]) -> Iterator[str]:
    if not found:
        return
    heads = ("times", "median", "longest", "longest gap", "none after")
    yield ""
    yield f"{'seconds to a write, behind':<28}" + "".join(f"{head:>12}" for head in heads)
    for item in found:
        times = (item.median, item.longest, item.gap)
        cells = (str(item.count), *map(_seconds, times), str(item.without or "-"))
        yield f"{item.kind:<28}" + "".join(f"{cell:>12}" for cell in cells)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _piece(history: History, violation: Violation) -> Iterator[str]:
    for item in piece(history, violation):
        begin = history.begin
        yield "  " + (
            operation_line(item, begin) if isinstance(item, Operation) else fault_line(item, begin)
        )


def operation_line(item: Operation, begin: int) -> str:
    """One operation; times in seconds since `begin`."""
    end = "…" if item.end == FOREVER else f"{(item.end - begin) / SECOND:.6f}"
    said = item.slug or ""
    if item.why:
        said = item.why
    revision = f" revision {item.revision}" if item.revision is not None else ""
    return (
        f"{(item.begin - begin) / SECOND:.6f}–{end} s  {item.id} at {item.node}:"
        f" {item.kind}({brief(item.arguments)}) → {item.outcome} {said}{revision}"
        f" {brief(item.answer)}".rstrip()
    )


def fault_line(item: Fault, begin: int) -> str:
    """One fault; its time in seconds since `begin`."""
    role = f" ({item.role})" if item.role else ""
    seconds = f" {item.seconds:.3f} s" if item.seconds is not None else ""
    return (
        f"{(item.at - begin) / SECOND:.6f} s  round {item.round}: {item.what}"
        f" {', '.join(item.nodes)}{role}{seconds} {item.detail}".rstrip()
    )


def brief(shown: dict[str, Any]) -> str:
    """Arguments or an answer on one line, without what every refusal says."""
    hidden = ("type", "title", "status", "detail")
    text = ", ".join(f"{key}={value}" for key, value in shown.items() if key not in hidden)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"
