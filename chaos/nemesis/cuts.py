"""Links that are cut, slow or bad: by the proxy between the members, or by dropping packets."""

from __future__ import annotations

import time

from chaos.nemesis.fault import Fault, Network, Span
from chaos.nemesis.relay import Rule

CUT: tuple[Span, ...] = ((1.2, 2.5), (0.1, 0.8), (4.0, 7.0))
"""Longer than an election timeout, shorter, and longer than TCP and leases bear."""


class _Link(Fault):
    linked = True
    spans = CUT

    def start(self) -> None:
        """Put the rules in force."""
        self.links.disturb(self, self.rules())
        self.at = time.monotonic_ns()

    def stop(self) -> None:
        """Take them back; what was held arrives now."""
        self.links.calm(self)

    @property
    def links(self) -> Network:
        """The links."""
        assert self.site.links is not None, "the run has no hold on the links"
        return self.site.links

    def rules(self) -> list[Rule]:
        """What happens on which links; also sets `nodes`."""
        raise AssertionError

    def cut(self, pairs: list[tuple[str, str]]) -> list[Rule]:
        """Nothing passes."""
        return [Rule(source, target, hold=True) for source, target in pairs]


class IsolateLeader(_Link):
    """The leader alone on one side, all others on the other."""

    name = "isolate-leader"
    about = "no link between the leader and the others"
    takes = True

    def rules(self) -> list[Rule]:
        """All its links."""
        self.nodes = (self.leader(),)
        return self.cut(self.links.pairs(*self.nodes))


class IsolateFollower(_Link):
    """A follower alone, which cannot win an election, and asks for one when it is back."""

    name = "isolate-follower"
    about = "no link between a follower and the others"
    takes = True

    def rules(self) -> list[Rule]:
        """All its links."""
        self.nodes = (self.follower(),)
        return self.cut(self.links.pairs(*self.nodes))


class Halves(_Link):
    """Two groups, as equal as they can be, drawn at random."""

    name = "halves"
    about = "the nodes divided into two groups that do not hear each other"
    takes = True

    def rules(self) -> list[Rule]:
        """All links between the two."""
        nodes = list(self.site.nodes.ids)
        self.random.shuffle(nodes)
        one = set(nodes[: len(nodes) // 2])
        self.nodes = tuple(sorted(one))
        pairs = [pair for pair in self.links.pairs() if (pair[0] in one) != (pair[1] in one)]
        return self.cut(pairs)


class CutPair(_Link):
    """The leader and one follower do not hear each other; a third hears both."""

    name = "cut-pair"
    about = "no link between the leader and one follower; the others hear both"

    def rules(self) -> list[Rule]:
        """One link."""
        leader, follower = self.leader(), self.follower()
        self.nodes = (leader, follower)
        return self.cut([(leader, follower), (follower, leader)])


class MuteLeader(_Link):
    """The leader hears the others, and they do not hear it."""

    name = "mute-leader"
    about = "one-way cut: nothing that the leader sends arrives"
    takes = True

    def rules(self) -> list[Rule]:
        """One direction of all its links."""
        leader = self.leader()
        self.nodes = (leader,)
        return self.cut([pair for pair in self.links.pairs(leader) if pair[0] == leader])


class DeafLeader(_Link):
    """The others hear the leader, and it does not hear them."""

    name = "deaf-leader"
    about = "one-way cut: nothing arrives at the leader"
    takes = True

    def rules(self) -> list[Rule]:
        """The other direction."""
        leader = self.leader()
        self.nodes = (leader,)
        return self.cut([pair for pair in self.links.pairs(leader) if pair[1] == leader])


class SlowLinks(_Link):
    """All takes longer, on all links or on one node's."""

    name = "slow-links"
    about = "5 to 150 ms more on all links or one node's, with jitter"
    proxied = True
    spans = ((1.0, 2.0), (3.0, 8.0))

    def rules(self) -> list[Rule]:
        """The same for all that are hit."""
        delay = self.random.uniform(0.005, 0.15)
        hit = [self.anyone()] if self.random.random() < 0.5 else []
        self.nodes = tuple(hit or self.links.nodes)
        self.detail = f"{delay * 1000:.0f} ms"
        return [Rule(*pair, delay=delay, jitter=delay) for pair in self.links.pairs(*hit)]


class LossyLinks(_Link):
    """Pieces get lost and are sent again later; now and then a connection breaks."""

    name = "lossy-links"
    about = "pieces lost and sent again after 0.2 s and more, connections reset"
    proxied = True
    spans = ((1.0, 2.0), (3.0, 8.0))

    def rules(self) -> list[Rule]:
        """All links, some of them worse than others."""
        self.nodes = self.links.nodes
        rules = []
        for pair in self.links.pairs():
            loss, reset = self.random.uniform(0.0, 0.1), self.random.uniform(0.0, 0.01)
            rules.append(Rule(*pair, loss=loss, reset=reset))
        return rules


class ReconnectStorm(_Link):
    """All connections are reset, again and again."""

    name = "reconnect-storm"
    about = "all connections between the nodes reset every 30 to 300 ms"
    proxied = True
    spans = ((1.0, 2.0), (2.0, 5.0))

    def rules(self) -> list[Rule]:
        """One for each pair, whoever called."""
        self.nodes = self.links.nodes
        every = self.random.uniform(0.03, 0.3)
        self.detail = f"every {every * 1000:.0f} ms"
        pairs = [pair for pair in self.links.pairs() if pair[0] < pair[1]]
        return [Rule(*pair, storm=every) for pair in pairs]
