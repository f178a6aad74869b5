"""Changes of members that are asked for all at once, or of a leader that has only just begun.

A leader has to refuse a change while another is under way, and before it has committed an entry of
its own term (Ongaro, "bug in single-server membership changes", raft-dev, 10 July 2015).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from chaos.simulation.faults.act import Act, Catalogue
from chaos.simulation.faults.links import cut
from chaos.simulation.faults.losses import may_leave
from chaos.simulation.faults.processes import strike
from raftcoord.consensus.core import LEADER
from raftcoord.consensus.membership import Member

if TYPE_CHECKING:
    from raftcoord.consensus.membership import Configuration
    from raftcoord.consensus.node import Node
    from raftcoord.consensus.proposals import Outcome

FAULTS = Catalogue()

_FEWEST = 3
"""Voters that are left, at the least."""
_PATIENCE = 2.0
"""Seconds in which leadership has moved, or it is waited for no longer."""
_LOOK, _GLANCE = 0.003, 0.0003
"""Seconds between two looks at who leads: before anybody stands, and while somebody does."""


class _Changes:
    """What an operator wants changed; all of it is asked for each time.

    One or two voters are to leave, where they may; one that votes is to be given its vote, which
    changes nobody, and is a change all the same. What nobody may do is asked for, too.
    """

    def __init__(self, act: Act) -> None:
        self._act = act
        world, rng = act.world, act.rng
        going = [name for name in sorted(world.members) if may_leave(world, name)]
        rng.shuffle(going)
        self._leaving = going[: rng.choice((0, 1, 1, 2))]

    def ask(self) -> bool:
        """Ask everybody; whether anybody leads, or believes so."""
        world = self._act.world
        running = sorted(world.alive())
        self._act.rng.shuffle(running)
        leaders = []
        for name in running:
            node = world.hosts[name].node
            if node is None:
                continue
            if node.raft.role == LEADER:
                leaders.append(name)
            with world.loop.host(name):
                self._ask(node)
        for name in self._leaving:
            # From now on the operator asks, and sees to the machine once it is out.
            world.remove(name, partial(may_leave, world, name))
        if leaders:
            gone = " and ".join(self._leaving)
            self._act.note(" ".join(leaders) + (f", to be without {gone}" if gone else ""))
        return bool(leaders)

    def _ask(self, node: Node) -> None:
        known = node.raft.history.current
        voters = self._act.rng.sample(sorted(known.voters), len(known.voters))
        changes: list[Callable[[], None]] = [
            *(partial(node.promote, name, _heard) for name in voters[:1]),
            *(
                partial(node.remove, name, _heard)
                for name in self._leaving
                if self._may(known, name)
            ),
            partial(node.remove, "nobody", _heard),
            partial(node.add_learner, "nobody", Member("nowhere", "nowhere"), _heard),
        ]
        if len(voters) > 2:
            two_less = known.without(voters[0]).without(voters[1])
            changes.append(partial(node.raft.change_configuration, two_less, _heard))
        self._act.rng.shuffle(changes)
        for change in changes:
            change()

    def _may(self, known: Configuration, name: str) -> bool:
        """Whether a cluster of these members could go on without this one, as it stands now."""
        hosts, alive = self._act.world.hosts, self._act.world.alive()
        left = known.without(name).voters
        going_on = [
            host
            for host in (hosts[voter] for voter in left if voter in alive)
            if host.node is not None
            and not host.damaged
            and host.node.raft.is_voter()
            and not host.node.raft.log.tail_cut
        ]
        return len(left) >= _FEWEST and len(going_on) * 2 > len(left)


def _heard(outcome: Outcome) -> None:
    """Nobody waits for it: the operator asks again."""


@FAULTS.of(2)
def changes_at_once(act: Act) -> bool:
    """Several changes of members are asked for at the same moment; a spare joins meanwhile."""
    world = act.world
    if not _Changes(act).ask():
        return False
    spares = sorted(world.spares)
    if spares and act.rng.random() < 0.5:
        world.add(act.rng.choice(spares))
    return True


@FAULTS.of(3)
def changes_at_first(act: Act) -> bool:
    """Leadership moves, and changes are asked for before the new leader has committed anything.

    The old leader, which may not know that it is none any more, is asked as well.
    """
    world, rng = act.world, act.rng
    leader = world.leader()
    node = None if leader is None else world.hosts[leader].node
    others = [name for name in sorted(world.members) if name != leader]
    if leader is None or node is None or leader not in world.alive() or not others:
        return False
    changes, term = _Changes(act), node.raft.term
    how = rng.choice(("transfer", "kill", "cut", "cut"))
    if how == "transfer":
        with world.loop.host(leader):
            world.loop.call_soon(node.transfer, rng.choice(others), lambda _: None)
    elif how == "kill":
        strike(act, leader, power=False, down=rng.uniform(0.05, 1.5))
    else:
        ways = [way for other in others for way in ((leader, other), (other, leader))]
        cut(act, ways, rng.uniform(0.5, 3.0))
        changes.ask()
    end = world.loop.time() + _PATIENCE

    def look() -> None:
        known = [host.node.raft for host in world.hosts.values() if host.node is not None]
        newer = [raft for raft in known if raft.term > term]
        if any(raft.role == LEADER for raft in newer):
            changes.ask()
            act.after(rng.uniform(0.0, 0.1), changes.ask)
        elif world.loop.time() < end:
            act.after(_GLANCE if newer else _LOOK, look)

    look()
    return True
