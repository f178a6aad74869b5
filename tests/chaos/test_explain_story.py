"""The story of a seed, told by a product that is broken on purpose, and by the one that is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos.explain import explain
from chaos.simulation import schedule
from chaos.simulation.outcome import Broken
from chaos.simulation.profiles import PROFILES, Profile, replace
from chaos.simulation.simulate import simulate
from raftcoord.consensus.reads import ReadRounds
from tests.chaos.test_report_page import Outline

CUTS = replace(
    PROFILES["three"], seconds=5.0, pause=0.5, clients=4, faults={"isolate_leader": 1, "reset": 1}
)
SEEDS = range(1, 12)
LARGEST = 5_000_000


@pytest.fixture
def reads_without_a_quorum(monkeypatch: pytest.MonkeyPatch) -> None:
    """A leader answers reads without asking whether it still leads."""
    serve = ReadRounds.serve

    def careless(self: ReadRounds, echoed: Any, has_quorum: Any, me: str) -> Any:
        return serve(self, echoed, lambda names: True, me)

    monkeypatch.setattr(ReadRounds, "serve", careless)


def test_a_page_that_cannot_be_written_is_refused_before_anything_is_played(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(FileNotFoundError):
        explain(1, replace(PROFILES["three"], seconds=1e9), tmp_path / "no" / "x.html", said.append)
    assert len(said) == 1


def test_a_story_that_is_interrupted_leaves_no_empty_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("chaos.explain.telling.simulate", interrupted)
    new, there = tmp_path / "new.html", tmp_path / "there.html"
    there.write_text("an earlier story")
    for out in (new, there):
        with pytest.raises(KeyboardInterrupt):
            explain(1, PROFILES["three"], out, lambda line: None)
    assert not new.exists()
    assert there.read_text() == "an earlier story"


def first_broken(profile: Profile) -> tuple[int, Broken]:
    """The first seed that breaks a rule."""
    for seed in SEEDS:
        broken = simulate(seed, profile).broken
        if broken is not None:
            return seed, broken
    raise AssertionError("no seed breaks a rule")


def told(seed: int, profile: Profile, folder: Path) -> tuple[int, str, list[str]]:
    """Exit code, page, and what was said."""
    folder.mkdir()
    said: list[str] = []
    code = explain(seed, profile, folder / "story.html", said.append)
    return code, (folder / "story.html").read_text(encoding="utf-8"), said


@pytest.mark.usefixtures("reads_without_a_quorum")
def test_a_seed_that_breaks_a_rule_is_told_as_short_as_can_be(tmp_path: Path) -> None:
    seed, broken = first_broken(CUTS)
    code, page, said = told(seed, CUTS, tmp_path / "a")
    assert code == 1
    assert len(page) < LARGEST

    steps = [
        step
        for step in schedule.read(tmp_path / "a" / "story.schedule.jsonl")
        if step.at < CUTS.seconds
    ]
    assert 1 <= len(steps) <= 2
    assert len(steps) < len(schedule.draw(seed, CUTS))
    assert "isolate_leader" in {step.fault for step in steps}

    shown = Outline(page)
    assert shown.all("h1") == [broken.judge]
    assert any("A read sees everything" in text for text in shown.all("p"))
    assert [t for t in shown.all("text") if t in ("n1", "n2", "n3")][:3] == ["n1", "n2", "n3"]
    assert any(text.startswith("here the rule is broken") for text in shown.all("text"))
    assert {"leader", "follower"} <= set(classes(page, "role"))
    assert {"vote", "append", "heartbeat"} <= set(classes(page, "messages"))
    assert {"disk", "apply", "told"} <= set(classes(page, "marks"))
    (commands,) = shown.all("code")
    assert "--schedule story.schedule.jsonl" in commands
    assert said[1].startswith(f"{broken.judge}: ")

    # What the command plays breaks the same rule, and the page is the same at each telling.
    assert played(seed, commands, tmp_path / "a").judge == broken.judge
    assert told(seed, CUTS, tmp_path / "b")[1] == page


def classes(page: str, first: str) -> Iterator[str]:
    """The second class of the elements whose first is this."""
    for part in page.split(f'class="{first} ')[1:]:
        yield part.partition('"')[0].partition(" ")[0]


def played(seed: int, commands: str, folder: Path) -> Broken:
    """The violation of the first command of a story."""
    words = commands.splitlines()[0].split()
    given = {word: words[at + 1] for at, word in enumerate(words) if word.startswith("--")}
    assert given["--seeds"] == str(seed)
    values: dict[str, Any] = {"faults": CUTS.faults, "seconds": float(given["--seconds"])}
    if "--clients" in given:
        values["clients"] = int(given["--clients"])
    if "--workloads" in given:
        values["workloads"] = tuple(given["--workloads"].split(","))
    profile = replace(PROFILES[given["--profile"]], **values)
    steps = schedule.read(folder / given["--schedule"])
    broken = simulate(seed, profile, steps=steps).broken
    assert broken is not None
    return broken


@pytest.mark.parametrize(("name", "seed"), [("three", 20), ("five", 3)])
def test_a_seed_that_breaks_nothing_has_a_story_too(tmp_path: Path, name: str, seed: int) -> None:
    profile = replace(PROFILES[name], seconds=3.0)
    code, page, said = told(seed, profile, tmp_path / "a")
    assert code == 0
    assert "no rule was broken" in said
    shown = Outline(page)
    assert shown.all("h1") == ["No rule broken"]
    assert schedule.read(tmp_path / "a" / "story.schedule.jsonl") == schedule.draw(seed, profile)
    assert "leader" in set(classes(page, "role"))
    assert len(page) < LARGEST
