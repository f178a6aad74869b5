"""`chaos simulate`: what is asked, what is said of it, and how it ends."""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chaos.simulation import command
from chaos.simulation.profiles import Profile
from cluster.environment import ROOT
from tests.chaos import fake_simulation as fake

Stories = list[tuple[int, str, Path]]


def run(*arguments: str, stories: Stories | None = None) -> int:
    """The exit code of `simulate` with these arguments, over fake runs; stories are noted."""

    def explain(seed: int, profile: Profile, out: Path, say: command.Say) -> int:
        assert stories is not None
        stories.append((seed, profile.name, out))
        return 0

    parser = argparse.ArgumentParser()
    command.register(parser.add_subparsers(required=True), explain, fake.play)
    options = parser.parse_args(["simulate", *arguments])
    return int(options.go(options))


def test_good_seeds_end_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--seeds", "1..8", "--jobs", "2") == 0
    out = capsys.readouterr().out
    assert "8 runs" in out
    assert "trace 0000" not in out


def test_a_violation_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    kind = ("--profile", "three", "--seconds", "5", "--clients", "2", "--workloads", "locks,rings")
    assert run("--seeds", "12..13", "--jobs", "1", *kind) == 1
    out = capsys.readouterr().out
    assert "seed 13 (three), at 3.250 s: leases: a lease ended early" in out
    assert f"simulate --seeds 13..13 {' '.join(kind)}\n" in out
    assert f"simulate --explain 13 {' '.join(kind)}\n" in out


def test_a_single_seed_shows_its_trace(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--seeds", "7", "--profile", "both", "--jobs", "1") == 0
    out = capsys.readouterr().out
    assert "seed 7 (three): trace 00000007" in out
    assert "seed 7 (five): trace 00000007" in out
    run("--seeds", "20..25", "--trace", "--jobs", "1")
    assert "trace 00000019" in capsys.readouterr().out


def test_a_story_is_handed_on(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    stories: Stories = []
    assert run("--explain", "17", "--out", str(page), stories=stories) == 0
    assert run("--explain", "16", stories=stories) == 0
    assert stories == [(17, "three", page), (16, "five", Path("seed-16.html"))]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--seeds", "1..x"), "character 4: 'x' is no digit"),
        ((), "give either --seeds RANGE or --explain SEED"),
        (("--seeds", "1", "--explain", "1"), "give either"),
        (("--explain", "1..2"), "one seed"),
        (("--explain", "1", "--profile", "both"), "one run"),
        (("--explain", "1", "--results", "kept.jsonl"), "keeps none; leave it out"),
        (("--explain", "1", "--jobs", "2"), "--jobs goes with --seeds, not with --explain"),
        (("--explain", "1", "--jobs", "0"), "--jobs goes with --seeds, not with --explain"),
        (("--explain", "1", "--trace"), "give --seeds SEED"),
        (("--explain", "1", "--schedule", "faults.jsonl"), "the seed's own faults"),
        (("--seeds", "1", "--jobs", "0"), "below 1"),
        (("--seeds", "1", "--seconds", "0"), "not between"),
        (("--seeds", "1", "--seconds", "nan"), "not between"),
        (("--seeds", "1", "--out", "page.html"), "--out goes with --explain"),
        (("--seeds", "1", "--clients", "0"), "not between"),
        (("--seeds", "1", "--workloads", "locks,sleep"), "sleep"),
    ],
)
def test_what_cannot_be_is_refused_with_64(
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    says: str,
) -> None:
    assert run(*arguments) == 64
    assert says in capsys.readouterr().err


INTERRUPTED = """
import sys
from chaos import main
from chaos.simulation import command
from tests.chaos import fake_simulation as fake
if __name__ == "__main__":
    simulate = lambda commands: command.register(commands, lambda *_: 0, fake.play)
    main.REGISTERS["simulate"] = simulate
    sys.exit(main.main(["simulate", *sys.argv[1:]]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("seeds", ["1..12,17", "1..13,17"])
def test_a_signal_ends_it_with_what_is_known(
    tmp_path: Path, number: signal.Signals, seeds: str
) -> None:
    script = tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED)
    kind = ("--profile", "three", "--jobs", "1", "--trace")
    process = subprocess.Popen(
        [sys.executable, str(script), "--seeds", seeds, *kind],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    assert process.stdout is not None
    last = seeds.partition("..")[2].partition(",")[0]
    shown = ""
    limit = time.monotonic() + 60
    while f"seed {last} " not in shown and time.monotonic() < limit:
        shown += process.stdout.readline()
    os.killpg(process.pid, number)  # as a terminal and timeout(1) do: the workers get it too
    out, err = process.communicate(timeout=60)
    assert f"interrupted after {last} of {int(last) + 1} runs" in out
    assert f"{last} runs" in out
    assert "Traceback" not in err
    assert process.returncode == (1 if "13" in seeds else 130), "a broken rule is told first"
    while time.monotonic() < limit and _has_processes(process.pid):
        time.sleep(0.02)
    assert not _has_processes(process.pid)


def _has_processes(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
