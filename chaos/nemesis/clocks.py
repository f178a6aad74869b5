"""Clocks that are wrong.

A node decides by its monotonic clock alone. It may be up to one in a hundred fast or slow, as far
as the judges allow (`chaos.checkers.clocks`), and one that jumps ahead, as after the
machine was suspended, must not make a follower lead. The wall clock decides nothing.
"""

from __future__ import annotations

import time

from chaos.nemesis.faulty_nodes import FaultyFault, control_of

RATE = (0.004, 0.008)
"""How much faster or slower a clock runs: under what the judges allow, for their own rounding."""
JUMP = (0.6, 20.0)
"""Seconds: longer than an election timeout and than most leases of the loads."""
WALL = 7 * 86_400.0
"""Seconds that a wall clock is off, at most."""


class FastClock(FaultyFault):
    """A node's monotonic clock runs fast, and goes on rightly in the end from where it came."""

    name = "clock-fast"
    about = "the clock of one node runs 0.4 to 0.8 % fast"
    spans = ((0.5, 2.0), (2.0, 15.0))
    sign = 1

    def start(self) -> None:
        """Bend it."""
        self.choose(leader=0.7)
        rate = 1 + self.sign * self.random.uniform(*RATE)
        self.control.set_rate(rate)
        self.detail = f"{(rate - 1) * 100:+.2f} %"

    def stop(self) -> None:
        """Right it."""
        if self.nodes:
            self.control.set_rate(1.0)


class SlowClock(FastClock):
    """The same, slow."""

    name = "clock-slow"
    about = "the clock of one node runs 0.4 to 0.8 % slow"
    sign = -1


class ClockJump(FaultyFault):
    """A node's monotonic clock jumps ahead.

    A follower must not make an election of it. Of a leader the cluster believes half a second at
    most (`raftcoord.consensus.clock`), which the judges of leases know (`chaos.checkers.clocks`).
    """

    name = "clock-jump"
    about = "the clock of one node jumps ahead by up to 20 s"
    spans = ((0.2, 1.0),)

    def start(self) -> None:
        """Let it jump."""
        self.choose(leader=0.5)
        seconds = self.random.uniform(*JUMP)
        self.control.jump(seconds)
        # Behind it: whatever is asked for later was stamped by the clock that had jumped.
        self.at = time.monotonic_ns()
        self.detail = f"{seconds:.1f} s"

    def stop(self) -> None:
        """It stays ahead: it is a clock whose zero means nothing."""


class WallClock(FaultyFault):
    """The wall clocks of all nodes are off, each by another time of up to a week."""

    name = "wall-clock"
    about = "the wall clocks of all nodes are wrong by up to a week, each by its own"
    spans = ((0.5, 2.0), (2.0, 10.0))

    def start(self) -> None:
        """Set them."""
        self.nodes = self.site.nodes.ids
        said = []
        for node in self.nodes:
            seconds = self.random.uniform(-WALL, WALL)
            control_of(self.site, node).set_wall(seconds)
            said.append(f"{seconds / 3600:+.0f} h")
        self.detail = ", ".join(said)

    def stop(self) -> None:
        """Set them right, which is a step too."""
        for node in self.nodes:
            control_of(self.site, node).set_wall(0.0)


CLOCKS = (FastClock, SlowClock, ClockJump, WallClock)
