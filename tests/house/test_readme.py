"""What a newcomer types is in the README, first, and is what the build runs."""

from __future__ import annotations

import re

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
