"""A run that is ended from outside: it is judged, it is quick, and nothing is left behind."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos import main
from cluster.processes import birth
from tests.chaos.fake_runs import (
    KILLS,
    begun,
    children_of,
    processes_of,
    read_until,
    scheduled,
    stopped_by,
    wait_for,
)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A long run in its second round."""
    with begun(tmp_path, *KILLS, "--rounds", "1000") as process:
        read_until(process, "round ")
        yield process


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


def test_a_signal_in_the_midst_of_a_fork_is_not_lost(tmp_path: Path) -> None:
    hook = """
import os, signal
sent = []
def interrupt():
    if not sent:
        sent.append(True)
        os.kill(os.getpid(), signal.SIGINT)
os.register_at_fork(after_in_parent=interrupt)
"""
    with begun(tmp_path, *KILLS, "--rounds", "1", first=hook) as process:
        output = process.communicate(timeout=60)[0]
    assert "Exception ignored" in output, "Python passes over what is raised in such a hook"
    assert process.returncode == main.INTERRUPTED, output
    assert processes_of(tmp_path) == []


def test_who_waits_for_a_paused_cluster_is_not_waited_for(tmp_path: Path) -> None:
    file = '{"fault": "pause-all", "before": 0.1, "lasts": 600}\n'
    with begun(tmp_path, *scheduled(tmp_path, file)) as process:
        wait_for(lambda: len(stopped_by(process.pid)) == 3, "the nodes are stopped")
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=60)[0]
        assert time.monotonic() - began < 5, "a client waits 6 s for an answer"
    assert process.returncode == main.INTERRUPTED, output
    words = ("interrupted; stopping", "all is stopped; judging", "no violation")
    assert [word for word in words if word in output] == list(words), output
    assert processes_of(tmp_path) == []


def test_nothing_outlives_a_runner_that_is_killed(
    tmp_path: Path, running: subprocess.Popen[str]
) -> None:
    clients = children_of(running.pid)
    assert len(clients) >= 5
    running.kill()
    wait_for(lambda: not any(map(birth, clients)), "clients and nodes end", 5)


def test_a_client_that_a_fault_has_stopped_does_not_outlive_a_killed_runner(
    tmp_path: Path,
) -> None:
    file = '{"fault": "pause-client", "before": 0.1, "lasts": 600}\n'
    with begun(tmp_path, *scheduled(tmp_path, file)) as process:
        wait_for(lambda: stopped_by(process.pid), "a client is stopped")
        stopped = stopped_by(process.pid)
    wait_for(lambda: not any(map(birth, stopped)), "the stopped client ends")


def test_a_signal_before_the_load_has_begun_says_nothing_of_the_cluster(tmp_path: Path) -> None:
    with begun(tmp_path, *KILLS, "--rounds", "1") as process:
        read_until(process, "starting ")
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=60)[0]
    assert process.returncode == main.INTERRUPTED, output
    assert "VIOLATION" not in output
    assert "interrupted before the load had begun" in output
    assert processes_of(tmp_path) == []
