"""The story of a seed as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chaos.explain.diagram import NOISE, Diagram
from chaos.explain.focus import Focus
from chaos.explain.invariants import invariant
from chaos.explain.overview import overview
from chaos.explain.recording import Recording
from chaos.explain.seen import GROUPS, Trouble
from chaos.report.paper import document, number, resource, say, tag
from chaos.report.spans import sort_of
from chaos.report.tables import table
from chaos.report.violations import piece_table
from chaos.simulation.outcome import Broken, Step

EVENTS = 160
"""Lines of what happened, at most; the last ones are kept."""
_MARKS = {
    "disk": "disk",
    "append": "put into the log",
    "apply": "applied",
    "told": "outcome told",
    "read": "read allowed",
}
_TOLD = ("start", "open", "stop", "cut", "reset", "restore")


@dataclass(frozen=True)
class Story:
    """What is told.

    Args:
        title: seed and profile.
        broken: what was violated, None where nothing was.
        steps: the schedule that was played. log: how it was made shorter.
        commands: what shows it again.
    """

    title: str
    broken: Broken | None
    steps: Sequence[Step]
    log: Sequence[str]
    commands: Sequence[str]


def page(story: Story, recording: Recording, focus: Focus) -> str:
    """The page."""
    diagram = Diagram(recording, focus)
    broken, violation = story.broken, focus.violation
    sections = [
        _head(story, recording.begin),
        _section("The run", tag("div", overview(recording, focus), class_="scroll sheet")),
        _section("The schedule", *_schedule(story, recording)),
        _section("The operations that show it", piece_table(focus.history, violation))
        if violation is not None
        else "",
        _section("In full", *_figure(diagram, focus)),
        _section("What happened", _events(recording, broken)),
        tag("div", id="tip", hidden=""),
    ]
    style = resource("page.css") + resource("story.css", "chaos.explain")
    body = tag("main", *sections)
    script = resource("story.js", "chaos.explain")
    return document(f"{story.title}: {_verdict(broken)}", body, style, script)


def _verdict(broken: Broken | None) -> str:
    return "no rule broken" if broken is None else broken.judge


def _section(title: str, *parts: str) -> str:
    return tag("section", tag("h2", say(title)), *parts)


def _head(story: Story, clock: float) -> str:
    broken = story.broken
    if broken is None:
        words = tag("p", f"{say(story.title)}: the run was played to its end.")
        return tag("header", tag("h1", "No rule broken", class_="good"), words)
    return tag(
        "header",
        tag("h1", say(broken.judge), class_="bad"),
        tag("p", say(broken.text), class_="broken"),
        tag("p", say(invariant(broken.judge)), class_="invariant"),
        tag(
            "p",
            f"{say(story.title)}, at {broken.at:.6f} virtual seconds."
            f" The clock of the world shows {clock:g} s at the begin.",
        ),
        tag("p", tag("a", "To the moment in the diagram", href="#moment")),
    )


def _schedule(story: Story, recording: Recording) -> Iterator[str]:
    if story.steps:
        heads = ("at", "fault", "what it did", "seed of the step")
        done = _doings(story.steps, recording.troubles)
        yield table(heads, map(_step, story.steps, done))
    else:
        yield tag("p", "No fault: it happens in a healthy cluster.")
    commands = "\n".join(story.commands)
    yield tag("pre", tag("code", say(commands)))
    if story.log:
        shorter = tag("ol", *(tag("li", say(line)) for line in story.log))
        yield tag("details", tag("summary", "How it was made shorter"), shorter)


def _step(step: Step, done: Sequence[Trouble]) -> list[str]:
    said = [f"{one.detail} (at {one.at:.4f} s)" if one.at > step.at + 0.001 else one.detail
            for one in done[:3]]  # fmt: skip
    shown = "; ".join(said) if said else "did not apply"
    mark = tag("i", class_=f"mark {sort_of(step.fault)}")
    name = tag("th", mark, say(step.fault), scope="row")
    return [tag("td", f"{step.at:.4f}", class_="right"), name, say(shown), str(step.seed)]


def _doings(steps: Sequence[Step], troubles: Sequence[Trouble]) -> list[list[Trouble]]:
    """What each step did: what was told of its fault until the next step with the same."""
    found: list[list[Trouble]] = [[] for _ in steps]
    for trouble in troubles:
        possible = [
            number
            for number, step in enumerate(steps)
            if step.fault == trouble.name and step.at <= trouble.at + 1e-6
        ]
        if possible:
            found[possible[-1]].append(trouble)
    return found


def _figure(diagram: Diagram, focus: Focus) -> Iterator[str]:
    counts = diagram.groups()
    boxes = [
        _box("messages", group, group, counts[group], group not in NOISE)
        for group in GROUPS
        if group in counts
    ]
    kinds: dict[str, int] = {}
    for mark in diagram.marks:
        kinds[mark.kind] = kinds.get(mark.kind, 0) + 1
    boxes += [
        _box("marks", kind, words, kinds[kind], True)
        for kind, words in _MARKS.items()
        if kind in kinds
    ]
    zoom = [
        tag("button", text, type="button", data_zoom=what, aria_label=label)
        for what, text, label in (
            ("in", "+", "larger"),
            ("out", "−", "smaller"),
            ("one", "1:1", "as large as at first"),
        )
    ]
    if focus.moment is not None:
        button = tag("button", "to the moment", type="button", data_zoom="moment")
        zoom.append(button)
    note = (
        f"From {focus.begin:.4f} to {focus.end:.4f} s, time downwards; the scale of time is not"
        " even, and quiet spans are folded (⋮). The bands show what each member is; on the right,"
        " a bar for each operation of a client. Point at something to read it."
    )
    yield tag("p", note, class_="note")
    yield tag("div", tag("div", *boxes, class_="boxes"),
              tag("div", *zoom, class_="buttons", hidden=""), class_="above")  # fmt: skip
    inner = tag("div", diagram.head(), diagram.svg(), class_="canvas")
    yield tag("div", inner, class_="sheet view", tabindex=0)


def _box(what: str, group: str, words: str, count: int, shown: bool) -> str:
    box = tag("input", type="checkbox", data_show=f"{what}.{group}", checked="" if shown else None)
    mark = tag("i", class_=f"mark {what} {group}")
    return tag("label", box, mark, f"{say(words)} ", tag("small", number(count)))


def _events(recording: Recording, broken: Broken | None) -> str:
    lines: list[tuple[float, str, str, str]] = [
        (mark.at, mark.lane, say(mark.words), "") for mark in recording.marks if mark.kind in _TOLD
    ]
    lines += [
        (item.begin, item.lane, f"is {item.kind} of term {item.name}", "")
        for item in recording.stretches()
        if item.kind in ("leader", "candidate")
    ]
    for trouble in recording.troubles:
        mark = tag("i", class_=f"mark {sort_of(trouble.name)}")
        words = f"{mark}{tag('b', say(trouble.name))} {say(trouble.detail)}"
        lines.append((trouble.at, ", ".join(trouble.lanes) or "–", words, ""))
    if broken is not None:
        words = tag("b", f"{say(broken.judge)}: {say(broken.text)}")
        lines.append((broken.at, "–", words, "bad"))
    lines.sort(key=lambda line: line[0])
    rows = [
        [_right(f"{at:.6f}", class_), f"<td>{say(lane)}</td>", f'<td class="{class_}">{words}</td>']
        for at, lane, words, class_ in lines[-EVENTS:]
    ]
    left = len(lines) - len(rows)
    before = tag("p", f"{left} earlier lines are left out.", class_="note") if left else ""
    return before + table(("at", "who", "what"), rows, "events")


def _right(text: str, class_: str) -> str:
    return tag("td", text, class_=f"right {class_}".strip())
