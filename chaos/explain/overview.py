"""The whole run on one strip: what each member was, the faults, and what the clients heard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from chaos.explain.focus import Focus
from chaos.explain.recording import Recording
from chaos.explain.seen import Trouble
from chaos.history import FOREVER, OUTCOMES, SECOND
from chaos.report.paper import say, short, tag
from chaos.report.spans import sort_of
from chaos.report.timeline import LEFT, RIGHT, WIDTH, nice

LANE = 22.0
FAULTS = 34.0
RATES = 44.0
Place = Callable[[float], float]
"""Virtual seconds to a place across."""
BUCKET = 0.1
"""Virtual seconds of a bar of the clients' row."""


def overview(recording: Recording, focus: Focus) -> str:
    """The strip, as SVG."""
    whole = max(recording.end, focus.end, BUCKET)

    def x(at: float) -> float:
        return LEFT + (RIGHT - LEFT) * min(1.0, max(0.0, at / whole))

    lanes = recording.members
    top = FAULTS + 8
    bottom = top + len(lanes) * LANE
    parts = [*_faults(recording.troubles, x), *_lanes(recording, x, top)]
    parts += _heard(focus, recording, x, bottom + 10)
    end = bottom + 10 + RATES
    parts.append(_window(x(focus.begin), x(focus.end), end))
    if focus.moment is not None:
        at = x(focus.moment)
        parts.append(tag("line", class_="moment", x1=at, x2=at, y1=0.0, y2=end + 6))
    step = nice(whole / 10, (1, 2, 5, 10))
    for number in range(int(whole / step) + 1):
        at = x(number * step)
        parts.append(tag("line", class_="tick", x1=at, x2=at, y1=end, y2=end + 5))
        label = f"{short(number * step)} s"
        parts.append(tag("text", label, class_="at", x=at, y=end + 19))
    box = f"0 0 {short(WIDTH)} {short(end + 26)}"
    title = tag("title", "The whole run")
    return tag("svg", title, *parts, class_="overview", viewBox=box, role="img")


def _window(begin: float, end: float, bottom: float) -> str:
    return tag(
        "rect", class_="window", x=begin, y=FAULTS, width=max(end - begin, 2.0),
        height=bottom - FAULTS,
    )  # fmt: skip


def _faults(troubles: list[Trouble], x: Place) -> Iterator[str]:
    yield tag("text", "faults", class_="name", x=LEFT - 10, y=FAULTS / 2 + 4)
    rows = [0.0, 0.0]
    for trouble in troubles:
        at = x(trouble.at)
        words = f"{trouble.at:.4f} s  {trouble.name}: {trouble.detail}"
        sort = sort_of(trouble.name)
        length = max(x(trouble.end) - at, 3.0)
        yield tag("rect", class_=f"span {sort}", x=at, y=FAULTS - 6, width=length, height=10.0,
                  data_say=words)  # fmt: skip
        room = len(trouble.name) * 6.0 + 6
        row = next((number for number, end in enumerate(rows) if end <= at), None)
        if row is not None and at + room <= RIGHT + 16:
            rows[row] = at + room
            yield tag("text", say(trouble.name), class_="fault", x=at, y=11 + row * 12)


def _lanes(recording: Recording, x: Place, top: float) -> Iterator[str]:
    rows = {member: top + row * LANE for row, member in enumerate(recording.members)}
    for member, y in rows.items():
        yield tag("text", say(member), class_="name", x=LEFT - 10, y=y + LANE / 2 + 3)
    for item in recording.stretches():
        if item.end <= item.begin:
            continue
        y, begin, end = rows[item.lane], x(item.begin), x(item.end)
        term = "" if item.kind == "down" else f" of term {item.name}"
        words = f"{item.lane}: {item.kind}{term}, {item.begin:.4f} to {item.end:.4f} s"
        yield tag("rect", class_=f"role {item.kind}", x=begin, y=y, width=max(end - begin, 0.6),
                  height=LANE - 3, data_say=words)  # fmt: skip
        label = f"T{item.name}"
        if item.kind == "leader" and len(label) * 7 + 6 < end - begin:
            yield tag("text", label, class_="term", x=begin + 4, y=y + LANE / 2 + 3)


def _heard(focus: Focus, recording: Recording, x: Place, top: float) -> Iterator[str]:
    """How many operations came to which outcome, one bar each tenth of a second."""
    yield tag("text", "clients", class_="name", x=LEFT - 10, y=top + RATES / 2 + 4)
    count = int(max(recording.end, focus.end) / BUCKET) + 1
    rows = {outcome: [0] * count for outcome in OUTCOMES}
    for item in focus.history.operations:
        known = item.begin if item.end == FOREVER else item.end
        bucket = int((known / SECOND - recording.begin) / BUCKET)
        rows[item.outcome][min(bucket, count - 1)] += 1
    stacked = [[0] * count]
    for outcome in OUTCOMES:
        stacked.append([a + b for a, b in zip(stacked[-1], rows[outcome], strict=True)])
    most = max(stacked[-1], default=0) or 1
    for outcome, (low, high) in zip(OUTCOMES, pairwise(stacked), strict=True):
        drawn = [
            f"M{short(x(n * BUCKET))} {short(top + RATES * (1 - low[n] / most))}"
            f"H{short(x((n + 1) * BUCKET))}V{short(top + RATES * (1 - high[n] / most))}"
            f"H{short(x(n * BUCKET))}Z"
            for n in range(count)
            if high[n] > low[n]
        ]
        yield tag("path", class_=f"area {outcome}", d="".join(drawn))
