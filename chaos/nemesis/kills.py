"""Processes that end, and come back."""

from __future__ import annotations

from chaos.nemesis.fault import Fault


class _Kill(Fault):
    """SIGKILL; `stop` starts the process anew, with what it had on its disk."""

    takes = True
    spans = ((0.05, 1.0),)
    words = ("kill", "start")

    def start(self) -> None:
        """Kill it."""
        self.nodes = self.victims()
        self.at = self.site.nodes.kill(*self.nodes)

    def stop(self) -> None:
        """Start it."""
        self.site.nodes.start(*self.nodes)

    def victims(self) -> tuple[str, ...]:
        """Whom it hits."""
        raise AssertionError


class KillLeader(_Kill):
    """The leader's process."""

    name = "kill-leader"
    role = "leader"
    about = "SIGKILL to the leader, and its start"

    def victims(self) -> tuple[str, ...]:
        """The leader."""
        return (self.leader(),)


class KillFollower(_Kill):
    """A follower's process."""

    name = "kill-follower"
    role = "follower"
    about = "SIGKILL to a follower, and its start"

    def victims(self) -> tuple[str, ...]:
        """One follower."""
        return (self.follower(),)


class KillAll(_Kill):
    """All at once."""

    name = "kill-all"
    role = "all"
    about = "SIGKILL to all nodes at once, and their start"

    def victims(self) -> tuple[str, ...]:
        """All, when somebody led them."""
        self.leader()
        return self.site.nodes.ids


class RollingRestart(Fault):
    """SIGTERM and start, one node after the other, each when the one before is ready again."""

    name = "rolling-restart"
    about = "every node stopped cleanly and started, one by one"
    takes = alone = True
    spans = ((0.0, 0.3),)

    def start(self) -> None:
        """Followers first, as one would; the rest of the patience is for each."""
        leader = self.leader()
        others = [node for node in self.site.nodes.ids if node != leader]
        self.random.shuffle(others)
        self.nodes = (*others, leader)
        for node in self.nodes:
            self.site.nodes.stop(node)
            self.site.nodes.start(node)
            self.site.until_ready(node)

    def stop(self) -> None:
        """Nothing is left to undo."""


class WipedNode(Fault):
    """A node loses its data and comes back by the documented way: empty, as a learner."""

    name = "wiped-node"
    about = "a node killed and its data removed; it rejoins empty, and votes again"
    takes = alone = True
    spans = ((0.1, 1.0),)

    def start(self) -> None:
        """Kill it and remove its data."""
        node = self.leader() if self.random.random() < 0.3 else self.follower()
        self.nodes = (node,)
        self.at = self.site.nodes.kill(node)
        self.site.nodes.set_aside(node)

    def stop(self) -> None:
        """Start it with --join, and wait until it is a voter again."""
        (node,) = self.nodes
        self.site.leader()
        self.site.nodes.start(node)
        self.site.wait(lambda: self.site.nodes.note_joined(node), f"{node} is no voter again")
