"""Runs pip and shows of its output one line per package, and of a failure one sentence."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from cluster.environment import Pin, Unusable, canonical

_NAMED = re.compile(
    r"^(?:Collecting|Requirement already satisfied:) ([A-Za-z0-9._-]+)"
    r"|^Processing \S*?([^/\s]+?)-\d[^/\s]*\.(?:whl|tar\.gz)"
)
_NO_NETWORK = re.compile(
    r"NewConnectionError|name resolution|Network is unreachable|Connection refused"
    r"|ConnectTimeout|timed out|ProxyError|nodename nor servname|No route to host",
    re.IGNORECASE,
)


def run_pip(python: Path, pins: list[Pin], options: list[str]) -> None:
    """Install exactly `pins` into the environment of `python`; raises Unusable."""
    # The pins name every package, so nothing is resolved: what is not pinned does not come in.
    command = [
        *(str(python), "-m", "pip", "install", "--no-deps", "--no-input", "--retries", "2"),
        *("--disable-pip-version-check", "--progress-bar", "off"),
        *options,
        *map(str, pins),
    ]
    # A user's setting of pip (PIP_USER) must not send the packages elsewhere.
    quiet = {**os.environ, "PYTHONUNBUFFERED": "1", "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
    tail: list[str] = []
    progress = _Progress(pins)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=quiet
    ) as pip:
        try:
            for line in pip.stdout or ():
                tail = [*tail, line.rstrip()][-60:]
                progress.take(line)
        except BaseException:
            pip.kill()
            raise
        finally:
            progress.end()
    if pip.returncode != 0:
        raise Unusable(_reason(tail))


def _reason(tail: list[str]) -> str:
    if any(_NO_NETWORK.search(line) for line in tail):
        return (
            "the package index cannot be reached; with a network (or an index or wheels that pip"
            " is configured for) start the same command again"
        )
    errors = [line for line in tail if line.startswith("ERROR:")]
    last = errors[-1].removeprefix("ERROR:").strip() if errors else "it gave no reason"
    return f"pip could not install the packages: {last}"


class _Progress:
    """On a terminal one line that changes, elsewhere one line per package."""

    def __init__(self, pins: list[Pin]) -> None:
        self.waiting = {canonical(pin.name): pin for pin in pins}
        self.total = len(pins)
        self.live = sys.stderr.isatty()
        self.dirty = False

    def take(self, line: str) -> None:
        if line.startswith("Installing collected packages"):
            self._show("  unpacking")
            return
        found = _NAMED.match(line)
        if found is None:
            return
        pin = self.waiting.pop(canonical(found.group(1) or found.group(2)), None)
        if pin is not None:
            done = self.total - len(self.waiting)
            self._show(f"  [{done:>2}/{self.total}] {pin.name} {pin.version}")

    def end(self) -> None:
        if self.dirty:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self.dirty = False

    def _show(self, text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}" if self.live else f"{text}\n")
        sys.stderr.flush()
        self.dirty = self.live
