"""A program that behaves towards its supervisor like a node, without consensus behind it.

Who holds a lock file in the cluster's folder leads; terms are counted in it. What a test wants to
go wrong stands in files beside the configuration: `n2.exit` (a code and a line to say at the start)
and `n2.stubborn` (ignores SIGTERM).
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


def main() -> int:
    arguments = sys.argv[1:]
    assert arguments[0] == "serve"
    config_file = Path(arguments[arguments.index("--config") + 1])
    config = tomllib.loads(config_file.read_text())
    folder, name = config_file.parent, config["node"]["id"]
    with open(folder / "started", "a") as started:
        started.write(f"{name} {' '.join(arguments[3:])}\n")
    assert (folder / config["peers"]["secret_file"]).stat().st_mode & 0o777 == 0o600
    exits = folder / f"{name}.exit"
    if exits.exists():
        code, _, line = exits.read_text().partition(" ")
        print(line, file=sys.stderr)
        return int(code)
    data = folder / config["node"]["data"] / "journal"
    if not data.exists() and len(arguments) == 3:
        print(f"data-missing: {data} holds no data", file=sys.stderr)
        return 66
    data.mkdir(parents=True, exist_ok=True)
    (data / "1").touch()
    if (folder / f"{name}.stubborn").exists():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    serve(config, Leadership(folder, name), list(config["cluster"]["members"]))
    return 0


class Leadership:
    """Who leads, by a lock file."""

    def __init__(self, folder: Path, name: str) -> None:
        self.file = open(folder / "leader", "a+")  # noqa: SIM115
        self.name = name
        self.mine = False
        threading.Thread(target=self._campaign, daemon=True).start()

    def _campaign(self) -> None:
        fcntl.flock(self.file, fcntl.LOCK_EX)
        term = self.read()[1] + 1
        self.file.truncate(0)
        self.file.write(f"{self.name} {term}")
        self.file.flush()
        self.mine = True

    def read(self) -> tuple[str, int]:
        self.file.seek(0)
        words = self.file.read().split()
        return (words[0], int(words[1])) if len(words) == 2 else ("", 0)


def serve(config: dict, leadership: Leadership, members: list[str]) -> None:
    name = config["node"]["id"]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            leader, term = leadership.read()
            peers = {
                member: {"connected": True, "lag": 0 if leadership.mine else None}
                for member in members
                if member != name
            }
            body = json.dumps(
                {
                    "node": name,
                    "cluster": config["cluster"]["name"],
                    "role": "leader" if leadership.mine else "follower",
                    "leader": leader or None,
                    "term": term,
                    "revision": 7,
                    "ready": bool(leader),
                    "peers": peers,
                }
            ).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    HTTPServer((config["http"]["host"], config["http"]["port"]), Handler).serve_forever()


if __name__ == "__main__":
    sys.exit(main())
