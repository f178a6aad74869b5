"""What a newcomer types is in the README, first, and is what the build runs."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

from cluster.http import NoAnswer, request
from cluster.places import free_port
from tests.cluster.harness import wait_for
from tests.house.runner import ROOT


def test_the_first_two_commands_are_the_cluster_and_the_tests() -> None:
    blocks = re.findall(r"^```\w*\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    assert [block.strip() for block in blocks[:2]] == [
        "python3 -m cluster up",
        "python3 -m tests",
    ]


def test_the_build_runs_the_same_tests() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert "set -euo pipefail" in script
    assert "-m tests" in script


def test_the_python_of_the_readme_runs_against_a_development_node(tmp_path: Path) -> None:
    example = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    assert len(example) == 1
    port = free_port(1)
    with subprocess.Popen(
        [sys.executable, "-m", "raftcoord", "serve", "--dev", f"--port={port}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    ) as node:
        try:
            wait_for(lambda: ready(port), "the node is ready")
            done = subprocess.run(
                # -S: the three classes need nothing but the standard library.
                [sys.executable, "-S", "-c", example[0].replace("8080", str(port))],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=30,
            )
        finally:
            node.terminate()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == [
        "nobody else is here",
        "committed, whatever dies now",
    ]


def ready(port: int) -> bool:
    try:
        return asyncio.run(request(port, "GET", "/readyz")).status == 200
    except NoAnswer:
        return False
