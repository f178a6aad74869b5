"""Schedules: what follows from a seed, what a file may say, and what is refused with its line."""

from __future__ import annotations

from itertools import islice, pairwise
from pathlib import Path

import pytest

from chaos.history import Unreadable
from chaos.nemesis import schedule
from chaos.nemesis.fault import Fault
from chaos.nemesis.schedule import Step
from chaos.nemesis.table import FAULTS, chosen, usual


def drawn(seed: int, count: int, kinds: dict[str, type[Fault]] | None = None) -> list[Step]:
    return list(islice(schedule.draw(seed, kinds or usual()), count))


def test_a_schedule_follows_from_its_seed() -> None:
    assert drawn(7, 90) == drawn(7, 90)
    assert drawn(7, 90) != drawn(8, 90)


def test_every_kind_has_its_turn_before_any_has_a_second() -> None:
    kinds = usual()
    for seed in range(20):
        first = [step.fault for step in drawn(seed, len(kinds))]
        assert sorted(first) == sorted(kinds)
    assert [step.fault for step in drawn(1, len(kinds))] != [
        step.fault for step in drawn(2, len(kinds))
    ]


def test_a_fault_lasts_as_long_as_its_kind_allows() -> None:
    for step in drawn(3, 500):
        assert any(low <= step.lasts <= high for low, high in FAULTS[step.fault].spans), step
        assert 0 <= step.pick <= 1


def test_at_most_two_overlap_and_never_two_that_take_a_node() -> None:
    steps = drawn(5, 2_000)
    pairs = [(one, other) for one, other in pairwise(steps) if other.overlaps]
    assert len(pairs) > 100
    for one, other in pairs:
        kinds = FAULTS[one.fault], FAULTS[other.fault]
        assert not one.overlaps
        assert not any(kind.alone for kind in kinds)
        assert not all(kind.takes for kind in kinds)


def test_of_220_rounds_that_kill_20_hit_all_and_200_one_node() -> None:
    kinds = chosen("kill-leader,kill-follower,kill-all", FAULTS)
    faults = [step.fault for step in drawn(1, 220, kinds)]
    every = [number for number, fault in enumerate(faults, 1) if fault == "kill-all"]
    assert every == list(range(11, 221, 11))
    assert len(every) == 20
    assert set(faults) == set(kinds)


def test_a_schedule_can_be_saved_and_replayed(tmp_path: Path) -> None:
    steps = drawn(11, 60)
    schedule.write(tmp_path / "saved", steps)
    assert schedule.read(tmp_path / "saved", FAULTS) == steps


KILL = '{"fault": "kill-leader", "before": 1, "lasts": 1}'


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "empty"),
        ("\n\n{", 3, "truncated"),
        ("\xff", 1, "malformed"),
        (KILL + "\n" + KILL.replace('"lasts": 1', '"lasts": -1'), 2, "`lasts`"),
        (KILL.replace('"before": 1', '"before": 1e9'), 1, "`before`"),
        (KILL.replace("}", ', "pick": 2}'), 1, "`pick`"),
        (KILL.replace("}", ', "pack": 2}'), 1, "pack"),
        (KILL.replace("kill-leader", "kill-nobody"), 1, "there is no fault `kill-nobody`"),
        ('{"fault": "kill-leader", "before": 1}', 1, "lasts"),
        ('{"victim": "leader", "before": 1, "down": 1}', 1, "victim"),
        (KILL.replace("}", ', "overlaps": true}'), 1, "`overlaps`"),
        (KILL + 2 * ("\n" + KILL.replace("}", ', "overlaps": true}')), 3, "at most two"),
    ],
)
def test_an_unreadable_schedule_is_refused(
    tmp_path: Path, text: str, line: int, reason: str
) -> None:
    file = tmp_path / "schedule"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(Unreadable) as refused:
        schedule.read(file, FAULTS)
    assert (refused.value.line, reason in refused.value.reason) == (line, True), refused.value


def test_kinds_that_are_not_known_or_not_possible_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="there is no fault kill-bill; there are kill-leader"):
        chosen("kill-leader,kill-bill", FAULTS)
    with pytest.raises(ValueError, match="no kind"):
        chosen(",", FAULTS)
    monkeypatch.setattr(FAULTS["halves"], "missing", classmethod(lambda cls: "no links today"))
    with pytest.raises(ValueError, match="halves cannot be done here: no links today"):
        chosen("halves", FAULTS)
    assert "halves" not in chosen("all", FAULTS)
    assert "halves" not in usual()
    file = tmp_path / "schedule"
    file.write_text(KILL.replace("kill-leader", "halves"))
    with pytest.raises(Unreadable, match="no links today"):
        schedule.read(file, FAULTS)


def test_every_kind_says_what_it_is() -> None:
    for name, kind in FAULTS.items():
        assert name == kind.name
        assert kind.about, name
        assert all(0 <= low <= high for low, high in kind.spans), name
