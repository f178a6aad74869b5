"""Runs against a cluster that somebody else started: consent, load, the user's own faults, judges,
and that no process of it is touched."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos import history
from chaos.history import Invoke, Line, Result
from chaos.main import INTERRUPTED, UNAVAILABLE, UNREADABLE, USAGE, main
from chaos.running.foreign import address_of
from chaos.running.ours import only_ours
from chaos.running.own import Own
from chaos.running.settings import Settings
from cluster.environment import ROOT
from cluster.folder import held
from cluster.places import Places

FAKE = [sys.executable, "-I", str(Path(__file__).with_name("fake_node.py"))]
SHORT = ("--workloads", "locks", "--clients", "2", "--rate", "150", "--seed", "5")
CONSENT = "--yes-break-this-cluster"


def command(*words: str) -> list[str]:
    code = "import sys; from chaos.main import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-c", code, "run", *SHORT, *words]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    """A cluster of fake nodes."""
    folder = tmp_path_factory.mktemp("theirs")
    with held(Places(folder), make=True) as data:
        own = Own(Settings([], {}, 1, folder, folder / "h", program=FAKE), data)
        try:
            own.start()
            while not own.members.ready():
                assert own.ended() is None
            yield own
        finally:
            own.stop()


@pytest.fixture
def urls(theirs: Own) -> str:
    return ",".join(f"http://{address}" for address in theirs.members.addresses.values())


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """The exit code and stderr of a run that is refused before it begins."""
    code = main(["run", *SHORT, *words])
    said = capsys.readouterr()
    assert said.out == ""
    return code, said.err


def test_without_consent_it_refuses_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = refused(capsys, "--cluster", "http://127.0.0.1:1")
    assert code == USAGE
    assert "is not this run's own cluster" in said
    assert CONSENT in said


def test_it_is_loaded_and_judged_and_no_process_of_it_is_touched(
    theirs: Own, urls: str, tmp_path: Path
) -> None:
    before = {node: theirs.nodes.pid(node) for node in theirs.nodes.ids}
    saved = tmp_path / "history"
    words = ("--cluster", urls, CONSENT, "--data", str(tmp_path / "run"), "--rounds", "3")
    ended = run(*words, "--history", str(saved))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert {node: theirs.nodes.pid(node) for node in theirs.nodes.ids} == before
    assert theirs.nodes.ended() == {}
    found = history.load(saved)
    assert found.nodes == ("n1", "n2", "n3")
    assert found.run["fresh"] is False
    roles = {fault.role for fault in found.faults}
    assert roles == {"kill-client", "pause-client"}
    assert {item.node for item in found.operations if item.ok} == {"n1", "n2", "n3"}
    assert not (tmp_path / "run" / "secret").exists(), "no cluster was made"


@pytest.mark.slow
def test_a_second_run_bears_what_the_first_left(urls: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        words = ("--cluster", urls, CONSENT, "--data", str(tmp_path / name), "--rounds", "1")
        ended = run(*words, "--kinds", "kill-client")
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_users_own_faults_are_called_by_name(urls: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = tmp_path / "inject.sh"
    script.write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
    inject = shlex.join(["sh", str(script), "dc-1"])
    schedule = tmp_path / "schedule"
    schedule.write_text('{"fault": "power", "before": 0.1, "lasts": 0.2}\n')
    words = ("--cluster", urls, CONSENT, "--inject", inject, "--data", str(tmp_path / "run"))
    ended = run(*words, "--kinds", "power", "--schedule", str(schedule))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert log.read_text().splitlines() == ["dc-1 start power", "dc-1 stop power"]
    assert "power" in ended.stdout


def test_a_run_that_is_interrupted_takes_the_users_fault_back(urls: str, tmp_path: Path) -> None:
    log, script = tmp_path / "log", tmp_path / "inject.sh"
    heard = tmp_path / "heard"
    wait = f"while [ ! -e {heard} ]; do sleep 0.02; done"
    script.write_text(f'[ $1 = start ] || {wait}\necho "$@" >> {log}\n')
    schedule = tmp_path / "schedule"
    schedule.write_text('{"fault": "power", "before": 0.1, "lasts": 600}\n')
    words = ("--cluster", urls, CONSENT, "--inject", f"sh {script}", "--kinds", "power")
    process = subprocess.Popen(
        command(*words, "--schedule", str(schedule), "--data", str(tmp_path / "run")),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not log.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    first = next(line for line in process.stdout if "interrupted; stopping" in line)
    heard.touch()  # it is said before the fault is taken back, which may take its time
    output = first + process.communicate(timeout=60)[0]
    assert process.returncode == INTERRUPTED, output
    assert log.read_text().splitlines() == ["start power", "stop power"]


@pytest.mark.slow
def test_a_command_that_fails_ends_the_run_and_says_so(urls: str, tmp_path: Path) -> None:
    words = ("--cluster", urls, CONSENT, "--data", str(tmp_path / "run"), "--rounds", "1")
    ended = run(*words, "--inject", "false", "--kinds", "power")
    assert ended.returncode == UNAVAILABLE, ended.stdout + ended.stderr
    assert "false start power ended with 1" in ended.stderr


def test_faults_that_touch_processes_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = ("--cluster", "http://127.0.0.1:1", CONSENT)
    code, said = refused(capsys, *there, "--kinds", "kill-leader")
    assert code == USAGE
    assert "there is no fault kill-leader" in said
    file = tmp_path / "schedule"
    file.write_text('{"fault": "kill-all", "before": 0.1, "lasts": 0.2}\n')
    code, said = refused(capsys, *there, "--schedule", str(file))
    assert code == UNREADABLE
    assert f"{file}, line 1" in said


def test_who_does_not_answer_as_a_node_is_named() -> None:
    ended = run("--cluster", "http://127.0.0.1:1", CONSENT)
    assert ended.returncode == UNAVAILABLE
    assert "127.0.0.1:1 does not answer" in ended.stderr


@pytest.mark.parametrize("words", [(CONSENT,), ("--inject", "true")])
def test_what_goes_with_another_cluster_goes_only_with_it(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = refused(capsys, *words)
    assert code == USAGE
    assert "--cluster" in said


def test_what_others_made_is_left_out_of_the_history() -> None:
    def asked(number: int, kind: str, answer: dict[str, Any], **arguments: Any) -> list[Line]:
        return [
            Invoke(number, str(number), "c1", "n1", kind, arguments),
            Result(number, str(number), "ok", 200, None, 9, answer),
        ]

    lines = [
        *asked(1, "transaction.begin", {"id": 7}),
        *asked(2, "simple.prepare", {"transaction": 9}),
        *asked(3, "session.open", {"id": 4}),
        *asked(4, "transaction.read", {"id": 7}, id=7),
        *asked(5, "transaction.read", {"id": 8}, id=8),
        *asked(6, "transactions.list", {"transactions": [{"id": 7}, {"id": 8}, {"id": 9}]}),
        *asked(7, "sessions.list", {"sessions": [{"id": 4}, {"id": 5}], "next": None}),
        *asked(8, "locks.list", {"locks": [{"name": "ours/a"}, {"name": "a"}]}),
        *asked(9, "rings.list", {"rings": [{"name": "a"}]}),
    ]
    kept = list(only_ours(lines, "ours/"))
    assert [line.id for line in kept if isinstance(line, Invoke)] == list("12346789")
    answers = {line.id: line.answer for line in kept if isinstance(line, Result)}
    assert answers["6"] == {"transactions": [{"id": 7}, {"id": 9}]}
    assert answers["7"] == {"sessions": [{"id": 4}], "next": None}
    assert answers["8"] == {"locks": [{"name": "ours/a"}]}
    assert answers["9"] == {"rings": []}


def test_addresses_of_nodes() -> None:
    assert address_of("http://db1.example:8080/") == "db1.example:8080"
    assert address_of("10.0.0.1:80") == "10.0.0.1:80"
    assert address_of("http://[::1]:8080") == "[::1]:8080"
    for wrong in ("https://a:1", "http://a", "a", "http://a:b", "http://a:1/v1", "http://a:99999"):
        with pytest.raises(ValueError, match="no address"):
            address_of(wrong)
