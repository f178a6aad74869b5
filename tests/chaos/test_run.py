"""Runs against fake nodes: what is killed, what is judged, and that nothing is left behind."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos import history, main
from chaos.running.command import PROGRAM
from chaos.running.own import free_port
from cluster.environment import ROOT
from cluster.processes import birth

FAKE = shlex.join([sys.executable, "-I", str(Path(__file__).with_name("fake_node.py"))])
KILLS = ("--kinds", "kill-leader,kill-follower,kill-all")
SHORT = ("--workloads", "locks", "--clients", "2", "--rate", "150")


def command(folder: Path, *more: str) -> list[str]:
    words = ("--data", str(folder / "cluster"), "--seed", "5", *SHORT, *more)
    code = "import sys; from chaos.main import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-c", code, "run", *words]


def run(folder: Path, *more: str, fault: str = "") -> subprocess.CompletedProcess[str]:
    """A run to its end, with a fault of the fake nodes."""
    (folder / "fault").write_text(fault)
    return subprocess.run(
        command(folder, *more),
        cwd=ROOT,
        env={**os.environ, PROGRAM: FAKE},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def schedule(tmp_path: Path) -> Path:
    """The leader, a follower, all; in quick succession."""
    file = tmp_path / "schedule"
    file.write_text(
        '{"fault": "kill-leader", "before": 0.5, "lasts": 0.1}\n'
        '{"fault": "kill-follower", "before": 0.3, "lasts": 0.1, "pick": 1}\n'
        '{"fault": "kill-all", "before": 0.3, "lasts": 0.2}\n'
    )
    return file


def processes_of(folder: Path) -> list[int]:
    """Processes that have the folder in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in words and birth(int(entry.name)) is not None:
                found.append(int(entry.name))
    return found


def wait_for(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for: {what}"
        time.sleep(0.02)


def test_a_correct_cluster_is_found_correct_and_judged_so_again(
    tmp_path: Path, schedule: Path
) -> None:
    file = tmp_path / "saved.jsonl"
    ended = run(tmp_path, "--schedule", str(schedule), "--history", str(file))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    lines = ended.stdout.splitlines()
    rounds = [line for line in lines if line.startswith("round ")]
    assert [line.split()[2] for line in rounds] == ["kill-leader", "kill-follower", "kill-all"]
    assert all("next write after" in line for line in rounds)
    assert any(line.startswith("no violation") for line in lines)
    assert "3 faults" in lines[-1]
    assert processes_of(tmp_path) == []

    saved = history.load(file)
    assert saved.nodes == ("n1", "n2", "n3")
    assert saved.run["seed"] == 5
    assert [fault.what for fault in saved.faults] == ["kill", "start", "recovered"] * 3
    assert {item.client for item in saved.operations} >= {"c1.locks", "c2.locks", "final"}
    assert {item.node for item in saved.operations if item.ok} == {"n1", "n2", "n3"}
    assert main.main(["judge", str(file)]) == 0


def test_a_cluster_that_forgets_is_found_out(tmp_path: Path, schedule: Path) -> None:
    ended = run(tmp_path, "--schedule", str(schedule), fault="amnesia")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    shown = [line for line in ended.stdout.splitlines() if "VIOLATION" in line]
    assert any("two holders" in line or "grant lost" in line for line in shown), ended.stdout
    assert "lock.acquire(" in ended.stdout.partition("VIOLATION")[2]
    assert "logs, history and schedule are in" in ended.stdout
    assert processes_of(tmp_path) == []


def test_a_node_that_refuses_to_start_is_no_recovery(tmp_path: Path, schedule: Path) -> None:
    ended = run(tmp_path, "--schedule", str(schedule), fault="refuses")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "no recovery" in ended.stdout
    assert "exit 65" in ended.stdout
    assert "data-damaged: journal/1 at 17" in ended.stdout
    assert processes_of(tmp_path) == []


def test_a_node_that_does_not_come_back_is_no_recovery(tmp_path: Path, schedule: Path) -> None:
    ended = run(tmp_path, "--schedule", str(schedule), "--patience", "2", fault="wedged")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "round 1: no recovery: not all nodes were ready within 2 s" in ended.stdout
    begun = (tmp_path / "cluster" / "schedule.jsonl").read_text().splitlines()
    assert len(begun) == 1, "the fault behind which it happened is in the schedule"
    assert '"kill-leader"' in begun[0]
    assert processes_of(tmp_path) == []


def test_time_bounds_the_rounds(tmp_path: Path) -> None:
    ended = run(tmp_path, *KILLS, "--rounds", "1000", "--seconds-max", "12")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rounds = [line for line in ended.stdout.splitlines() if line.startswith("round ")]
    assert 1 <= len(rounds) < 1000
    assert f"{len(rounds)} faults" in ended.stdout.splitlines()[-1]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A long run in its second round."""
    process = subprocess.Popen(
        command(tmp_path, *KILLS, "--rounds", "1000"),
        cwd=ROOT,
        env={**os.environ, PROGRAM: FAKE},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("round "):
            break
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_verdict_and_nothing_left(
    tmp_path: Path, running: subprocess.Popen[str], number: signal.Signals
) -> None:
    running.send_signal(number)
    output = running.communicate(timeout=60)[0]
    assert running.returncode == main.INTERRUPTED, output
    assert "interrupted" in output
    assert "no violation" in output
    assert processes_of(tmp_path) == []


def test_nothing_outlives_a_runner_that_is_killed(
    tmp_path: Path, running: subprocess.Popen[str]
) -> None:
    clients = _children(running.pid)
    assert len(clients) >= 5
    running.kill()
    wait_for(lambda: not any(map(birth, clients)), "clients and nodes end", 5)


def test_a_client_that_a_fault_has_stopped_does_not_outlive_a_killed_runner(
    tmp_path: Path,
) -> None:
    file = tmp_path / "schedule"
    file.write_text('{"fault": "pause-client", "before": 0.1, "lasts": 600}\n')
    process = subprocess.Popen(
        command(tmp_path, "--schedule", str(file)),
        cwd=ROOT,
        env={**os.environ, PROGRAM: FAKE},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: _stopped(process.pid), "a client is stopped")
        stopped = _stopped(process.pid)
    finally:
        process.kill()
        process.wait()
    wait_for(lambda: not any(map(birth, stopped)), "the stopped client ends")


def test_a_signal_before_the_load_has_begun_says_nothing_of_the_cluster(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(tmp_path, *KILLS, "--rounds", "1"),
        cwd=ROOT,
        env={**os.environ, PROGRAM: FAKE},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("starting "):
            break
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == main.INTERRUPTED, output
    assert "VIOLATION" not in output
    assert "interrupted before the load had begun" in output
    assert processes_of(tmp_path) == []


def _children(pid: int) -> list[int]:
    entries = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [child for child in entries if _parent(child) == pid]


def _stopped(pid: int) -> list[int]:
    """Its children that SIGSTOP has reached."""
    found = []
    for child in _children(pid):
        stat = Path(f"/proc/{child}/stat").read_text()
        found += [child] if stat.rpartition(")")[2].split()[0] == "T" else []
    return found


def _parent(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[1])


def refused(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """The exit code and stderr of a run that is refused before it begins."""
    code = main.main(["run", "--data", str(folder / "cluster"), *SHORT, *words])
    said = capsys.readouterr()
    assert said.out == ""
    return code, said.err


def test_a_folder_with_something_in_it_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "cluster"
    folder.mkdir()
    (folder / "state.json").write_text("{}")
    code, said = refused(tmp_path, capsys, "--rounds", "1")
    assert code == main.USAGE
    assert f"{folder} is not empty" in said
    assert [entry.name for entry in folder.iterdir()] == ["state.json"]


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    import socket

    port = free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", port + 1))
        other.listen()
        ended = run(tmp_path, "--rounds", "1", "--port", str(port))
    assert ended.returncode == main.UNAVAILABLE
    assert f"port {port + 1}" in ended.stderr


def test_a_schedule_that_cannot_be_read_is_refused_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "schedule"
    step = '{"fault": "kill-leader", "before": 1, "lasts": 1}'
    file.write_text(f"{step}\n{step.replace('leader', 'everybody')}\n")
    code, said = refused(tmp_path, capsys, "--schedule", str(file))
    assert code == main.UNREADABLE
    assert f"{file}, line 2: " in said
    assert "kill-everybody" in said


@pytest.mark.parametrize("word", ["--kinds", "--rounds", "--minutes"])
def test_a_schedule_says_all_that_is_done(
    tmp_path: Path, schedule: Path, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    value = "kill-all" if word == "--kinds" else "1"
    code, said = refused(tmp_path, capsys, "--schedule", str(schedule), word, value)
    assert code == main.USAGE
    assert f"{word} and --schedule exclude each other" in said


@pytest.mark.parametrize("word", ["--report", "--history"])
def test_what_cannot_be_written_is_refused_before_the_run(
    tmp_path: Path, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = refused(tmp_path, capsys, word, str(tmp_path / "no" / "file"))
    assert code == main.USAGE
    assert f"{tmp_path / 'no' / 'file'} cannot be written" in said
    assert not (tmp_path / "cluster").exists(), "what is refused makes nothing"


def test_an_unknown_workload_or_kind_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = refused(tmp_path, capsys, "--workloads", "looks")
    assert code == main.USAGE
    assert "there is no workload looks" in said
    code, said = refused(tmp_path, capsys, "--kinds", "kill-bill")
    assert code == main.USAGE
    assert "there is no fault kill-bill" in said
    assert not (tmp_path / "cluster").exists(), "what is refused makes nothing"


@pytest.mark.parametrize(
    "words",
    [
        ("--rounds", "0"),
        ("--rounds", "many"),
        ("--minutes", "nan"),
        ("--minutes", "soon"),
        ("--rate", "-1"),
        ("--seconds-max", "-1"),
        ("--port", "65535"),
        ("--port", "0"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(
    words: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["run", *words])
    assert ended.value.code == main.USAGE
    said = capsys.readouterr().err
    assert words[0] in said
    assert words[1] in said.splitlines()[-1]
    assert "convert" not in said


def test_a_bug_of_the_tool_is_no_broken_rule(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(commands: Any) -> None:
        raise ZeroDivisionError("once more")

    monkeypatch.setitem(main.REGISTERS, "judge", broken)
    assert main.main(["judge", "x"]) == main.BUG
    said = capsys.readouterr().err
    assert "ZeroDivisionError: once more" in said
    assert "bug of chaos itself" in said


def test_a_workload_that_breaks_ends_the_run_with_its_words(tmp_path: Path) -> None:
    ended = run(tmp_path, "--rounds", "3", "--workloads", "tests.chaos.broken_load:Broken")
    assert ended.returncode == main.UNAVAILABLE, ended.stdout + ended.stderr
    assert "ValueError: this load is broken" in ended.stderr
    assert processes_of(tmp_path) == []
