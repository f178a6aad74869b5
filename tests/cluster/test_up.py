"""`up`: started once, everything is still there the second time, stopped without a trace."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import stat
import subprocess
import sys

import pytest

from cluster.environment import ROOT
from cluster.places import DEFAULT_FOLDER, HOST, Places
from cluster.processes import Identity
from tests.cluster.harness import LocalCluster, wait_for


def test_the_first_up_initialises_and_the_second_keeps_the_data(cluster: LocalCluster) -> None:
    screen = cluster.up()
    screen.shows("curl")
    assert "3 of 3 nodes are ready" in screen.text
    assert screen.text.count("  leads") == 1
    assert [f":{cluster.port + offset}" in screen.text for offset in (0, 1, 2)] == [True] * 3
    assert screen.text.count("\n  curl ") == 3
    assert stat.S_IMODE((cluster.folder / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE(cluster.folder.stat().st_mode) == 0o700
    name = cluster.status()["cluster"]

    screen.process.send_signal(signal.SIGINT)
    assert screen.end() == 0
    assert cluster.processes() == []
    cluster.start().shows("3 of 3 nodes are ready")

    assert cluster.status()["cluster"] == name
    for node in ("n1", "n2", "n3"):
        assert cluster.starts(node) == ["--init", ""]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_leaves_no_process_whenever_it_comes(
    cluster: LocalCluster, number: signal.Signals
) -> None:
    screen = cluster.start("--port", str(cluster.port))
    screen.shows("starting 3 nodes")
    screen.process.send_signal(number)
    assert screen.end() == 0
    assert cluster.processes() == []


def test_a_signal_that_comes_with_the_first_line_is_heeded(cluster: LocalCluster) -> None:
    program = """
import signal, sys
from cluster.main import main
from cluster.up import Voice
say = Voice.say
def say_and_signal(self, line):
    say(self, line)
    if line.startswith("starting"):
        signal.raise_signal(signal.SIGTERM)
Voice.say = say_and_signal
sys.exit(main(sys.argv[1:]))
"""
    arguments = ["--data", str(cluster.folder), "--port", str(cluster.port)]
    done = subprocess.run(
        [sys.executable, "-c", program, "up", *arguments],
        cwd=ROOT,
        env=cluster.environment,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert cluster.processes() == []


def test_a_node_that_does_not_stop_or_is_frozen_is_not_left_behind(cluster: LocalCluster) -> None:
    cluster.folder.mkdir()
    (cluster.folder / "n2.stubborn").touch()
    screen = cluster.up()
    cluster.run("pause", "3")
    screen.process.send_signal(signal.SIGTERM)
    screen.shows("n3 stopped")
    screen.process.send_signal(signal.SIGTERM)
    assert screen.end(5) == 0
    assert cluster.processes() == []


def test_nodes_do_not_outlive_a_supervisor_that_is_killed(cluster: LocalCluster) -> None:
    screen = cluster.up()
    assert len(cluster.processes()) == 4
    screen.process.kill()
    wait_for(lambda: cluster.processes() == [], "the nodes to end with their supervisor")
    cluster.start().shows("3 of 3 nodes are ready")
    assert cluster.starts("n1") == ["--init", ""]


def test_detached_it_gives_the_prompt_back_when_all_are_ready(cluster: LocalCluster) -> None:
    done = cluster.run("up", "--detach", "--port", str(cluster.port))
    assert "3 of 3 nodes are ready" in done.stdout
    assert [node["phase"] for node in cluster.status()["nodes"]] == ["ready"] * 3
    assert "is in use by process" in cluster.refused("up", "--detach")
    assert "stopped the cluster" in cluster.run("down").stdout
    assert cluster.processes() == []
    assert "n1 stopped" in (cluster.folder / "cluster.log").read_text()


def test_a_command_that_is_named_works_on_this_cluster(cluster: LocalCluster) -> None:
    cluster.folder = cluster.folder.with_name("it's mine")
    done = cluster.run("up", "--detach", "--port", str(cluster.port))
    down = shlex.join(["python3", "-m", "cluster", "down", "--data", str(cluster.folder)])
    assert f"`{down}` stops it" in done.stdout
    assert f"`{down}` stops it" in cluster.refused("up")
    assert f"`{down.replace('down', 'start 2')}` starts it" in cluster.run("stop", "2").stdout
    subprocess.run([sys.executable, *shlex.split(down)[1:]], cwd=ROOT, check=True, timeout=30)
    assert cluster.processes() == []
    up = f"start it with `{down.replace('down', 'up')}`"
    assert up in cluster.refused("stop", "2")
    assert Places(DEFAULT_FOLDER).command("down") == "python3 -m cluster down"


def test_detached_a_failure_reaches_the_terminal(cluster: LocalCluster) -> None:
    with socket.create_server((HOST, cluster.port)):
        error = cluster.refused("up", "--detach", "--port", str(cluster.port))
    assert f"port {cluster.port}, which n1 needs" in error
    assert cluster.processes() == []


def test_interrupted_while_it_detaches_it_leaves_nothing(cluster: LocalCluster) -> None:
    cluster.folder.mkdir()
    (cluster.folder / "n3.exit").write_text("1 not yet")
    screen = cluster.start("--detach", "--port", str(cluster.port))
    screen.shows("n3 died")
    screen.process.send_signal(signal.SIGINT)
    assert screen.end() == 130
    assert cluster.processes() == []


def test_a_folder_in_use_says_by_whom(cluster: LocalCluster) -> None:
    screen = cluster.up()
    error = cluster.refused("up")
    assert f"is in use by process {screen.process.pid}" in error
    assert "the cluster runs" in cluster.refused("wipe", "--yes")


def test_a_port_in_use_is_named_with_what_to_do(cluster: LocalCluster) -> None:
    for taken, use in ((cluster.port + 1, "callers"), (cluster.port + 10_002, "peers")):
        with socket.create_server((HOST, taken)):
            error = cluster.refused("up", "--port", str(cluster.port))
        assert f"port {taken}, which n{taken % 10_000 - cluster.port % 10_000 + 1}" in error
        assert use in error
        assert "--port" in error
    assert not (cluster.folder / "state.json").exists(), "nothing was begun"


def test_another_number_of_nodes_or_port_than_the_data_has_is_refused(
    cluster: LocalCluster,
) -> None:
    cluster.up().process.send_signal(signal.SIGTERM)
    cluster.screens[0].end()
    assert "a cluster of 3 nodes, not of 5" in cluster.refused("up", "--nodes", "5")
    assert f"made with --port {cluster.port}" in cluster.refused("up", "--port", "9999")


def test_wrong_usage_is_exit_2(cluster: LocalCluster) -> None:
    wrong = (("up", "--nodes", "0"), ("up", "--port", "60000"), ("kill", "x"), ("fly",))
    for arguments in (*wrong, ("up", "--data", "")):
        done = cluster.run(*arguments, code=2)
        assert "error:" in done.stderr.splitlines()[-1]


def test_without_a_command_it_lists_them() -> None:
    done = run_python("-m", "cluster")
    assert done.returncode == 2
    assert all(f"\n    {name} " in done.stderr for name in ("up", "status", "down", "demo"))


@pytest.mark.parametrize("path", ["cluster", "cluster/__main__.py"])
def test_run_by_its_path_it_says_how_to_run_it(path: str) -> None:
    done = run_python(path)
    assert done.returncode == 1
    assert done.stderr == f"raftcoord: run it as `python3 -m cluster` in {ROOT}\n"


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=30
    )


def test_a_file_in_place_of_the_folder_is_named(cluster: LocalCluster) -> None:
    cluster.folder.touch()
    for arguments in (("up",), ("logs",), ("wipe", "--yes"), ("status",), ("down",)):
        assert f"{cluster.folder} is no folder" in cluster.refused(*arguments)


def test_only_processes_that_are_surely_ours_are_ended(cluster: LocalCluster) -> None:
    """A number written down by a killed supervisor may belong to somebody else by now."""
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    orphan = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        cluster.folder.mkdir()
        written = {
            "n1": {**Identity.of(stranger.pid).as_json(), "birth": "another boot:1"},
            "n2": Identity.of(orphan.pid).as_json(),
        }
        (cluster.folder / "running.json").write_text(json.dumps(written))
        cluster.up()
        assert orphan.wait(5) == -signal.SIGKILL
        assert stranger.poll() is None
    finally:
        for process in (stranger, orphan):
            process.kill()
            process.communicate()


def test_a_folder_with_a_long_name_works(cluster: LocalCluster) -> None:
    cluster.folder = cluster.folder.parent / ("long-" * 30) / "cluster"
    cluster.up()
    assert cluster.status()["leader"] is not None


def test_nodes_are_not_told_what_was_meant_for_another(cluster: LocalCluster) -> None:
    cluster.environment["RAFTCOORD_HTTP_PORT"] = "1"
    cluster.up()
    pid = cluster.node("n1")["pid"]
    with open(f"/proc/{pid}/environ", "rb") as environment:
        assert b"RAFTCOORD_" not in environment.read()


def test_help_needs_no_packages() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-c", "from cluster.main import main; main(['--help'])"],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "rejoin" in done.stdout
