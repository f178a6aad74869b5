"""The last round: when the load is over, everything that can be read is read through every node."""

from __future__ import annotations

import time

from chaos.nemesis.members import Members
from chaos.workloads import everything
from chaos.workloads.agent import Agent, drive

QUIET = 0.5
"""Seconds without a new revision after which the cluster counts as at rest."""


def wait_for_rest(nodes: Members, seconds: float) -> bool:
    """Wait until all nodes are ready, and at one revision that does not grow any more.

    What has a lease ends meanwhile; each end is an entry.
    """
    until = time.monotonic() + seconds
    resting: int | None = None
    since = 0.0
    while time.monotonic() < until:
        said = [nodes.said(node) for node in nodes.ids]
        revisions = {what.revision for what in said if what is not None and what.ready}
        ready = all(what is not None and what.ready for what in said)
        if not ready or len(revisions) != 1 or revisions != {resting}:
            resting = revisions.pop() if ready and len(revisions) == 1 else None
            since = time.monotonic()
        elif time.monotonic() - since >= QUIET:
            return True
        time.sleep(0.05)
    return False


def read_everything(agent: Agent) -> bool:
    """Read all through all nodes; whether each question got its answers at one revision."""
    return drive(everything.read_everything(agent))
