"""Runs against fake nodes to their end: what is killed, what is judged, what is found out."""

from __future__ import annotations

import socket
from pathlib import Path

from chaos import history, main
from chaos.running.own import free_port
from tests.chaos.fake_runs import KILLS, processes_of, run, scheduled


def test_a_correct_cluster_is_found_correct_and_judged_so_again(tmp_path: Path) -> None:
    file = tmp_path / "saved.jsonl"
    ended = run(tmp_path, *scheduled(tmp_path), "--history", str(file))
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


def test_a_cluster_that_forgets_is_found_out(tmp_path: Path) -> None:
    ended = run(tmp_path, *scheduled(tmp_path), fault="amnesia")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    shown = [line for line in ended.stdout.splitlines() if "VIOLATION" in line]
    assert any("two holders" in line or "grant lost" in line for line in shown), ended.stdout
    assert "lock.acquire(" in ended.stdout.partition("VIOLATION")[2]
    assert "logs, history and schedule are in" in ended.stdout
    assert processes_of(tmp_path) == []


def test_a_node_that_refuses_to_start_is_no_recovery(tmp_path: Path) -> None:
    ended = run(tmp_path, *scheduled(tmp_path), fault="refuses")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "no recovery" in ended.stdout
    assert "exit 65" in ended.stdout
    assert "data-damaged: journal/1 at 17" in ended.stdout
    assert processes_of(tmp_path) == []


def test_a_node_that_does_not_come_back_is_no_recovery(tmp_path: Path) -> None:
    ended = run(tmp_path, *scheduled(tmp_path), "--patience", "2", fault="wedged")
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


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    port = free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", port + 1))
        other.listen()
        ended = run(tmp_path, "--rounds", "1", "--port", str(port))
    assert ended.returncode == main.UNAVAILABLE
    assert f"port {port + 1}" in ended.stderr


def test_a_workload_that_breaks_ends_the_run_with_its_words(tmp_path: Path) -> None:
    ended = run(tmp_path, "--rounds", "3", "--workloads", "tests.chaos.broken_load:Broken")
    assert ended.returncode == main.UNAVAILABLE, ended.stdout + ended.stderr
    assert "ValueError: this load is broken" in ended.stderr
    assert processes_of(tmp_path) == []
