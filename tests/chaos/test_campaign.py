"""Seeds spread over processes: none is lost without a word, none is played twice."""

import os
from pathlib import Path

import msgspec
import pytest

from chaos.history import Unreadable
from chaos.simulation import pool
from chaos.simulation.campaign import Campaign, Job, Run, Summary, describe, profile_of
from chaos.simulation.outcome import Outcome
from chaos.simulation.pool import Lost, Pool
from chaos.simulation.profiles import PROFILES, replace
from chaos.simulation.seeds import BadSeeds, parse
from tests.chaos import fake_simulation as fake

THREE = PROFILES["three"]


def played(
    seeds: list[int], results: Path | None = None, processes: int = 2, bound: float = 60.0
) -> tuple[dict[int, Run], Summary]:
    """A campaign of fake runs: each run by its seed, and the sum."""
    runs: dict[int, Run] = {}
    summary = Summary()
    jobs = [Job(seed, THREE) for seed in seeds]
    told = lambda run, _: runs.__setitem__(run.job.seed, run)  # noqa: E731
    Campaign(jobs, processes, results, fake.play, bound).go(told, summary)
    return runs, summary


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("7", [7]),
        ("1..4", [1, 2, 3, 4]),
        ("1..3,17,5..6", [1, 2, 3, 17, 5, 6]),
        ("3,1..4", [3, 1, 2, 4]),
        ("0..0", [0]),
        (f"{(1 << 63) - 1}", [(1 << 63) - 1]),
    ],
)
def test_seeds_are_read(text: str, seeds: list[int]) -> None:
    assert parse(text) == seeds


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("", 1, "a seed is missing"),
        ("1,,3", 3, "a seed is missing"),
        ("1..", 4, "a seed is missing"),
        ("..5", 1, "a seed is missing"),
        ("1..10,5..x7", 10, "'x' is no digit"),
        ("12a", 3, "'a' is no digit"),
        ("-3", 1, "'-' is no digit"),
        ("1 ..3", 2, "' ' is no digit"),
        ("٣", 1, "is no digit"),
        ("1..2..3", 5, "'.' is no digit"),
        ("9..8", 1, "ends before it begins"),
        ("4,9..8", 3, "ends before it begins"),
        ("1..99999999999999999999", 4, "a seed is at most"),
        ("1..9000000,1..9000000000", 12, "more than"),
    ],
)
def test_an_unreadable_range_is_refused_with_position_and_reason(
    text: str, position: int, reason: str
) -> None:
    with pytest.raises(BadSeeds) as refusal:
        parse(text)
    assert refusal.value.position == position
    assert reason in refusal.value.reason
    assert f"character {position}" in str(refusal.value)


def test_every_seed_is_played_and_summed() -> None:
    runs, summary = played(list(range(20, 30)))
    assert sorted(runs) == list(range(20, 30))
    assert not any(run.bad for run in runs.values())
    assert (summary.runs, summary.bad, summary.seconds) == (10, 0, 200.0)
    assert summary.counts == {"ok": 100, "unknown": 10}
    assert summary.faults == {"kill": 20}
    lines = "\n".join(summary.lines(1.0))
    assert "virtual seconds: 200, 80.0 per second and core" in lines
    assert "ok 100, unknown 10" in lines
    assert "kill 20" in lines
    assert "10 different ones" in lines
    assert lines.endswith("no rule was broken")


def test_a_broken_rule_is_told_with_the_command_to_see_it_again() -> None:
    runs, summary = played([12, fake.BROKEN])
    assert runs[fake.BROKEN].bad
    assert not runs[12].bad
    lines = list(describe(runs[fake.BROKEN], " --seconds 5"))
    assert lines == [
        "seed 13 (three), at 3.250 s: leases: a lease ended early",
        "    see it again: python3 -m chaos simulate --seeds 13..13 --profile three --seconds 5",
        "    its story:    python3 -m chaos simulate --explain 13 --profile three --seconds 5",
    ]
    assert list(summary.lines(1.0))[-1] == "VIOLATIONS in 1 runs: leases 1"


@pytest.mark.parametrize(
    ("seed", "why"),
    [
        (fake.DIES, "its process died: exit status 3"),
        (fake.KILLED, "its process died: signal SIGKILL"),
        (fake.RAISES, "ZeroDivisionError: nothing left"),
    ],
)
def test_a_worker_that_dies_is_told_with_its_seed_and_takes_no_other_along(
    seed: int, why: str
) -> None:
    runs, summary = played([1, 2, seed, 3, 4, 5])
    assert sorted(runs) == sorted([1, 2, seed, 3, 4, 5])
    assert [run.job.seed for run in runs.values() if run.bad] == [seed]
    lost = runs[seed].outcome
    assert isinstance(lost, Lost)
    assert why in lost.why
    assert not lost.late
    assert summary.bad == summary.lost == 1
    assert "1 lost" in list(summary.lines(1.0))[-1]


def test_a_worker_that_takes_too_long_says_where_it_stands() -> None:
    runs, _ = played([1, fake.HANGS, 2], bound=0.5)
    lost = runs[fake.HANGS].outcome
    assert isinstance(lost, Lost)
    assert lost.late
    assert "longer than 0.5 s" in lost.why
    assert "fake_simulation.py" in lost.why
    assert not runs[1].bad
    assert not runs[2].bad


def test_a_worker_that_says_nothing_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "GRACE", 0.3)
    monkeypatch.setattr(pool, "PATIENCE", 1.0)
    runs, _ = played([fake.STUCK, 2], bound=2.0)
    lost = runs[fake.STUCK].outcome
    assert isinstance(lost, Lost)
    assert lost.late
    assert "killed" in lost.why
    assert not runs[2].bad


def test_fresh_work_has_a_process_of_its_own() -> None:
    shared: Pool[int, int] = Pool(fake.process, jobs=1, bound=10)
    assert len({result for _, result in shared.run(range(3))}) == 1
    fresh: Pool[int, int] = Pool(fake.process, jobs=1, bound=10, fresh=True)
    processes = {result for _, result in fresh.run(range(3))}
    assert len(processes) == 3
    assert os.getpid() not in processes


def test_what_is_left_early_leaves_no_process() -> None:
    work: Pool[int, int] = Pool(fake.process, jobs=2, bound=10)
    ended = work.run(range(100))
    _, process = next(ended)
    ended.close()
    assert isinstance(process, int)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_campaign_goes_on_where_it_was_left(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    played([1, 2, fake.BROKEN], file)
    runs, summary = played([1, 2, 3, fake.BROKEN], file)
    assert [seed for seed, run in sorted(runs.items()) if run.known] == [1, 2, fake.BROKEN]
    assert (summary.runs, summary.known, summary.bad) == (4, 3, 1)
    again, _ = played([1, 2, 3, fake.BROKEN], file)
    assert all(run.known for run in again.values())
    outcomes = [run.outcome for run in again.values()]
    steps = {item.seed: len(item.steps) for item in outcomes if isinstance(item, Outcome)}
    assert steps == {1: 0, 2: 0, 3: 0, fake.BROKEN: 1}


def test_what_was_lost_is_played_again(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    played([1, fake.RAISES], file)
    runs, _ = played([1, fake.RAISES], file)
    assert runs[1].known
    assert not runs[fake.RAISES].known


def test_other_code_and_other_worlds_are_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "results.jsonl"
    played([1], file)
    summary = Summary()
    jobs = [Job(1, replace(THREE, seconds=5.0)), Job(1, THREE, ()), Job(1, PROFILES["five"])]
    Campaign(jobs, 1, file, fake.play).go(lambda run, _: None, summary)
    assert (summary.runs, summary.known) == (3, 0)
    monkeypatch.setattr("chaos.simulation.results.code_hash", lambda: "other")
    runs, _ = played([1], file)
    assert not runs[1].known


def test_what_no_judge_could_tell_is_said() -> None:
    summary = Summary()
    unsure = replace(fake.outcome(1), undecided={"linear locks": 2})
    for outcome in (fake.outcome(2), unsure, unsure):
        summary.add(Run(Job(1, THREE), outcome))
    assert "objects that no judge could tell of: 4 (linear locks 4)" in list(summary.lines(1.0))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{not json}\n", "no result of a simulated run"),
        (b'{"line":"history","version":1}\n', "no result of a simulated run"),
        (b"\xff\xfe\n", "no result of a simulated run"),
        (b"\n", "no result of a simulated run"),
        (b"somebody's own", "no result of a simulated run"),
    ],
)
def test_a_damaged_or_foreign_line_is_refused(tmp_path: Path, line: bytes, reason: str) -> None:
    file = tmp_path / "results.jsonl"
    played([1, 2], file)
    whole = file.read_bytes() + line
    file.write_bytes(whole)
    with pytest.raises(Unreadable) as refusal:
        played([1, 2], file)
    assert refusal.value.line == 3
    assert reason in refusal.value.reason
    assert file.read_bytes() == whole


@pytest.mark.parametrize("kept", [1, 60, -1])
def test_a_line_in_the_midst_of_which_a_campaign_was_killed_is_played_again(
    tmp_path: Path, kept: int
) -> None:
    file = tmp_path / "results.jsonl"
    played([1, 2], file)
    first, second = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(first + second[:kept])
    _, summary = played([1, 2], file)
    assert (summary.runs, summary.known) == (2, 1)
    assert len(file.read_bytes().splitlines()) == 2
    assert all(run.known for run in played([1, 2], file)[0].values())


def test_what_is_no_file_is_refused() -> None:
    with pytest.raises(Unreadable, match="no regular file"):
        played([1], Path("/dev/null"))


def test_of_two_hundred_seeds_fifty_have_five_members() -> None:
    names = [name for seed in parse("1..200") for name in profile_of(seed, "mixed")]
    assert (names.count("three"), names.count("five")) == (150, 50)
    assert profile_of(3, "both") == ("three", "five")
    assert profile_of(3, "five") == ("five",)


def test_an_outcome_travels_and_stays_the_same() -> None:
    outcome = fake.outcome(5)
    assert msgspec.json.decode(msgspec.json.encode(outcome), type=Outcome) == outcome
