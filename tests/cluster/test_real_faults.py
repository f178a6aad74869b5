"""Three real processes under load, killed, starved, left behind: nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.http import request
from tests.cluster.harness import LocalCluster, wait_for


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    made = LocalCluster(tmp_path, fake=False)
    yield made
    made.close()


class Load:
    """Callers that take locks through all nodes, each under a name of its own, and keep them."""

    def __init__(self, cluster: LocalCluster, callers: int = 4, meta: str = "") -> None:
        self._meta = meta
        self.full = False
        self.granted: dict[str, int] = {}
        self.tokens: list[int] = []
        self.conflicts: list[str] = []
        self._ports = [cluster.port, cluster.port + 1, cluster.port + 2]
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._call, args=(caller,), daemon=True)
            for caller in range(callers)
        ]
        for thread in self._threads:
            thread.start()

    def _call(self, caller: int) -> None:
        ports = itertools.cycle(self._ports[caller % 3 :] + self._ports[: caller % 3])
        meta = {"pad": self._meta}
        body = json.dumps({"owner": f"caller-{caller}", "ttl": 3600, "meta": meta})
        connection: http.client.HTTPConnection | None = None
        for number in itertools.count():
            if self._ended.is_set():
                return
            name = f"held-{caller}-{number}"
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", next(ports), timeout=10)
                connection.request(
                    "POST",
                    f"/v1/locks/{name}/acquire",
                    body,
                    {"Content-Type": "application/json"},
                )
                answer = connection.getresponse()
                read = json.loads(answer.read())
            except (OSError, http.client.HTTPException, ValueError):
                connection = None  # it may have been granted; nobody was told
                continue
            if answer.status == 200:
                self.granted[name] = read["token"]
                self.tokens.append(read["token"])
            elif answer.status == 409:
                self.conflicts.append(f"{name}: {read}")
            elif read["type"] == "storage-full":
                assert answer.status == 503
                self.full = True

    def more(self, count: int = 50) -> None:
        """Wait until that many more were granted."""
        target = len(self.granted) + count
        wait_for(lambda: len(self.granted) >= target, f"{count} more grants", 30)

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(20)


def ask(port: int, method: str, path: str, body: Any = None) -> Any:
    reply = asyncio.run(request(port, method, path, body, timeout=10))
    assert reply.status == 200, reply
    return reply.body


def listed(port: int, prefix: str) -> dict[str, int]:
    """Every held lock of a prefix, with its token, page by page."""
    found: dict[str, int] = {}
    after = ""
    while True:
        path = f"/v1/locks?prefix={prefix}&limit=1000" + (f"&after={after}" if after else "")
        page = ask(port, "GET", path)["locks"]
        if not page:
            return found
        found.update((lock["name"], lock["holders"][0]["token"]) for lock in page)
        after = page[-1]["name"]


def judged(cluster: LocalCluster, load: Load) -> None:
    """Whoever was told of a grant holds it, on every node, under its own token."""
    load.end()
    assert not load.conflicts, load.conflicts[:3]
    assert len(set(load.tokens)) == len(load.tokens)
    for port in (cluster.port, cluster.port + 1, cluster.port + 2):
        held = listed(port, "held-")
        lost = {name: token for name, token in load.granted.items() if held.get(name) != token}
        assert not lost, f"{len(lost)} of {len(load.granted)} grants lost, e.g. {list(lost)[:3]}"


def number_of(cluster: LocalCluster, role: str) -> int:
    wait_for(lambda: cluster.status()["leader"], "a leader")
    leader = int(cluster.status()["leader"].removeprefix("n"))
    return leader if role == "leader" else leader % 3 + 1


def test_the_leader_is_killed_under_load(cluster: LocalCluster) -> None:
    screen = cluster.up()
    load = Load(cluster)
    load.more()
    for _ in range(3):
        leader = number_of(cluster, "leader")
        seen = screen.text.count("is back")
        cluster.run("kill", str(leader))
        load.more()
        wait_for(lambda: screen.text.count("is back") > seen, "it is back")  # noqa: B023
    judged(cluster, load)


def test_all_three_are_killed_under_load(cluster: LocalCluster) -> None:
    screen = cluster.up()
    load = Load(cluster)
    load.more()
    for number in (1, 2, 3):
        cluster.run("kill", str(number))
    wait_for(lambda: screen.text.count("is back") >= 3, "all are back", 30)
    load.more()
    judged(cluster, load)


def test_a_follower_that_was_left_behind_is_caught_up_by_a_snapshot(cluster: LocalCluster) -> None:
    cluster.folder.mkdir()
    small = "[raft]\nsegment_bytes = 65536\nsnapshot_bytes = 65536\nkeep_entries = 10\n"
    (cluster.folder / "settings.toml").write_text(small)
    cluster.up()
    follower = number_of(cluster, "follower")
    cluster.run("stop", str(follower))
    load = Load(cluster)
    load.more(2000)
    cluster.run("start", str(follower))
    load.more()
    port = cluster.port + follower - 1
    wait_for(lambda: ask(port, "GET", "/v1/status")["counters"]["installs"] >= 1, "an install")
    judged(cluster, load)


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk is mounted by root")
def test_a_full_disk_stops_writes_with_a_reason_and_recovers(cluster: LocalCluster) -> None:
    cluster.folder.mkdir()
    filler = cluster.folder / "filler"
    mount = ["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", str(cluster.folder)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("no tmpfs can be mounted here")
    try:
        (cluster.folder / "settings.toml").write_text("[raft]\nsegment_bytes = 65536\n")
        cluster.up()
        token = ask(cluster.port, "POST", "/v1/locks/first/acquire", {"owner": "me", "ttl": 600})
        with filler.open("wb") as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
                    file.flush()
            except OSError:
                pass
        load = Load(cluster, callers=8, meta="x" * 1000)
        wait_for(lambda: load.full, "a refusal because the disk is full", 60)
        held = ask(cluster.port + 1, "GET", "/v1/locks/first")["holders"]
        assert held[0]["token"] == token["token"]

        filler.unlink()
        load.more()
        judged(cluster, load)
        cluster.run("down")
    finally:
        cluster.run("down", code=None)
        subprocess.run(["umount", "-l", str(cluster.folder)], check=False)
