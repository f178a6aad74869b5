"""What a recording keeps of what it is told, and what the page makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from chaos.explain.diagram import Diagram
from chaos.explain.focus import focus
from chaos.explain.page import Story, page
from chaos.explain.recording import Recording
from chaos.explain.seen import Stretch
from chaos.history import Header as Head
from chaos.history import History, Invoke, Result, paired
from chaos.simulation.outcome import Broken, Step
from raftcoord.commands import AcquireLock, Envelope, encode
from tests.chaos.test_report_page import Outline

if TYPE_CHECKING:
    from chaos.simulation.world import World
    from raftcoord.machine.state import Applied, Machine

BEGIN = 1000.0
LINES = (
    Invoke(1_001_000_000_000, "c1.locks-1", "c1.locks", "n1", "lock.acquire", {"name": "L"}),
    Result(1_001_004_000_000, "c1.locks-1", "ok", 200, None, 5, {"token": 3}),
    Invoke(1_001_500_000_000, "c2.rings-1", "c2.rings", "n2", "ring.read", {"ring": "R"}),
)


@dataclass
class SmallWorld:
    """As much of a world as a recording looks at."""

    began: float = BEGIN
    hosts: dict[str, None] = field(default_factory=lambda: dict.fromkeys(("n1", "n2", "n3")))

    def history(self) -> History:
        """What clients asked and heard."""
        return paired([Head(1, ("n1", "n2", "n3")), *LINES])


def recorded() -> Recording:
    """A second in which n1 leads, n2 is killed, and n3 takes over."""
    seen = Recording()
    seen.began(cast("World", SmallWorld()))
    for name in ("n1", "n2", "n3"):
        seen.started(BEGIN, name, 1)
        seen.role(BEGIN, name, "follower", 0)
    seen.role(BEGIN + 0.5, "n1", "leader", 1)
    payload = encode(Envelope("n1", 1, 1, 1, "", AcquireLock("L", "c1", ttl=1000)))
    seen.appended(BEGIN + 1.001, "n1", 2, 1, payload)
    seen.wrote(BEGIN + 1.0012, "n1", "sync", "data/journal/1", 0)
    seen.applied(
        BEGIN + 1.002, "n1", 2, 1, 77, payload, cast("Applied", None), cast("Machine", None)
    )
    seen.told(BEGIN + 1.003, "n1", payload, "applied", 2)
    seen.fault(BEGIN + 1.1, "isolate_leader", "n1 > n2, n2 > n1 for 2.00 s")
    seen.fault(BEGIN + 1.2, "kill", "n2")
    seen.stopped(BEGIN + 1.2, "n2", 1, "kill")
    seen.fault(BEGIN + 1.4, "kill", "over")
    seen.role(BEGIN + 1.5, "n3", "candidate", 2)
    seen.cut(BEGIN + 1.6, "n3", 2)
    seen.fault(BEGIN + 1.7, "isolate_leader", "over")
    return seen


def test_times_are_counted_from_the_begin_of_the_run() -> None:
    marks = {mark.kind: (round(mark.at, 4), mark.lane, mark.name) for mark in recorded().marks}
    assert marks["append"] == (1.001, "n1", "2")
    assert marks["apply"] == (1.002, "n1", "2 lock.acquire")
    assert marks["told"] == (1.003, "n1", "applied 2")
    assert marks["stop"] == (1.2, "n2", "kill")
    assert marks["cut"] == (1.6, "n3", "cut 2")


def test_roles_are_stretches_without_holes() -> None:
    found = [
        (item.lane, item.kind, item.name, round(item.begin, 3), round(item.end, 3))
        for item in recorded().stretches()
    ]
    assert sorted(found) == [
        ("n1", "follower", "0", 0.0, 0.5),
        ("n1", "leader", "1", 0.5, 1.7),
        ("n2", "down", "0", 1.2, 1.7),
        ("n2", "follower", "0", 0.0, 1.2),
        ("n3", "candidate", "2", 1.5, 1.7),
        ("n3", "follower", "0", 0.0, 1.5),
    ]
    assert all(isinstance(item, Stretch) for item in recorded().stretches())


def test_faults_last_until_they_are_over() -> None:
    found = [
        (item.name, item.lanes, round(item.at, 3), round(item.end, 3))
        for item in recorded().troubles
    ]
    assert found == [("isolate_leader", (), 1.1, 1.7), ("kill", ("n2",), 1.2, 1.4)]


def test_of_two_faults_of_one_name_the_one_ends_whose_time_it_is() -> None:
    seen = Recording()
    seen.began(cast("World", SmallWorld()))
    seen.fault(BEGIN + 1, "pause", "n1 for 5.00 s")
    seen.fault(BEGIN + 2, "pause", "n2 for 1.00 s")
    seen.fault(BEGIN + 3, "pause", "over")
    assert [item.end for item in seen.troubles] == [6.0, 3.0]
    seen.fault(BEGIN + 4, "pause", "over")
    seen.fault(BEGIN + 4, "pause", "over")
    assert [item.end for item in seen.troubles] == [4.0, 3.0]


def test_the_page_shows_what_was_recorded() -> None:
    seen = recorded()
    broken = Broken("election safety", "n1 and n3 lead term 1 <both>", 1.65)
    seen.fault(BEGIN + 1.64, "kill", "n3")
    steps = tuple(
        Step(at, name, 7)
        for at, name in (
            (1.1, "isolate_leader"),
            (1.2, "kill"),
            (1.63, "kill"),
            (1.65, "kill"),
        )
    )
    story = Story("Seed 5", broken, steps, ("one", "two"), ("python3 -m chaos simulate",))
    markup = page(story, seen, focus(seen, broken))
    shown = Outline(markup)
    assert shown.all("h1") == ["election safety"]
    assert "n1 and n3 lead term 1 <both>" in shown.all("p")
    cells = shown.all("td")
    assert "n1 > n2, n2 > n1 for 2.00 s" in cells
    assert "n3 (at 1.6400 s)" in cells
    assert cells.count("did not apply") == 1
    assert shown.all("code") == ["python3 -m chaos simulate"]
    assert "here the rule is broken, 1.650000 s" in shown.all("text")
    assert 'class="op ok"' in markup
    assert 'class="op pending"' in markup
    assert "AcquireLock" not in markup
    assert "lock.acquire name L, owner c1" in markup.replace("&amp;", "&")


def test_a_quiet_span_is_folded_and_a_busy_one_told_apart() -> None:
    seen = recorded()
    axis = Diagram(seen, focus(seen, None)).axis
    assert axis.y(1.002) - axis.y(1.001) >= 2
    assert axis.y(1.1) - axis.y(1.01) < 60
    assert any(begin <= 1.05 <= end for begin, end in axis.folds)
    places = [axis.y(number / 1000) for number in range(1700)]
    assert places == sorted(places)
