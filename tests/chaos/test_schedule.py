"""Schedules: drawn from a seed, saved, read again, and carried out."""

from collections import Counter
from pathlib import Path
from typing import cast

import pytest

from chaos.history import Unreadable
from chaos.simulation import schedule
from chaos.simulation.faults import FAULTS, Act, Fault
from chaos.simulation.loop import VirtualLoop
from chaos.simulation.outcome import Step
from chaos.simulation.profiles import PROFILES, Profile, replace
from chaos.simulation.schedule import Trouble, draw, read, write
from chaos.simulation.world import World

THREE = PROFILES["three"]


def test_a_seed_is_one_schedule() -> None:
    assert draw(7, THREE) == draw(7, THREE)
    assert draw(7, THREE) != draw(8, THREE)
    for seed in range(50):
        steps = draw(seed, THREE)
        times = [step.at for step in steps]
        assert times == sorted(times)
        assert all(schedule.BEGIN < at < THREE.seconds for at in times)
        assert {step.fault for step in steps} <= FAULTS.keys()


def test_seeds_are_gentle_in_some_regards_and_hard_in_others() -> None:
    counts = [Counter(step.fault for step in draw(seed, THREE)) for seed in range(300)]
    totals = sorted(count.total() for count in counts)
    assert totals[30] * 3 < totals[270]
    seen = Counter(fault for count in counts for fault in count)
    assert seen.keys() == FAULTS.keys()
    assert max(seen.values()) < 250
    most = [max(count.values()) / count.total() for count in counts if count.total() > 10]
    assert max(most) > 0.25


def test_the_weights_of_a_profile_are_kept() -> None:
    profile = replace(THREE, seconds=2000.0, faults={"kill": 3, "split": 1, "wipe": 0})
    count = Counter(step.fault for step in draw(1, profile))
    assert count.keys() == {"kill", "split"}
    assert 2.4 < count["kill"] / count["split"] < 3.7
    mean = count.total() / 2000
    assert 1 / mean == pytest.approx(profile.pause, rel=0.1)
    assert draw(1, replace(THREE, faults={"kill": 0})) == ()


def test_a_profile_with_a_fault_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="there is no fault 'rain'"):
        draw(1, Profile("wet", faults={"rain": 1}))


def test_a_saved_schedule_is_read_as_it_was(tmp_path: Path) -> None:
    steps = draw(3, THREE)
    assert len(steps) > 5
    file = tmp_path / "schedule"
    write(file, steps)
    assert read(file) == steps
    write(file, ())
    assert read(file) == ()
    file.write_text('\n{"at": 1, "fault": "kill", "seed": 2}\n\n')
    assert read(file) == (Step(1.0, "kill", 2),)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"at": 2.0, "fault": "kill"}', "missing required field `seed`"),
        ('{"at": 2.0, "fault": "kill", "seed": 1, "victim": "n1"}', "unknown field `victim`"),
        ('{"at": 2.0, "fault": "rain", "seed": 1}', "there is no fault 'rain'; there are"),
        ('{"at": -1.0, "fault": "kill", "seed": 1}', "`at` is seconds, 0 to 86400"),
        ('{"at": 0.5, "fault": "kill", "seed": 1}', "before the step above, at 1"),
        ('{"at": 2.0, "fault": "kill", "seed": -1}', "`seed` is a number from 0 on"),
        ("kill n1", "JSON is malformed"),
        ('{"at": 2.0, "fault": "\udcff", "seed": 1}', "utf-8"),
    ],
)
def test_an_unreadable_schedule_is_refused_with_line_and_reason(
    tmp_path: Path, line: str, reason: str
) -> None:
    file = tmp_path / "schedule"
    good = '{"at": 1.0, "fault": "kill", "seed": 1}'
    file.write_bytes(f"{good}\n\n{line}\n".encode(errors="surrogateescape"))
    with pytest.raises(Unreadable) as error:
        read(file)
    assert error.value.line == 3
    assert reason in error.value.reason
    assert str(error.value).startswith(f"{file}, line 3: ")


class _Noted:
    """A world that is nothing but time, and faults that note what they are asked to do."""

    def __init__(self) -> None:
        self.log: list[tuple[float, str]] = []
        self.loop = VirtualLoop(1)
        self.told: list[tuple[str, str]] = []

    def say(self, text: str) -> None:
        self.log.append((round(self.loop.time() - 1000, 3), text))

    def note_fault(self, name: str, detail: str) -> None:
        self.told.append((name, detail))

    def begins(self, act: Act) -> bool:
        self.say(f"begin {act.rng.randrange(1000)}")
        act.note("n1")
        act.after(1.0, self.say, "more")
        act.until(2.0, self.say, "end")
        return True

    def never(self, act: Act) -> bool:
        return False


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> _Noted:
    noted = _Noted()
    for do in (noted.begins, noted.never):
        monkeypatch.setitem(FAULTS, do.__name__, Fault(do.__name__, do, 1))
    return noted


def test_steps_are_done_at_their_times_each_with_its_own_draws(noted: _Noted) -> None:
    steps = (Step(1.0, "begins", 5), Step(1.5, "never", 6), Step(2.5, "begins", 5))
    trouble = Trouble(cast(World, noted), steps)
    noted.loop.run_until(1010)
    drawn = noted.log[0][1]
    assert noted.log == [
        (1.0, drawn),
        (2.0, "more"),
        (2.5, drawn),
        (3.0, "end"),
        (3.5, "more"),
        (4.5, "end"),
    ]
    assert trouble.done == {"begins": 2}
    assert noted.told == [("begins", what) for what in ("n1", "n1", "over", "over")]
    trouble.end()
    assert len(noted.log) == 6


def test_in_the_end_all_is_undone_at_once_and_nothing_begins(noted: _Noted) -> None:
    steps = (Step(1.0, "begins", 5), Step(1.2, "begins", 6), Step(3.0, "begins", 7))
    trouble = Trouble(cast(World, noted), steps)
    noted.loop.run_until(1001.5)
    assert len(noted.log) == 2
    trouble.end()
    assert [text for _, text in noted.log[2:]] == ["end", "end"]
    noted.loop.run_until(1010)
    assert len(noted.log) == 4
    assert trouble.done == {"begins": 2}
