"""A program that answers as a node does, for runs that last seconds; its nodes share one file.

It knows locks with leases, and empty lists of everything else. Who holds a lock file leads. What is
to go wrong stands in the file `fault` beside the configuration:

- `amnesia`: a node that starts forgets who holds what;
- `wedged`: a node that starts a second time is never ready;
- `refuses`: a node that starts a second time ends with exit 65.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import threading
import time
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


class Refused(Exception):
    """A 409; the slug and what stands beside it."""


class State:
    """Locks and the revision, in a file that all nodes change under one lock."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "shared.json"
        self._lock = folder / "shared.lock"

    def change(self, what: Any) -> Any:
        with open(self._lock, "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                state = json.loads(self._file.read_text())
            except FileNotFoundError:
                state = {"revision": 1, "token": 0, "locks": {}}
            now = time.monotonic()
            state["locks"] = {k: g for k, g in state["locks"].items() if g["until"] > now}
            before = state["revision"]
            try:
                return what(state), state["revision"]
            finally:
                if state["revision"] != before:
                    aside = self._file.with_name(f"shared.{os.getpid()}.{threading.get_ident()}")
                    aside.write_text(json.dumps(state))
                    aside.replace(self._file)


def acquire(state: dict[str, Any], name: str, asked: dict[str, Any]) -> dict[str, Any]:
    grant = state["locks"].get(name)
    if grant is not None:
        shown = {"owner": grant["owner"], "token": grant["token"]}
        if grant["owner"] == asked["owner"]:
            raise Refused("already-held", {"grant": shown})
        if asked.get("wait"):
            raise Refused("limit-reached", {})  # there are no queues here
        raise Refused("lock-held", {"holders": [{"owner": grant["owner"]}], "queue": 0})
    state["revision"] += 1
    state["token"] += 1
    grant = {"owner": asked["owner"], "token": state["token"], "ttl": asked["ttl"]}
    state["locks"][name] = {**grant, "until": time.monotonic() + asked["ttl"]}
    return {"token": grant["token"], "expires_in": asked["ttl"]}


def held(state: dict[str, Any], name: str, asked: dict[str, Any]) -> dict[str, Any]:
    grant = state["locks"].get(name)
    if grant is None or grant["token"] != asked["token"]:
        raise Refused("not-holder", {})
    state["revision"] += 1
    return grant


def release(state: dict[str, Any], name: str, asked: dict[str, Any]) -> dict[str, Any]:
    held(state, name, asked)
    del state["locks"][name]
    return {"token": asked["token"]}


def refresh(state: dict[str, Any], name: str, asked: dict[str, Any]) -> dict[str, Any]:
    grant = held(state, name, asked)
    grant["until"] = time.monotonic() + grant["ttl"]
    return {"token": asked["token"], "expires_in": grant["ttl"]}


def check(state: dict[str, Any], name: str, asked: dict[str, Any]) -> dict[str, Any]:
    grant = state["locks"].get(name)
    return {"holds": grant is not None and grant["token"] == asked["token"]}


def view(state: dict[str, Any], name: str) -> dict[str, Any]:
    grant = state["locks"].get(name)
    holders = [{"owner": grant["owner"], "token": grant["token"]}] if grant else []
    return {"name": name, "holders": holders, "queue": 0}


ACTIONS = {"acquire": acquire, "release": release, "refresh": refresh, "check": check}


class Node:
    """One node's answers."""

    def __init__(self, config: dict[str, Any], folder: Path, starts: int, fault: str) -> None:
        self.name = config["node"]["id"]
        self.state = State(folder)
        self.ready = not (fault == "wedged" and starts > 1)
        self._leader_file = open(folder / "leader", "a")  # noqa: SIM115
        self._leads = False
        threading.Thread(target=self._campaign, daemon=True).start()
        if fault == "amnesia" and starts > 1:
            self.state.change(self._forget)

    def _forget(self, state: dict[str, Any]) -> None:
        state["revision"] += 1
        state["locks"].clear()

    def _campaign(self) -> None:
        fcntl.flock(self._leader_file, fcntl.LOCK_EX)
        self._leads = True

    def answer(self, method: str, target: str, body: dict[str, Any]) -> tuple[int, Any, int]:
        url = urlsplit(target)
        parts = [unquote(part) for part in url.path.split("/")[2:]]
        try:
            if parts == ["status"]:
                value, revision = self.state.change(self._status)
            elif parts[0] == "locks" and method == "POST":
                name, action = parts[1], ACTIONS[parts[2]]
                value, revision = self.state.change(lambda state: action(state, name, body))
            elif parts[0] == "locks" and len(parts) == 2:
                value, revision = self.state.change(lambda state: view(state, parts[1]))
            elif parts[0] == "locks":
                value, revision = self.state.change(
                    lambda state: {"locks": [view(state, name) for name in sorted(state["locks"])]}
                )
            else:
                assert parse_qs(url.query), "only lists are asked for"
                value, revision = self.state.change(lambda _: {parts[0]: [], "next": None})
        except Refused as refused:
            slug, fields = refused.args
            return 409, {"type": slug, **fields}, 0
        return 200, value, revision

    def _status(self, state: dict[str, Any]) -> dict[str, Any]:
        role = "leader" if self._leads else "follower"
        said = {"node": self.name, "role": role, "term": 1, "ready": self.ready}
        return {**said, "revision": state["revision"]}


def main() -> int:
    arguments = sys.argv[1:]
    config_file = Path(arguments[arguments.index("--config") + 1])
    config = tomllib.loads(config_file.read_text())
    folder = config_file.parent
    data = folder / config["node"]["data"]
    data.mkdir(exist_ok=True)
    with open(data / "starts", "a+") as starts:
        starts.write("x")
        starts.flush()
        starts.seek(0)
        count = len(starts.read())
    fault = (folder.parent / "fault").read_text() if (folder.parent / "fault").exists() else ""
    if fault == "refuses" and count > 1:
        print("data-damaged: journal/1 at 17", file=sys.stderr)
        return 65
    node = Node(config, folder, count, fault)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = json.loads(body) if body else {}
            status, value, revision = node.answer(self.command, self.path, asked)
            data = json.dumps(value).encode()
            self.send_response(status)
            if revision:
                self.send_header("Raftcoord-Revision", str(revision))
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _do

        def log_message(self, *_: object) -> None:
            pass

    ThreadingHTTPServer(("127.0.0.1", config["http"]["port"]), Handler).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
