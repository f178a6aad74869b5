"""Syncs that fail or take long, and disks without room: a node meets them while it runs."""

from __future__ import annotations

from chaos.nemesis.fault import Site
from chaos.nemesis.faulty_control import JOURNAL
from chaos.nemesis.faulty_nodes import FaultyFault, add_flags

SEGMENT = 64 << 10
"""Bytes of a journal file where a full disk is to be met soon."""
SLOW = (0.005, 0.15)
"""Seconds that a sync takes longer."""


class FailedSync(FaultyFault):
    """One sync fails. What was written is then unknown, so the node has to end, and say why."""

    name = "failed-sync"
    about = "a sync of one node's journal fails; the node ends, and is started again"
    takes = alone = ends = True
    spans = ((0.1, 1.0),)

    def start(self) -> None:
        """Let one fail, and wait for the end."""
        self.site.nodes.expect_end(self.choose(leader=0.5))
        self.control.fail_syncs(times=1, where=JOURNAL)
        self.until_ended("the journal cannot be synced", "a journal file cannot be made")


class SlowSync(FaultyFault):
    """Every sync of a node takes longer; it goes on, slower."""

    name = "slow-sync"
    about = "syncs of one node take 5 to 150 ms longer"
    spans = ((0.5, 2.0), (2.0, 6.0))

    def start(self) -> None:
        """Slow it down."""
        self.choose(leader=0.6)
        seconds = self.random.uniform(*SLOW)
        self.control.slow_syncs(seconds)
        self.detail = f"{seconds * 1000:.0f} ms"


class StalledSync(FaultyFault):
    """No sync of a node ends; it does not count and does not acknowledge meanwhile."""

    name = "stalled-disk"
    about = "syncs of one node do not end until the fault does"
    takes = True
    spans = ((0.3, 1.5), (1.5, 6.0))

    def start(self) -> None:
        """Stall it."""
        self.choose(leader=0.6)
        self.control.stall_syncs()


class FullDisk(FaultyFault):
    """There is no room: a leader hands over, a follower stops acknowledging; both recover."""

    name = "full-disk"
    about = "files of one node cannot grow (ENOSPC), then there is room again"
    takes = True
    spans = ((1.0, 2.5), (2.5, 6.0))

    @classmethod
    def prepare(cls, site: Site) -> None:
        """Small journal files, so that room for a new one is needed often."""
        super().prepare(site)
        add_flags(site, raft_segment_bytes=SEGMENT)

    def start(self) -> None:
        """No room from now on."""
        self.choose(leader=0.6)
        self.control.limit_room(0)
