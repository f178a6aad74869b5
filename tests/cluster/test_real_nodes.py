"""The local cluster with real nodes: what they decided outlives their processes."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.environment import ROOT
from cluster.http import request
from cluster.up import PROGRAM
from tests.cluster.harness import FAKE_PROGRAM, LocalCluster, Screen, wait_for

LOCK = "/v1/locks/orders"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    made = LocalCluster(tmp_path, fake=False)
    yield made
    made.close()


def ask(cluster: LocalCluster, number: int, method: str, path: str, body: Any = None) -> Any:
    reply = asyncio.run(request(cluster.port + number - 1, method, path, body, timeout=10))
    assert reply.status == 200, reply
    return reply.body


def test_a_lock_outlives_its_leader_and_a_whole_restart(cluster: LocalCluster) -> None:
    screen = cluster.up()
    token = ask(cluster, 1, "POST", f"{LOCK}/acquire", {"owner": "me", "ttl": 60})["token"]

    leader = cluster.status()["leader"]
    cluster.run("kill", leader)
    survivor = 1 if leader != "n1" else 2
    assert ask(cluster, survivor, "GET", LOCK)["holders"][0]["token"] == token
    screen.shows(f"{leader} is back")

    cluster.run("down")
    assert screen.end() == 0
    cluster.start().shows("3 of 3 nodes are ready")
    for number in (1, 2, 3):
        assert ask(cluster, number, "GET", LOCK)["holders"][0]["token"] == token


def test_a_wiped_voter_comes_back_as_a_learner_and_votes_again(cluster: LocalCluster) -> None:
    screen = cluster.up()
    ask(cluster, 1, "POST", f"{LOCK}/acquire", {"owner": "me", "ttl": 60})
    screen.process.send_signal(signal.SIGTERM)
    assert screen.end() == 0
    shutil.rmtree(cluster.folder / "n2")

    cluster.start().shows("2 of 3 nodes are ready")
    assert "n2 is a voter again" in cluster.run("rejoin", "2").stdout
    assert ask(cluster, 2, "GET", LOCK)["holders"][0]["owner"] == "me"
    # It counts: with another one gone, the two of them decide.
    cluster.run("stop", "3")
    ask(cluster, 2, "POST", "/v1/locks/other/acquire", {"owner": "me", "ttl": 60})
    cluster.run("start", "3")


def test_a_paused_leader_is_replaced_and_follows_when_it_wakes(cluster: LocalCluster) -> None:
    cluster.up()
    leader = cluster.status()["leader"]
    cluster.run("pause", leader)
    other = 1 if leader != "n1" else 2
    ask(cluster, other, "POST", f"{LOCK}/acquire", {"owner": "me", "ttl": 60})
    cluster.run("resume", leader)
    number = int(leader.removeprefix("n"))
    assert ask(cluster, number, "GET", LOCK)["holders"][0]["owner"] == "me"
    wait_for(lambda: cluster.run("status", code=None).returncode == 0, "all to be well")


def test_the_demo_shows_what_outlives_the_leader() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cluster", "demo"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for shown in (
        r"killed n\d .* with SIGKILL",
        r"the lock is held +[\d.]+ ms +by worker-1, under the same token \d+",
        r"a rival is refused +[\d.]+ ms +409",
        r"the ring is the same +[\d.]+ ms",
        r"the transaction commits +[\d.]+ ms",
        r"first answer came \d+ ms after the kill",
        r"Everything outlived the leader",
    ):
        assert re.search(shown, done.stdout), (shown, done.stdout)


def test_the_demo_interrupted_leaves_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cluster", "demo"],
        cwd=ROOT,
        env={"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    screen = Screen(process)
    screen.shows("three nodes run")
    process.send_signal(signal.SIGINT)
    assert screen.end() == 130
    assert "Traceback" not in screen.text
    assert list(tmp_path.iterdir()) == []


def test_the_demo_fails_where_something_is_not_so(tmp_path: Path) -> None:
    """Nodes that lead and follow but keep nothing."""
    environment = {**os.environ, "TMPDIR": str(tmp_path), PROGRAM: FAKE_PROGRAM}
    done = subprocess.run(
        [sys.executable, "-m", "cluster", "demo"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "WRONG: expected 200 with 'token'" in done.stdout
    (kept,) = tmp_path.iterdir()
    assert f"the nodes' logs are in {kept}" in done.stderr
