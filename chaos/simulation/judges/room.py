"""Full disks: what may still be written, and who leads.

A leader whose disk is full, or those of a majority, appends nothing of a client's: it could never
be committed, and would wait in memory. Where another voter has room and all else is well the full
leader hands over to it.
"""

from __future__ import annotations

from typing import Any

from chaos.simulation.judges.calm import is_reachable
from chaos.simulation.observer import Observer
from chaos.simulation.violation import Violation
from raftcoord.consensus.core import HEADER, LEADER, REGULAR
from raftcoord.consensus.peers import peer_node

BOUNDS = "bounds"
LIVENESS = "liveness"
HANDED_OVER = 2.0
"""Virtual seconds in which a full leader that could hand over has done so: twenty beats."""
TOLD = 0.3
"""Virtual seconds: what a leader hears of a follower later than that was said when that was full
already, as neither link nor disk is slow."""


class Room(Observer):
    """Since when each leader is full and could hand over, and since when most voters are full."""

    def __init__(self) -> None:
        self._world: Any = None
        self._could: dict[tuple[str, int], float] = {}
        self._most: dict[str, float] = {}

    def began(self, world: Any) -> None:
        self._world = world

    def fault(self, time: float, name: str, detail: str) -> None:
        self._forget()

    def started(self, time: float, member: str, life: int) -> None:
        self._forget()

    def stopped(self, time: float, member: str, life: int, why: str) -> None:
        self._forget()

    def _forget(self) -> None:
        self._could.clear()
        self._most.clear()

    def appended(self, time: float, member: str, index: int, term: int, command: bytes) -> None:
        for name in list(self._most):
            # A follower that had room for a moment fills it with what it appends.
            if not _full_of_most(self._world, name):
                del self._most[name]
        node = self._world.hosts[member].node
        if node is None or command[:1] != REGULAR or node.raft.role != LEADER:
            return
        raft = node.raft
        advance = raft.settings.advance
        if term != raft.term or (advance is not None and command[HEADER:] == advance(term)):
            return
        if raft.log.full:
            text = f"the disk of {member} is full, and as leader it appends entry {index}"
            raise Violation(BOUNDS, text)
        since = self._most.get(member)
        if since is not None and _knows(self._world, member, time - since - TOLD):
            text = f"{member} leads, most disks are full since {since:.3f}, and it appends entry"
            raise Violation(BOUNDS, f"{text} {index}")

    def looked(self, time: float, world: Any) -> None:
        could, most = dict[tuple[str, int], float](), dict[str, float]()
        for name, member in world.members.items():
            if member.node is None or member.node.raft.role != LEADER:
                continue
            raft = member.node.raft
            if _full_of_most(world, name):
                most[name] = self._most.get(name, time)
            if raft.log.full and _could_hand_over(world, name, raft):
                could[name, raft.term] = since = self._could.get((name, raft.term), time)
                if time - since > HANDED_OVER:
                    text = f"the disk of {name} is full since {since:.3f}, and it leads all the"
                    raise Violation(LIVENESS, f"{text} same, though others have room")
        self._could, self._most = could, most


def _full_of_most(world: Any, leader: str) -> list[str]:
    """The voters that are full and whose word is at the leader at once; none where those are no
    majority."""
    if not _is_well(world, leader) or not world.clocks_honest:
        return []
    voters = world.members[leader].node.raft.voters
    full = [n for n in voters if _is_well(world, n) and world.members[n].node.raft.log.full]
    return full if 2 * len(full) > len(voters) else []


def _knows(world: Any, leader: str, seconds: float) -> bool:
    """Whether it heard each of them within the last seconds."""
    raft = world.members[leader].node.raft
    full = _full_of_most(world, leader)
    return bool(full) and all(
        raft.now() - raft.heard.get(peer_node(name), float("-inf")) < seconds
        for name in full
        if name != leader
    )


def _could_hand_over(world: Any, leader: str, raft: Any) -> bool:
    """Whether most voters have room and are well, and one of them has all that the leader has."""
    if not _is_well(world, leader) or not world.clocks_honest:
        return False
    well = [
        name
        for name in raft.voters
        if name != leader and _is_well(world, name) and not world.members[name].node.raft.log.full
    ]
    return 2 * len(well) > len(raft.voters) and any(
        world.members[name].node.raft.last() == raft.last() and raft.votes_as(peer_node(name))
        for name in well
    )


def _is_well(world: Any, name: str) -> bool:
    """Whether it runs as a voter, hears all, and its disk is fast."""
    if not is_reachable(world, name):
        return False
    member = world.members[name]
    raft, edges = member.node.raft, member.edges
    fast = edges.sync == world.sync and not edges.is_stalled
    return fast and raft.is_voter() and not raft.log.tail_cut and member.disk.hook is None
