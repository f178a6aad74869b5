"""The report of a real run: one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from chaos.checkers import Verdict
from chaos.checkers.recovery import Window, windows
from chaos.history import SECOND, History, Outcome
from chaos.report.paper import document, number, resource, say, seconds, tag
from chaos.report.series import Series, measure
from chaos.report.spans import Span, spans
from chaos.report.tables import counts_table, table, windows_table, words_list
from chaos.report.timeline import picture
from chaos.report.violations import violations
from chaos.report.windows import Summary, summaries

SORT_WORDS = {
    "kill": "process killed",
    "start": "coming back",
    "pause": "process paused",
    "link": "network",
    "disk": "disk",
    "clock": "clock",
    "care": "restart, wipe, membership",
    "other": "other",
}


def write(file: Path, history: History, verdict: Verdict, words: Mapping[str, object]) -> None:
    """Write the page. `words`: what was run; its `command` is shown as code. Raises OSError."""
    file.write_text(page(history, verdict, words), encoding="utf-8")


def page(history: History, verdict: Verdict, words: Mapping[str, object]) -> str:
    """The page."""
    series = measure(history)
    found = spans(history)
    done = windows(history)
    fallen = summaries(done)
    cards = list(violations(history, verdict))
    sections = [
        _head(history, verdict, series, done),
        _tiles(series, len(done), fallen),
        _section("Violations", *cards, class_="bad") if cards else "",
        _section("Undecided", *_undecided(verdict)) if verdict.undecided else "",
        _section("Timeline", _above(found), _figure(history, series, found)),
        _section(
            "How long nothing was accepted",
            tag("p", "From each fault's begin to the end of the first write that began behind it "
                "and was accepted. Longest gap: without any accepted write, while the fault was at "
                "work or just over.", class_="note"),
            windows_table(fallen),
        ) if fallen else "",
        _section("Operations", counts_table(verdict.counts)),
        _section("What was run", words_list({**words, **_run(history, words)})),
    ]  # fmt: skip
    title = f"{_verdict(verdict)}: a run of {seconds(series.seconds)}"
    return document(title, tag("main", *sections), resource("page.css"), resource("page.js"))


def _section(title: str, *parts: str, class_: str | None = None) -> str:
    return tag("section", tag("h2", title), *parts, class_=class_)


def _verdict(verdict: Verdict) -> str:
    found = sum(map(len, verdict.violations.values()))
    if not found:
        return "No violation"
    return f"{found} violation{'s' if found > 1 else ''}"


def _head(history: History, verdict: Verdict, series: Series, done: list[Window]) -> str:
    class_ = "good" if verdict.good else "bad"
    judges = [_judge(name, len(broken), verdict) for name, broken in verdict.violations.items()]
    kinds = len({window.kind for window in done})
    nodes = f"{len(history.nodes)} nodes, " if history.nodes else ""
    sentence = (
        f"{nodes}{number(len(history.operations))} operations and {number(len(done))} faults"
        f" of {kinds} kinds in {seconds(series.seconds)}, judged by"
    )
    return tag(
        "header",
        tag("h1", say(_verdict(verdict)), class_=class_),
        tag("p", say(sentence)),
        tag("ul", *judges, class_="judges"),
    )


def _judge(name: str, broken: int, verdict: Verdict) -> str:
    count = broken or len(verdict.undecided.get(name, ()))
    class_ = "bad" if broken else "open" if count else "good"
    return tag("li", say(name), tag("b", str(count)) if count else "", class_=class_)


def _undecided(verdict: Verdict) -> list[str]:
    words = "What a judge could not tell within its bound; it counts neither way."
    rows = [
        (tag("th", say(name), scope="row"), say(said.of), say(said.text))
        for name, found in verdict.undecided.items()
        for said in found
    ]
    return [tag("p", words, class_="note"), table(("judge", "of", "why"), rows)]


def _tiles(series: Series, faults: int, fallen: list[Summary]) -> str:
    total: dict[Outcome, int] = {name: sum(row) for name, row in series.counts.items()}
    longest = max((item.longest or 0 for item in fallen), default=0.0)
    rate = total["ok"] / series.seconds
    accepted = [value for value in series.median if value is not None]
    middle = sorted(accepted)[len(accepted) // 2] if accepted else None
    tiles = [
        ("accepted", number(total["ok"]), f"{rate:,.0f} a second"),
        ("refused", number(total["refused"]), "a definite no"),
        ("unknown", number(total["unknown"]), f"and {number(total['never-sent'])} never sent"),
        ("faults", number(faults), f"of {len(fallen)} kinds"),
        ("latency", "–" if middle is None else seconds(middle), "median of the medians"),
        ("longest wait", seconds(longest) if longest else "–", "for a write after a fault"),
    ]
    return tag("div", *(_tile(*tile) for tile in tiles), class_="tiles")


def _tile(name: str, value: str, below: str) -> str:
    return tag("div", tag("span", name), tag("b", say(value)), tag("small", say(below)))


def _legend(found: list[Span]) -> str:
    used = {span.sort for span in found}
    sorts = [(sort, SORT_WORDS[sort]) for sort in SORT_WORDS if sort in used]
    lines = [
        ("ok", "accepted"),
        ("refused", "refused"),
        ("unknown", "unknown"),
        ("never-sent", "never sent"),
        ("median", "median"),
        ("high", "99th percentile"),
        ("longest", "longest"),
    ]
    marks = [tag("li", tag("i", class_=f"mark {name}"), text) for name, text in [*sorts, *lines]]
    return tag("ul", *marks, class_="legend")


def _above(found: list[Span]) -> str:
    buttons = [
        tag("button", text, type="button", data_zoom=what, aria_label=label)
        for what, text, label in (
            ("in", "+", "zoom in"),
            ("out", "−", "zoom out"),
            ("back", "◀", "earlier"),
            ("on", "▶", "later"),
            ("all", "all", "show all"),
        )
    ]
    zoom = tag("div", *buttons, class_="buttons", hidden="")
    return tag("div", _legend(found), zoom, class_="above")


def _figure(history: History, series: Series, found: list[Span]) -> str:
    width = seconds(series.width / SECOND)
    caption = (
        f"One step is {width}. Drag over the picture to see a part of it in full; double-click"
        " shows all again."
    )
    return tag(
        "figure",
        tag("div", picture(history, series, found), class_="scroll"),
        tag("div", id="tip", hidden=""),
        tag("figcaption", caption),
    )


def _run(history: History, words: Mapping[str, object]) -> dict[str, object]:
    """What the history itself says it is of, as far as `words` do not."""
    return {key: value for key, value in history.run.items() if key not in words}


__all__ = ["page", "write"]
