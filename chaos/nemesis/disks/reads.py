"""Reads that fail or lie. A node reads its data when it starts, so that is when it meets them."""

from __future__ import annotations

from chaos.nemesis.faulty_control import JOURNAL
from chaos.nemesis.faulty_nodes import FaultyFault


class ReadError(FaultyFault):
    """Reads fail while a node starts: it must not start without what it could not read."""

    name = "read-error"
    about = "a node is killed and cannot read its journal at the start (EIO), then it can"
    takes = alone = ends = True
    spans = ((0.1, 0.5),)

    def start(self) -> None:
        """Kill it, and start it where reads fail."""
        node = self.choose(leader=0.3)
        self.site.nodes.kill(node)
        self.control.fail_reads(where=JOURNAL)
        self.site.nodes.start(node)
        self.site.nodes.expect_end(node)
        self.until_ended("cannot go on")


class FlippedRead(FaultyFault):
    """One bit is read as another: the node must notice. The data itself is sound."""

    name = "flipped-read"
    about = "a node is killed and reads a flipped bit of its journal at the start"
    takes = alone = ends = True
    spans = ((0.1, 0.5),)

    def start(self) -> None:
        """Kill it, and start it where each read of the journal has a flipped bit."""
        node = self.choose(leader=0.3)
        self.site.nodes.kill(node)
        # The first bytes: every file has its header there, in front of anything else.
        self.control.flip_reads(self.random.randrange(64 * 8), where=JOURNAL)
        self.site.nodes.start(node)
        self.site.nodes.expect_end(node)
        self.until_ended(" at byte ")
