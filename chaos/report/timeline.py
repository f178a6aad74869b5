"""The picture of a run: faults over throughput over latency, on one axis of time, as SVG.

It is drawn for 1,200 units across and can be read without any script. The script stretches what
is in `.time` along the axis, moves what has `data-x`, and writes new ticks (`page.js`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import msgspec

from chaos.history import SECOND, History, Outcome
from chaos.report.paper import data, say, seconds, short, tag
from chaos.report.series import Series
from chaos.report.spans import Span, lanes, levels

WIDTH = 1200.0
LEFT = 84.0
RIGHT = 1184.0
LANE = 24.0
GAP = 34.0
CHARACTER = 6.4
"""Units that a letter of a label takes, about."""
RATES, NOTHING, LATENCIES = 150.0, 56.0, 150.0
"""Heights of the plots."""


class Axis:
    """Time across: `begin` in ns and how many seconds there are."""

    def __init__(self, begin: int, seconds_: float) -> None:
        self.begin = begin
        self.seconds = max(seconds_, 1e-9)

    def x(self, at: int) -> float:
        """Where a time in ns is."""
        return self.place((at - self.begin) / SECOND)

    def place(self, at: float) -> float:
        """Where so many seconds after the begin are."""
        return LEFT + (RIGHT - LEFT) * min(1.0, max(0.0, at / self.seconds))

    def ticks(self) -> list[float]:
        """Round numbers of seconds."""
        step = nice(self.seconds / 10, (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600))
        return [step * number for number in range(int(self.seconds / step) + 1)]


def nice(least: float, steps: tuple[float, ...]) -> float:
    """The first of the steps that is not below, or a power of ten times 1, 2 or 5."""
    if least >= 1:
        found = next((step for step in steps if step >= least), None)
        if found is not None:
            return found
    power = float(10 ** math.floor(math.log10(max(least, 1e-12))))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= least * 0.999)


def picture(history: History, series: Series, found: list[Span]) -> str:
    """The SVG and the numbers that the script shows when somebody points at it."""
    axis = Axis(series.begin, series.seconds)
    names = lanes(history, found)
    parts: list[str] = []
    y = 8.0
    parts += _faults(axis, names, found, y)
    y += len(names) * LANE + GAP
    parts += _rates(axis, series, y)
    y += RATES + GAP
    parts += _without_answer(axis, series, y)
    y += NOTHING + GAP
    parts += _latencies(axis, series, y)
    y += LATENCIES
    parts.append(_ticks(axis, y))
    parts.append(tag("line", class_="cursor", x1=-9, x2=-9, y1=8.0, y2=y))
    parts.append(tag("rect", class_="chosen", x=-9, width=0.0, y=8.0, height=y - 8))
    height = y + 28
    clip = tag("rect", x=LEFT, y=0.0, width=RIGHT - LEFT, height=height)
    svg = tag(
        "svg",
        tag("title", "Faults, throughput and latency over time"),
        tag("desc", say(_described(series, found))),
        tag("defs", tag("clipPath", clip, id="plot")),
        *parts,
        id="timeline",
        viewBox=f"0 0 {short(WIDTH)} {short(height)}",
        role="img",
        data_seconds=axis.seconds,
        data_left=LEFT,
        data_right=RIGHT,
    )
    return svg + data("numbers", _numbers(axis, series, found))


def _described(series: Series, found: list[Span]) -> str:
    accepted = sum(series.counts["ok"])
    return f"{len(found)} faults and {accepted} accepted operations in {seconds(series.seconds)}."


def _numbers(axis: Axis, series: Series, found: list[Span]) -> bytes:
    def milliseconds(values: list[float | None]) -> list[float | None]:
        return [None if value is None else round(value * 1e3, 2) for value in values]

    shown = {
        "width": series.width / SECOND,
        "counts": list(series.counts.values()),
        "latencies": [milliseconds(v) for v in (series.median, series.high, series.longest)],
        "spans": [
            [
                round((span.begin - axis.begin) / SECOND, 3),
                None if span.end is None else round((span.end - axis.begin) / SECOND, 3),
                span.lane,
                span.name,
                span.detail[:200],
            ]
            for span in found
        ],
    }
    return msgspec.json.encode(shown)


# Faults.


def _faults(axis: Axis, names: list[str], found: list[Span], top: float) -> Iterator[str]:
    bars: list[str] = []
    labels: list[str] = []
    placed = levels(found)
    for row, lane in enumerate(names):
        y = top + row * LANE
        yield tag("rect", class_="lane", x=LEFT, y=y, width=RIGHT - LEFT, height=LANE - 3)
        yield tag("text", say(lane), class_="name", x=LEFT - 10, y=y + LANE / 2 + 2.5)
        following = RIGHT
        for number, span in reversed([*enumerate(found)]):
            if span.lane != lane:
                continue
            level, of = placed[number]
            height = (LANE - 3) / of
            bars.append(_bar(axis, span, number, y + level * height, height))
            if of == 1 and span.sort != "start":
                labels.append(_label(axis, span, following, y))
            following = axis.x(span.begin)
    yield _on_time(*reversed(bars))
    yield tag("g", *reversed(labels), class_="labels", clip_path="url(#plot)")


def _on_time(*drawn: str) -> str:
    return tag("g", tag("g", *drawn, class_="time"), clip_path="url(#plot)")


def _bar(axis: Axis, span: Span, number: int, y: float, height: float) -> str:
    x = axis.x(span.begin)
    end = RIGHT if span.end is None else axis.x(span.end)
    return tag(
        "rect",
        class_=f"span {span.sort}" + (" open" if span.end is None else ""),
        x=x,
        y=y,
        width=max(end - x, 1.0),
        height=height,
        data_span=number,
    )


def _label(axis: Axis, span: Span, following: float, y: float) -> str:
    """The fault's name on its bar, or behind it where the lane is free up to `following`."""
    x = axis.x(span.begin)
    end = RIGHT if span.end is None else axis.x(span.end)
    room = len(span.name) * CHARACTER + 8
    inside, behind = room < end - x, room < following - end
    place = "label" if inside else "label behind" if behind else "label hidden"
    return tag(
        "text",
        say(span.name),
        class_=place,
        x=(end if behind and not inside else x) + 5,
        y=y + LANE / 2 + 2.5,
        data_x=x,
        data_end=end,
        data_following=following,
    )


# Plots.


def _rates(axis: Axis, series: Series, top: float) -> Iterator[str]:
    size = range(series.size)
    accepted = [series.rate("ok", bucket) for bucket in size]
    both = [accepted[bucket] + series.rate("refused", bucket) for bucket in size]
    highest = _round_up(max(both, default=0))
    yield _title("operations a second", top)
    yield from _scale(top, RATES, [0, highest / 2, highest], lambda v: v / highest, _count)
    yield _on_time(
        _area(axis, series, both, highest, top, RATES, "refused"),
        _area(axis, series, accepted, highest, top, RATES, "ok"),
    )


def _without_answer(axis: Axis, series: Series, top: float) -> Iterator[str]:
    size = range(series.size)
    unknown = [series.rate("unknown", bucket) for bucket in size]
    both = [unknown[bucket] + series.rate("never-sent", bucket) for bucket in size]
    highest = _round_up(max(both, default=0))
    yield _title("without an outcome, a second", top)
    yield from _scale(top, NOTHING, [0, highest], lambda v: v / highest, _count)
    yield _on_time(
        _area(axis, series, both, highest, top, NOTHING, "never-sent"),
        _area(axis, series, unknown, highest, top, NOTHING, "unknown"),
    )


def _latencies(axis: Axis, series: Series, top: float) -> Iterator[str]:
    known = [value for value in (*series.median, *series.longest) if value]
    lowest = math.floor(math.log10(min(known, default=0.001)))
    decades = max(1, math.ceil(math.log10(max(known, default=1.0)) - 1e-9) - lowest)

    def share(value: float) -> float:
        return (math.log10(max(value, 1e-9)) - lowest) / decades

    yield _title("latency of what was accepted", top)
    steps = [10.0**power for power in range(lowest, lowest + decades + 1)]
    yield from _scale(top, LATENCIES, steps, share, seconds)
    yield _on_time(
        *(
            _line(axis, series, values, share, top, LATENCIES, name)
            for name, values in (
                ("longest", series.longest),
                ("high", series.high),
                ("median", series.median),
            )
        )
    )


def _area(
    axis: Axis,
    series: Series,
    values: list[float],
    highest: float,
    top: float,
    height: float,
    class_: Outcome,
) -> str:
    """Steps from bucket to bucket, filled; equal neighbours are one step."""
    bottom = top + height
    drawn = [f"M{short(LEFT)} {short(bottom)}"]
    before = None
    width = series.width / SECOND
    for bucket, value in enumerate(values):
        y = short(bottom - height * value / highest)
        if y != before:
            drawn.append(f"H{short(axis.place(bucket * width))}V{y}")
            before = y
    drawn.append(f"H{short(RIGHT)}V{short(bottom)}Z")
    return tag("path", class_=f"area {class_}", d="".join(drawn))


def _line(
    axis: Axis,
    series: Series,
    values: list[float | None],
    share: Callable[[float], float],
    top: float,
    height: float,
    class_: str,
) -> str:
    """A line through the middles of the buckets, with holes where nothing was accepted."""
    drawn = []
    width = series.width / SECOND
    pen = "M"
    for bucket, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        y = top + height * (1 - min(1.0, max(0.0, share(value))))
        x = axis.place((bucket + 0.5) * width)
        drawn.append(f"{pen}{short(x)} {short(y)}" + ("h.01" if pen == "M" else ""))
        pen = "L"
    return tag("path", class_=f"line {class_}", d="".join(drawn))


def _title(words: str, top: float) -> str:
    return tag("text", say(words), class_="plot", x=LEFT, y=top - 9)


def _scale(
    top: float,
    height: float,
    values: list[float],
    share: Callable[[float], float],
    words: Callable[[float], str],
) -> Iterator[str]:
    for value in values:
        y = top + height * (1 - share(value))
        yield tag("line", class_="grid", x1=LEFT, x2=RIGHT, y1=y, y2=y)
        yield tag("text", say(words(value)), class_="scale", x=LEFT - 10, y=y + 3.5)


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def _round_up(value: float) -> float:
    power = float(10 ** math.floor(math.log10(value))) if value > 0 else 1.0
    return next(power * digit for digit in (1, 2, 3, 4, 5, 6, 8, 10) if power * digit >= value)


def _ticks(axis: Axis, bottom: float) -> str:
    marks = []
    for at in axis.ticks():
        x = axis.place(at)
        marks.append(tag("line", class_="tick", x1=x, x2=x, y1=bottom, y2=bottom + 5))
        marks.append(tag("text", clock(at), class_="at", x=x, y=bottom + 20))
    return tag("g", *marks, id="ticks", data_y=bottom)


def clock(at: float) -> str:
    """Seconds since the begin, as on the axis."""
    if at < 60:
        return f"{at:g} s"
    minutes, rest = divmod(at, 60)
    return f"{int(minutes)}:{rest:02g}"
