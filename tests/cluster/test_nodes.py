"""The nodes' deaths and what follows, seen at the terminal and by the other commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster import member
from tests.cluster.harness import LocalCluster


def test_a_killed_leader_is_followed_and_comes_back(cluster: LocalCluster) -> None:
    screen = cluster.up()
    leader = cluster.status()["leader"]
    pid = cluster.node(leader)["pid"]
    assert f"killed {leader} (process {pid})" in cluster.run("kill", leader).stdout
    screen.shows(f"{leader} died (SIGKILL); starting it again in 1 s")
    screen.shows("s without a leader)")
    screen.shows(f"{leader} is back")
    now = cluster.status()
    assert now["leader"] != leader
    assert cluster.node(leader)["pid"] != pid
    assert cluster.starts(leader)[-1] == ""
    assert cluster.run("status").stdout.count("follower") == 2


def test_with_no_restart_the_dead_stay_dead_until_started(cluster: LocalCluster) -> None:
    screen = cluster.up("--no-restart")
    cluster.run("kill", "2")
    screen.shows("n2 died (SIGKILL)\n")
    assert cluster.node("n2")["phase"] == "down"
    assert "does not run" in cluster.refused("kill", "2")
    assert "n2 is ready" in cluster.run("start", "2").stdout
    assert cluster.node("n2")["phase"] == "ready"


def test_stop_start_pause_resume(cluster: LocalCluster) -> None:
    screen = cluster.up()
    cluster.run("stop", "n3")
    assert cluster.node("n3")["phase"] == "down"
    assert cluster.run("status", code=1).stdout.splitlines()[-1].endswith("down")
    cluster.run("start", "3")
    cluster.run("pause", "2")
    assert cluster.node("n2")["phase"] == "paused"
    assert "is paused" in cluster.refused("start", "2")
    cluster.run("resume", "2")
    assert cluster.node("n2")["phase"] == "ready"
    for event in ("n3 stopped", "n2 is paused", "n2 is resumed"):
        screen.shows(event)
    assert "there is no node 4; there are n1 to n3" in cluster.refused("stop", "4")


@pytest.mark.parametrize("code", sorted(member.REFUSALS))
def test_a_node_that_refuses_stays_down_and_says_why(cluster: LocalCluster, code: int) -> None:
    cluster.folder.mkdir()
    (cluster.folder / "n2.exit").write_text(f"{code} data-damaged: journal/1 at byte 42")
    screen = cluster.up()
    assert f"n2 stays down: exit {code}: data-damaged: journal/1 at byte 42" in screen.text
    assert "2 of 3 nodes are ready" in screen.text
    assert cluster.starts("n2") == ["--init"]
    assert "data-damaged" in cluster.refused("start", "2")
    (cluster.folder / "n2.exit").unlink()
    cluster.run("start", "2")


def test_when_most_refuse_it_ends_with_their_reasons(cluster: LocalCluster) -> None:
    cluster.folder.mkdir()
    for node in ("n1", "n3"):
        (cluster.folder / f"{node}.exit").write_text("78 config-invalid: http.port")
    screen = cluster.start("--port", str(cluster.port))
    assert screen.end() == 1
    assert "n1 stays down: exit 78: config-invalid: http.port" in screen.text
    assert screen.text.splitlines()[-1].startswith("cluster: 2 of 3 nodes refused to start")
    assert cluster.processes() == []


def test_one_that_dies_again_and_again_waits_longer_each_time(cluster: LocalCluster) -> None:
    cluster.folder.mkdir()
    (cluster.folder / "n1.exit").write_text("1 boom")
    screen = cluster.start("--port", str(cluster.port))
    screen.shows("n1 died (exit 1: boom); starting it again in 1 s")
    screen.shows("n1 died (exit 1: boom); starting it again in 2 s")
    (cluster.folder / "n1.exit").unlink()
    cluster.run("start", "1")
    screen.shows("3 of 3 nodes are ready")


def test_logs_show_and_follow(cluster: LocalCluster) -> None:
    cluster.up()
    log = cluster.folder / "n2.log"
    log.write_text("".join(f"line {number}\n" for number in range(50)))
    shown = cluster.run("logs", "2", "-n", "2").stdout
    assert shown == "line 48\nline 49\n"
    assert "n2  line 49\n" in cluster.run("logs").stdout

    follower = cluster.start_command("logs", "2", "-f", "-n", "1")
    follower.shows("line 49")
    with log.open("a") as file:
        file.write("and one more\n")
    follower.shows("and one more")


def test_a_log_that_grew_too_large_is_moved_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member, "LOG_LIMIT", 100)
    log = tmp_path / "n1.log"
    with open(log, "a") as node:
        for number in range(30):
            node.write(f"line {number}\n")
            node.flush()
        member.trim(log)
        node.write("goes on\n")
        node.flush()
    assert log.read_text() == "goes on\n"
    assert (tmp_path / "n1.log.1").read_text().endswith("line 29\n")
    assert member.last_line(log) == "goes on"
