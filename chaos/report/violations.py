"""Each violation with the piece of history that shows it."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.checkers import Verdict, Violation
from chaos.history import FOREVER, SECOND, Fault, History, Operation
from chaos.report.paper import say, tag
from chaos.report.piece import piece, time_of
from chaos.report.spans import sort_of
from chaos.report.tables import table
from chaos.report.text import brief

SHOWN = 40
"""Violations that are shown with their piece; the others by their sentence."""
BAR = 220.0


def violations(history: History, verdict: Verdict) -> Iterator[str]:
    """One card for each."""
    number = 0
    for judge, found in verdict.violations.items():
        for violation in found:
            number += 1
            shown = piece_table(history, violation) if number <= SHOWN else ""
            head = tag("h3", say(violation.rule), tag("small", f"judge: {say(judge)}"))
            yield tag(
                "article", head, tag("p", say(violation.text)), shown, id=f"violation-{number}"
            )


def piece_table(history: History, violation: Violation) -> str:
    """The piece of history that shows it; nothing where the violation names none."""
    items = piece(history, violation)
    if not items:
        return ""
    begin = time_of(items[0])
    end = max(_end(item) for item in items)
    rows = [_row(history, item, begin, max(end - begin, 1)) for item in items]
    heads = ("begin", "end", "who", "what", "outcome", "when")
    return table(heads, rows, "piece")


def _end(item: Operation | Fault) -> int:
    if isinstance(item, Fault) or item.end == FOREVER:
        return time_of(item)
    return item.end


def _row(history: History, item: Operation | Fault, begin: int, length: int) -> list[str]:
    at = f"{(time_of(item) - history.begin) / SECOND:.6f}"
    first = (time_of(item) - begin) / length * BAR
    if isinstance(item, Fault):
        who = ", ".join(item.nodes) or "–"
        name = " ".join(filter(None, (item.what, item.role)))
        mark = tag("rect", class_=f"span {sort_of(item.role or item.what)}", x=first, y=0.0,
                   width=2.0, height=16.0)  # fmt: skip
        detail = f"{item.seconds:.3f} s {item.detail}" if item.seconds is not None else item.detail
        return [_right(at), "", say(who), tag("b", say(name)), say(detail), _svg(mark)]
    ends = "…" if item.end == FOREVER else f"{(item.end - history.begin) / SECOND:.6f}"
    last = BAR if item.end == FOREVER else (item.end - begin) / length * BAR
    mark = tag("rect", class_=f"op {item.outcome}", x=first, y=3.0, width=max(last - first, 2.0),
               height=10.0, rx=2)  # fmt: skip
    what = tag("b", say(item.kind)) + f" {say(brief(item.arguments))}"
    said = item.why or item.slug or ""
    revision = f" revision {item.revision}" if item.revision is not None else ""
    outcome = tag("b", say(item.outcome), class_=item.outcome)
    outcome += say(f" {said}{revision} {brief(item.answer)}".rstrip())
    who = f"{item.id} at {item.node}"
    return [_right(at), _right(ends), say(who), what, outcome, _svg(mark)]


def _right(text: str) -> str:
    return tag("td", text, class_="right")


def _svg(mark: str) -> str:
    box = f"0 0 {BAR + 2:g} 16"
    return tag("svg", mark, viewBox=box, width=BAR + 2, height=16, aria_hidden="true")
