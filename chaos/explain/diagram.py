"""The space-time diagram (Lamport 1978): time downwards, a column for each member and client, an
arrow for each message."""

from __future__ import annotations

import math
from collections.abc import Iterator

from chaos.explain.descent import Descent
from chaos.explain.focus import Focus
from chaos.explain.lanes import AGENT, BAND, Lanes, lanes
from chaos.explain.recording import Recording
from chaos.explain.seen import Mark, Message, Stretch, Trouble
from chaos.history import FOREVER, SECOND, Operation
from chaos.report.paper import say, seconds, short, tag
from chaos.report.spans import sort_of

TOP = 14.0
NOISE = ("heartbeat", "handshake", "client")
"""Groups of messages that make no room for themselves: they are hidden at first."""
APART = 12.0
"""Units between two labels of one way, at least."""
HEAD = 5.0


class Diagram:
    """What is shown, and where. `axis`: time downwards."""

    def __init__(self, recording: Recording, focus: Focus) -> None:
        self._focus = focus
        self._begin = recording.begin
        begin, end = focus.begin, focus.end
        self.messages = [m for m in recording.messages if begin <= m.at and m.sent <= end]
        self.marks = [mark for mark in recording.marks if begin <= mark.at <= end]
        self._stretches = [s for s in recording.stretches() if s.begin <= end and s.end >= begin]
        self._troubles = [t for t in recording.troubles if t.at <= end and t.end >= begin]
        self._operations = [op for op in focus.history.operations if self._is_in(op)]
        members = [m for m in recording.members if any(s.lane == m and _lives(s) for s in
                   self._stretches)] or list(recording.members)  # fmt: skip
        self._lanes: Lanes = lanes(members, self._operations)
        self.axis = Descent(self._moments(), begin, end, TOP)

    def groups(self) -> dict[str, int]:
        """Group → how many messages."""
        found: dict[str, int] = {}
        for message in self.messages:
            found[message.group] = found.get(message.group, 0) + 1
        return found

    def svg(self) -> str:
        """The picture."""
        height = self.axis.bottom + 40
        parts = [
            *self._time(),
            *self._bands(),
            *self._faults(),
            *self._arrows(),
            *self._dots(),
            *self._bars(),
            *self._moment(),
        ]
        return tag(
            "svg",
            tag("title", "Messages between members and clients"),
            *parts,
            class_="diagram",
            viewBox=f"0 0 {short(self._lanes.width)} {short(height)}",
            width=self._lanes.width,
            height=height,
            role="img",
        )

    def head(self) -> str:
        """The names of the columns, which stay in sight."""
        names = [
            tag("text", say(name), class_="column", x=x, y=17)
            for name, x in self._lanes.members.items()
        ]
        names += [
            tag("text", say(name), class_="column client", x=x, y=17)
            for name, x in self._lanes.clients.items()
        ]
        width = short(self._lanes.width)
        return tag("svg", *names, class_="head", viewBox=f"0 0 {width} 26", width=width, height=26)

    # What is in sight.

    def _at(self, nanoseconds: int) -> float:
        return nanoseconds / SECOND - self._begin

    def _ends(self, item: Operation) -> float:
        return self._focus.end if item.end == FOREVER else self._at(item.end)

    def _is_in(self, item: Operation) -> bool:
        return self._at(item.begin) <= self._focus.end and self._ends(item) >= self._focus.begin

    def _moments(self) -> Iterator[float]:
        for message in self.messages:
            if message.group not in NOISE:
                yield from (message.sent, message.at)
        for mark in self.marks:
            yield mark.at
        for item in self._operations:
            yield from (self._at(item.begin), self._ends(item))
        for trouble in self._troubles:
            yield from (trouble.at, trouble.end)
        if self._focus.moment is not None:
            yield self._focus.moment

    # The parts.

    def _time(self) -> Iterator[str]:
        right = self._lanes.width - 10
        for at in self.axis.ticks(40.0):
            y = self.axis.y(at)
            yield tag("line", class_="grid", x1=78.0, x2=right, y1=y, y2=y)
            yield tag("text", f"{at:.5f}", class_="scale", x=70.0, y=y + 3.5)
        for before, after in self.axis.folds:
            y = (self.axis.y(before) + self.axis.y(after)) / 2
            yield tag("text", f"⋮ {seconds(after - before)}", class_="fold", x=70.0, y=y + 3.5)

    def _bands(self) -> Iterator[str]:
        for item in self._stretches:
            x = self._lanes.members.get(item.lane)
            if x is None:
                continue
            begin, end = self.axis.y(item.begin), self.axis.y(item.end)
            term = "" if item.kind == "down" else f"T{item.name} "
            words = f"{item.lane}: {item.kind}, term {item.name}" if term else f"{item.lane}: down"
            yield tag("rect", class_=f"role {item.kind}", x=x - BAND / 2, y=begin, width=BAND,
                      height=max(end - begin, 1.0), data_say=words)  # fmt: skip
            if end - begin >= APART:
                yield tag("text", f"{term}{item.kind}", class_="state", x=x - BAND / 2 - 5,
                          y=begin + 10)  # fmt: skip

    def _faults(self) -> Iterator[str]:
        for number, item in enumerate(self._troubles):
            begin, end = self.axis.y(item.at), self.axis.y(item.end)
            columns = [self._lanes.members[lane] for lane in item.lanes if lane in
                       self._lanes.members]  # fmt: skip
            shown = f"span {sort_of(item.name)}"
            aside = BAND / 2 + 4 if columns else 0.0
            beside = 92.0 + 7 * (number % 4)
            for x in columns or [beside]:
                yield tag("rect", class_=shown, x=x - aside, y=begin, width=4.0,
                          height=max(end - begin, 4.0), data_say=_fault(item))  # fmt: skip
            place = "fault" if columns else "fault links"
            x = columns[0] - BAND / 2 - 8 if columns else beside + 9
            yield tag("text", say(item.name), class_=place, x=x, y=max(begin, TOP) + 22)

    def _arrows(self) -> Iterator[str]:
        last: dict[tuple[str, str], float] = {}
        groups: dict[str, list[str]] = {}
        for item in self.messages:
            drawn = groups.setdefault(item.group, [])
            x1, x2 = self._edges(item)
            y1, y2 = self.axis.y(item.sent), self.axis.y(item.at)
            words = f"{item.source} → {item.target}  {item.name}\n{item.words}".rstrip()
            took = f"{item.sent:.6f} to {item.at:.6f} s"
            drawn.append(tag("path", d=_arrow(x1, y1, x2, y2), data_say=f"{words}\n{took}"))
            way = (item.source, item.target)
            if item.group not in NOISE and y2 - last.get(way, -APART) >= APART:
                last[way] = y2
                share = 0.7
                drawn.append(
                    tag("text", say(item.name), x=x1 + (x2 - x1) * share,
                        y=y1 + (y2 - y1) * share - 2)
                )  # fmt: skip
        for group, drawn in groups.items():
            yield tag("g", *drawn, class_=f"messages {group}")

    def _edges(self, item: Message) -> tuple[float, float]:
        source, target = self._lanes.x(item.source), self._lanes.x(item.target)
        side = math.copysign(BAND / 2, target - source)
        return (
            source + (side if item.source in self._lanes.members else 0.0),
            target - (side if item.target in self._lanes.members else 0.0),
        )

    def _dots(self) -> Iterator[str]:
        groups: dict[str, list[str]] = {}
        last: dict[str, float] = {}
        for mark in self.marks:
            x = self._lanes.members.get(mark.lane)
            if x is not None:
                y = self.axis.y(mark.at)
                groups.setdefault(mark.kind, []).append(_dot(mark, x, y))
                if mark.kind in _NAMED and y - last.get(mark.lane, -APART) >= APART:
                    last[mark.lane] = y
                    label = tag("text", say(mark.name), x=x + BAND / 2 + 5, y=y + 3.5)
                    groups[mark.kind].append(label)
        for kind, drawn in groups.items():
            yield tag("g", *drawn, class_=f"marks {kind}")

    def _bars(self) -> Iterator[str]:
        drawn, labels = [], []
        for item in self._operations:
            x = self._lanes.agents[item.client]
            begin, end = self.axis.y(self._at(item.begin)), self.axis.y(self._ends(item))
            named = " named" if item.id in self._focus.named else ""
            outcome = "pending" if item.end == FOREVER else item.outcome
            drawn.append(
                tag("rect", class_=f"op {outcome}{named}", x=x, y=begin, width=AGENT - 3,
                    height=max(end - begin, 3.0), rx=2, data_say=self._words(item))
            )  # fmt: skip
            if named:
                labels.append(tag("text", say(item.kind), class_="named", x=x + AGENT, y=begin + 9))
        yield tag("g", *drawn, *labels, class_="operations")

    def _words(self, item: Operation) -> str:
        arguments = ", ".join(f"{key} {value}" for key, value in item.arguments.items())
        said = (
            item.slug
            or item.why
            or ", ".join(f"{key} {value}" for key, value in list(item.answer.items())[:6])
        )
        until = "…" if item.end == FOREVER else f"{self._at(item.end):.6f}"
        return (
            f"{item.id} at {item.node}: {item.kind}\n{arguments}\n{item.outcome}: {said[:240]}\n"
            f"{self._at(item.begin):.6f} to {until} s"
        )

    def _moment(self) -> Iterator[str]:
        if self._focus.moment is None:
            return
        y = self.axis.y(self._focus.moment)
        yield tag("line", class_="moment", x1=8.0, x2=self._lanes.width - 8, y1=y, y2=y)
        words = f"here the rule is broken, {self._focus.moment:.6f} s"
        yield tag("text", words, class_="moment", x=78.0, y=y + 15, id="moment")


_NAMED = ("start", "open", "stop", "cut", "reset", "restore")


def _lives(item: Stretch) -> bool:
    return item.kind != "down"


def _fault(item: Trouble) -> str:
    until = f" to {item.end:.6f}" if item.end > item.at else ""
    return f"{item.name}: {item.detail}\n{item.at:.6f}{until} s"


def _dot(mark: Mark, x: float, y: float) -> str:
    words = f"{mark.lane}: {mark.words}\n{mark.at:.6f} s"
    if mark.kind == "disk":
        class_ = "sync" if mark.name == "sync" else None
        return tag("rect", class_=class_, x=x - BAND / 2 + 2, y=y - 0.75, width=7.0, height=1.5,
                   data_say=words)  # fmt: skip
    if mark.kind in _NAMED:
        return tag("rect", x=x - BAND / 2, y=y - 1.5, width=BAND, height=3.0, data_say=words)
    place = {"append": -1.0, "apply": 4.0, "told": 8.5, "read": 8.5}[mark.kind]
    return tag("circle", cx=x + place, cy=y, r=2.0, data_say=words)


def _arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    angle = math.atan2(y2 - y1, x2 - x1)
    ends = [
        f"{short(x2 - HEAD * math.cos(angle + turn))} {short(y2 - HEAD * math.sin(angle + turn))}"
        for turn in (0.4, -0.4)
    ]
    way = f"M{short(x1)} {short(y1)}L{short(x2)} {short(y2)}"
    return f"{way}M{ends[0]}L{short(x2)} {short(y2)}L{ends[1]}"
