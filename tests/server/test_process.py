"""A node as a process: starts, stops, and what it says when it cannot start."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Serving:
    """A `raftcoord serve` in a folder of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.log = folder / f"log-{time.monotonic_ns()}"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "raftcoord", "serve", *arguments],
                cwd=folder,
                stderr=log,
                stdout=log,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            )

    def ended(self) -> tuple[int, str]:
        """Exit code and what was said."""
        code = self.process.wait(PATIENCE)
        return code, self.log.read_text()

    def ready(self, port: int) -> None:
        """Return when the node answers and is ready."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            assert self.process.poll() is None, self.log.read_text()
            with contextlib.suppress(OSError):
                if request(port, "/readyz")[0] == 200:
                    return
            time.sleep(0.02)
        raise AssertionError(self.log.read_text())


def request(port: int, path: str, body: Any = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if body is not None else {}
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers)
    try:
        with urllib.request.urlopen(asked, timeout=PATIENCE) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Any]:
    running: list[Serving] = []

    def start(*arguments: str) -> Serving:
        serving = Serving(tmp_path, *arguments)
        running.append(serving)
        return serving

    yield start
    for serving in running:
        if serving.process.poll() is None:
            serving.process.kill()
        serving.process.wait()


def test_a_cluster_of_one_keeps_what_it_was_given(started: Any, tmp_path: Path) -> None:
    port = free_port()
    node = started("--dev", "--port", str(port))
    node.ready(port)
    assert request(port, "/v1/locks/a/acquire", {"owner": "w", "ttl": 3600})[1]["token"] == 1
    assert request(port, "/v1/status")[1]["role"] == "leader"
    node.process.send_signal(signal.SIGTERM)
    code, said = node.ended()
    assert code == 0, said
    assert "stopped" in said
    assert (tmp_path / ".raftcoord-dev").is_dir()

    node = started("--dev", "--port", str(port))
    node.ready(port)
    lock = request(port, "/v1/locks/a")[1]
    assert [holder["token"] for holder in lock["holders"]] == [1]
    # The numbers of requests go on under a new boot: nothing is taken for a late copy.
    assert request(port, "/v1/locks/b/acquire", {"owner": "w", "ttl": 3600})[1]["token"] == 2
    node.process.kill()
    node.ended()

    node = started("--dev", "--port", str(port))
    node.ready(port)
    assert request(port, "/v1/locks/b")[1]["holders"][0]["token"] == 2


def test_a_stop_answers_who_waits(started: Any) -> None:
    port = free_port()
    node = started("--dev", "--port", str(port))
    node.ready(port)
    request(port, "/v1/locks/a/acquire", {"owner": "w1", "ttl": 3600})
    replies: list[tuple[int, Any]] = []

    def wait() -> None:
        body = {"owner": "w2", "ttl": 3600, "wait": 600}
        replies.append(request(port, "/v1/locks/a/acquire", body))

    waiter = threading.Thread(target=wait)
    waiter.start()
    until = time.monotonic() + PATIENCE
    while request(port, "/v1/locks/a")[1]["queue"] == 0:
        assert time.monotonic() < until
    begun = time.monotonic()
    node.process.send_signal(signal.SIGINT)
    code, said = node.ended()
    waiter.join(PATIENCE)
    assert code == 0, said
    assert time.monotonic() - begun < 5
    assert [(status, body["type"]) for status, body in replies] == [(503, "not-ready")]


def test_a_port_in_use_is_named(started: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, said = started("--dev", "--port", str(port)).ended()
    assert code == 75
    assert f"127.0.0.1:{port} is in use" in said
    assert "choose another http.port (flag --port)" in said
    assert "Traceback" not in said


def test_a_data_folder_in_use_is_named(started: Any) -> None:
    port = free_port()
    node = started("--dev", "--port", str(port))
    node.ready(port)
    code, said = started("--dev", "--port", str(free_port())).ended()
    assert code == 75
    assert ".raftcoord-dev" in said
    assert "Traceback" not in said


def test_an_empty_or_damaged_folder_of_a_member_is_refused(started: Any, tmp_path: Path) -> None:
    http, peer = free_port(), free_port()
    (tmp_path / "secret").write_text("0123456789abcdef0123456789abcdef")
    (tmp_path / "n1.toml").write_text(
        f'[node]\nid = "n1"\ndata = "n1"\n[http]\nport = {http}\n'
        f'[peers]\nport = {peer}\nsecret_file = "secret"\n[cluster]\nname = "t"\n'
        f'[cluster.members.n1]\npeer = "127.0.0.1:{peer}"\nhttp = "127.0.0.1:{http}"\n'
    )
    code, said = started("--config", "n1.toml").ended()
    assert code == 66
    assert "rejoin" in said
    assert "Traceback" not in said
    node = started("--config", "n1.toml", "--init")
    node.ready(http)
    assert request(http, "/v1/status")[1]["cluster"] == "t"
    node.process.kill()
    node.ended()
    journal = min((tmp_path / "n1" / "journal").iterdir())
    with journal.open("r+b") as file:
        file.seek(16)
        file.write(b"\xff" * 8)
    code, said = started("--config", "n1.toml").ended()
    assert code == 65
    assert f"{journal.name} at byte " in said
    assert "keep the folder" in said
    with (tmp_path / "n1.toml").open("a") as config:
        config.write('[cluster.members.n2]\npeer = "127.0.0.1:1"\nhttp = "127.0.0.1:2"\n')
    assert "`python3 -m cluster rejoin n1`" in started("--config", "n1.toml").ended()[1]
