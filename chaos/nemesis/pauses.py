"""Processes that stand still: SIGSTOP, then SIGCONT."""

from __future__ import annotations

import time
from typing import ClassVar

from chaos.nemesis.fault import Fault, Span

BLINK: Span = (0.05, 0.4)
"""Shorter than an election timeout (0.5 to 1 s)."""
ELECTION: Span = (1.2, 2.5)
"""Longer than one: another leads meanwhile."""
LEASES: Span = (5.0, 7.0)
"""Longer than the leases of the loads' locks and sessions."""


class _Pause(Fault):
    takes = True
    spans: ClassVar[tuple[Span, ...]] = (ELECTION, BLINK, LEASES)

    def start(self) -> None:
        """Stop it where it stands."""
        self.nodes = self.victims()
        self.site.nodes.pause(*self.nodes)
        self.at = time.monotonic_ns()

    def stop(self) -> None:
        """Let it go on as if nothing had been."""
        self.site.nodes.resume(*self.nodes)

    def victims(self) -> tuple[str, ...]:
        """Whom it hits."""
        raise AssertionError


class PauseLeader(_Pause):
    """The leader stands still, and wakes as one who believes that it leads."""

    name = "pause-leader"
    about = "SIGSTOP to the leader, for less or more than an election timeout, or than leases"

    def victims(self) -> tuple[str, ...]:
        """The leader."""
        return (self.leader(),)


class PauseFollower(_Pause):
    """A follower stands still."""

    name = "pause-follower"
    about = "SIGSTOP to a follower, for as long"

    def victims(self) -> tuple[str, ...]:
        """One follower."""
        return (self.follower(),)


class PauseAll(_Pause):
    """All stand still: cluster time does, too."""

    name = "pause-all"
    about = "SIGSTOP to all nodes"
    spans = (BLINK, ELECTION)

    def victims(self) -> tuple[str, ...]:
        """All, when somebody led them."""
        self.leader()
        return self.site.nodes.ids
