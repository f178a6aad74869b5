"""The page of a run: what it shows, and that it needs nothing else."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from chaos.checkers import Undecided, Verdict, Violation
from chaos.history import SECOND, History
from chaos.report import page, report
from chaos.report.series import MOST, measure, percentile
from chaos.report.spans import CLIENTS, CLUSTER, LINKS, lanes, levels, spans
from tests.chaos.report_world import NODES, at, fault, load, operation, story

FAULTS = (
    fault(1.0, "kill", "leader", "n1"),
    fault(1.4, "start", "", "n1"),
    fault(2.0, "recovered", "leader", "n1"),
    fault(3.0, "begin", "pause-follower", "n2", number=2),
    fault(3.5, "begin", "slow-links", number=3),
    fault(4.0, "end", "pause-follower", "n2", number=2),
    fault(5.0, "end", "slow-links", number=3),
    fault(6.0, "begin", "kill-client", number=4, detail="c3"),
    fault(6.1, "end", "kill-client", number=4),
    fault(7.0, "begin", "disk-full", "n3", number=5),
)


class Outline(HTMLParser):
    """Holds a page to being well-formed; `text` by element, `addresses` of anything to load."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[tuple[str, str]] = []
        self.addresses: list[str] = []
        self.feed(markup)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.addresses += [named[key] or "" for key in ("src", "href") if key in named]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.text.append((self.open[-1], data.strip()))

    def all(self, tag: str) -> list[str]:
        return [text for name, text in self.text if name == tag]


def judged(history: History, **violations: list[Violation]) -> Verdict:
    return Verdict(violations, history.counts(), [])


def numbers(markup: str) -> dict[str, list[list[float]]]:
    found = re.search(r'id="numbers">(.*?)</script>', markup)
    assert found is not None
    shown: dict[str, list[list[float]]] = json.loads(found[1])
    return shown


def test_a_page_says_what_was_run_and_how_it_went(tmp_path: Path) -> None:
    history = story(*load(8.0, 50), faults=FAULTS)
    file = tmp_path / "report.html"
    page.write(file, history, judged(history, locks=[], reads=[]), {"command": "chaos run <x>"})
    shown = Outline(file.read_text(encoding="utf-8"))
    assert shown.all("h1") == ["No violation"]
    assert shown.all("li")[:2] == ["locks", "reads"]
    assert shown.all("code") == ["chaos run <x>"]
    assert {"seed", "clients"} <= set(shown.all("dt"))
    assert shown.addresses == []
    assert "pause-follower" in shown.all("text")
    assert any("5 faults of 5 kinds in 8 s" in text for text in shown.all("p"))
    assert {"kill-leader", "slow-links", "lock.acquire", "all"} <= set(shown.all("th"))


def test_a_violation_comes_first_with_its_piece_of_history() -> None:
    ops = [operation(0.9, 1.2, number=1), operation(1.1, 1.5, number=2)]
    broken = Violation("two holders", "a & b hold <lock/1>", tuple(ops))
    history = story(*ops, faults=FAULTS)
    shown = Outline(page.page(history, judged(history, locks=[broken], reads=[]), {}))
    assert shown.all("h1") == ["1 violation"]
    assert shown.all("h2")[0] == "Violations"
    assert "two holders" in shown.all("h3")
    assert "a & b hold <lock/1>" in shown.all("p")
    said = [text for name, text in shown.text if name in ("td", "b")]
    assert [text for text in said if text in ("c1-1 at n2", "kill leader", "c2-2 at n3")] == [
        *("c1-1 at n2", "kill leader", "c2-2 at n3"),
    ]


def test_what_a_judge_could_not_tell_is_neither_good_nor_bad() -> None:
    history = story(*load(2.0, 50))
    unknown = {"reads": [Undecided("lock/1", "too many orders are possible")]}
    verdict = Verdict({"locks": [], "reads": []}, history.counts(), [], unknown)
    markup = page.page(history, verdict, {})
    shown = Outline(markup)
    assert shown.all("h1") == ["No violation"]
    assert '<li class="open">reads' in markup
    assert "too many orders are possible" in shown.all("td")
    assert any("UNDECIDED (reads) lock/1" in line for line in report(history, verdict))


def test_hostile_words_stay_words() -> None:
    history = story(operation(0, 1), faults=(fault(0.5, "begin", "</script><b>", "<n9>"),))
    markup = page.page(history, judged(history), {"<i>": "</style><b>"})
    Outline(markup)
    assert "<b>" not in markup.replace("<b>1</b>", "").partition("<dl>")[2].partition("</dl>")[0]
    assert "</script><b>" not in markup


def test_an_empty_history_has_a_page() -> None:
    history = story()
    assert Outline(page.page(history, judged(history), {})).all("h1") == ["No violation"]


def test_each_operation_counts_in_the_bucket_in_which_it_ended() -> None:
    ops = [operation(0.0, 0.1), operation(0.2, 0.3), operation(0.2, 0.9, "unknown")]
    series = measure(story(*ops))
    assert series.width == SECOND // 4
    assert series.counts["ok"] == [1, 1, 0, 0]
    assert series.counts["unknown"] == [0, 0, 0, 1]
    assert series.median == [0.1, 0.1, None, None]
    assert series.rate("ok", 0) == 4.0


def test_who_asked_to_wait_is_not_slow() -> None:
    waited = operation(0.0, 0.2)
    waited.arguments["wait"] = 2.0
    series = measure(story(waited, operation(0.0, 0.1)))
    assert series.longest == [0.1]


def test_the_shown_numbers_are_those_measured() -> None:
    history = story(*load(8.0, 50), faults=FAULTS)
    shown = numbers(page.page(history, judged(history), {}))
    counts = history.counts()["lock.acquire"]
    assert [sum(row) for row in shown["counts"]] == [counts[one] for one in
        ("ok", "refused", "unknown", "never-sent")]  # fmt: skip
    assert len(shown["spans"]) == 6


@pytest.mark.parametrize(
    ("share", "expected"), [(50, 2.0), (99, 4.0), (100, 4.0), (25, 1.0), (26, 2.0)]
)
def test_percentiles_are_of_the_nearest_rank(share: int, expected: float) -> None:
    assert percentile([SECOND * n for n in (1, 2, 3, 4)], share) == expected


def test_spans_pair_what_begins_with_what_ends() -> None:
    history = story(faults=FAULTS)
    found = spans(history)
    shown = [(one.lane, one.name, one.sort, one.begin, one.end) for one in found]
    assert shown == [
        ("n1", "kill-leader", "kill", at(1.0), at(1.4)),
        ("n1", "start", "start", at(1.4), at(2.0)),
        ("n2", "pause-follower", "pause", at(3.0), at(4.0)),
        (LINKS, "slow-links", "link", at(3.5), at(5.0)),
        (CLIENTS, "kill-client", "kill", at(6.0), at(6.1)),
        ("n3", "disk-full", "disk", at(7.0), None),
    ]
    assert lanes(history, found) == [*NODES, LINKS, CLIENTS]


def test_what_hits_no_node_has_a_lane() -> None:
    found = spans(story(faults=(fault(1, "begin", "odd"), fault(2, "end", "odd"))))
    assert [(one.lane, one.sort) for one in found] == [(CLUSTER, "other")]


def test_spans_over_each_other_share_their_lane() -> None:
    faults = (
        fault(1, "begin", "slow-links"),
        fault(2, "begin", "halves"),
        fault(3, "end", "slow-links"),
        fault(4, "end", "halves"),
        fault(5, "begin", "cut-pair"),
        fault(6, "end", "cut-pair"),
    )
    assert levels(spans(story(faults=faults))) == {0: (0, 2), 1: (1, 2), 2: (0, 1)}


def test_a_long_history_gives_a_small_page() -> None:
    faults = tuple(
        fault(start + more, what, "pause-leader", "n1", number=number)
        for number, start in enumerate(range(2, 7200, 8))
        for more, what in ((0, "begin"), (3, "end"))
    )
    history = story(*load(7200.0, 10), faults=faults)
    series = measure(history)
    assert 0.4 * MOST < series.size <= MOST
    assert len(page.page(history, judged(history), {})) < 1_500_000
