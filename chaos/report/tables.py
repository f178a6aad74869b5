"""The tables of the page."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from chaos.history import OUTCOMES, Outcome
from chaos.report.paper import number, say, seconds, tag
from chaos.report.spans import sort_of
from chaos.report.windows import Summary

STRIP = (0.001, 100.0)
"""Seconds at the ends of a strip of windows; it is logarithmic."""
STRIP_WIDTH = 260.0


def table(heads: Iterable[str], rows: Iterable[Iterable[str]], class_: str = "") -> str:
    """A table; a cell is markup, and one that begins with `<td` or `<th` is taken as it is."""
    head = tag("tr", *(tag("th", text, scope="col") for text in heads))
    body = [
        tag("tr", *(c if c.startswith(("<td", "<th")) else tag("td", c) for c in row))
        for row in rows
    ]
    whole = tag("table", tag("thead", head), tag("tbody", *body), class_=class_)
    return tag("div", whole, class_="wide")


def words_list(words: Mapping[str, object]) -> str:
    """What was run; `command` is shown as code."""
    parts = []
    for key, value in words.items():
        shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        text = tag("code", say(shown)) if key == "command" else say(shown)
        parts += [tag("dt", say(key)), tag("dd", text)]
    return tag("dl", *parts)


def windows_table(found: list[Summary]) -> str:
    """Kind of fault → how long nobody was served."""
    heads = (
        *("fault", "times", "median", "longest", "longest gap", "none after"),
        _strip_scale(),
    )
    return table(heads, (_window_row(item) for item in found), "windows")


def _window_row(item: Summary) -> list[str]:
    mark = tag("i", class_=f"mark {sort_of(item.kind)}")
    return [
        tag("th", mark, say(item.kind), scope="row"),
        _right(number(item.count)),
        _right(_time(item.median)),
        _right(_time(item.longest)),
        _right(_time(item.gap)),
        _right(number(item.without) if item.without else "–", "bad" if item.without else ""),
        _strip(item),
    ]


def _time(value: float | None) -> str:
    return "–" if value is None else seconds(value)


def _right(text: str, class_: str = "") -> str:
    return tag("td", text, class_=f"right {class_}".strip())


def _place(value: float) -> float:
    low, high = (math.log10(end) for end in STRIP)
    share = (math.log10(max(value, STRIP[0])) - low) / (high - low)
    return 6 + (STRIP_WIDTH - 12) * min(1.0, share)


def _strip(item: Summary) -> str:
    marks = [_decade(power) for power in range(-3, 3)]
    marks += [
        tag("circle", class_=f"dot {sort_of(item.kind)}", cx=_place(value), cy=11, r=4)
        for value in item.times
    ]
    if item.median is not None:
        x = _place(item.median)
        marks.append(tag("line", class_="median", x1=x, x2=x, y1=2, y2=20))
    return _svg(marks, 22)


def _decade(power: int) -> str:
    x = _place(10.0**power)
    return tag("line", class_="grid", x1=x, x2=x, y1=0, y2=22)


def _decade_words(power: int) -> str:
    return f"{10**power} s" if power >= 0 else seconds(10.0**power)


def _strip_scale() -> str:
    ends = {-3: "start", 2: "end"}
    marks = [
        tag(
            "text",
            _decade_words(power),
            x=_place(10.0**power),
            y=12,
            text_anchor=ends.get(power, "middle"),
        )
        for power in range(-3, 3)
    ]
    return tag("span", "time to the next accepted write, each fault", class_="unseen") + _svg(
        marks, 16
    )


def _svg(marks: list[str], height: int) -> str:
    box = f"0 0 {STRIP_WIDTH:g} {height}"
    return tag(
        "svg", *marks, class_="strip", viewBox=box, width=STRIP_WIDTH, height=height,
        aria_hidden="true",
    )  # fmt: skip


def counts_table(counts: dict[str, Counter[Outcome]]) -> str:
    """Kind of operation → outcome → how many."""
    whole: Counter[Outcome] = Counter()
    for outcomes in counts.values():
        whole += outcomes
    most = max((outcomes.total() for outcomes in counts.values()), default=1)
    rows = [_count_row(say(kind), outcomes, most) for kind, outcomes in counts.items()]
    rows.append(_count_row("all", whole, 0))
    return table(("operation", "accepted", *OUTCOMES[1:], "all", ""), rows, "counts")


def _count_row(name: str, outcomes: Counter[Outcome], most: int) -> list[str]:
    cells = [_right(number(outcomes[one]) if outcomes[one] else "–") for one in OUTCOMES]
    parts = [
        tag("i", class_=f"part {one}", style=f"width:{outcomes[one] / most * 100:.2f}%")
        for one in OUTCOMES
        if most and outcomes[one]
    ]
    bar = tag("div", *parts, class_="bar") if most else ""
    return [tag("th", name, scope="row"), *cells, _right(number(outcomes.total())), bar]
