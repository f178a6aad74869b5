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
TOLD = 1.5
"""Virtual seconds after which a leader knows which of its followers are full."""
SLACK = 20
"""Entries that it may append since, where a follower had room for a moment between two looks."""


class Room(Observer):
    """Since when each leader is full and could hand over, and since when most voters are full."""

    def __init__(self) -> None:
        self._world: Any = None
        self._could: dict[tuple[str, int], float] = {}
        self._most: dict[str, float] = {}
        self._appended: dict[str, int] = {}

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
        self._appended.clear()

    def appended(self, time: float, member: str, index: int, term: int, command: bytes) -> None:
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
        if since is None or time - since < TOLD or not _most_are_full(self._world, raft):
            return
        appended = self._appended[member] = self._appended.get(member, 0) + 1
        if appended > SLACK:
            text = f"{member} leads, most disks are full since {since:.3f}, and it appends entry"
            raise Violation(BOUNDS, f"{text} {index}")

    def looked(self, time: float, world: Any) -> None:
        could, most = dict[tuple[str, int], float](), dict[str, float]()
        for name, member in world.members.items():
            if member.node is None or member.node.raft.role != LEADER:
                continue
            raft = member.node.raft
            if is_reachable(world, name) and _most_are_full(world, raft):
                most[name] = self._most.get(name, time)
            if raft.log.full and _could_hand_over(world, name, raft):
                could[name, raft.term] = since = self._could.get((name, raft.term), time)
                if time - since > HANDED_OVER:
                    text = f"the disk of {name} is full since {since:.3f}, and it leads all the"
                    raise Violation(LIVENESS, f"{text} same, though others have room")
        self._could, self._most = could, most
        self._appended = {name: n for name, n in self._appended.items() if name in most}


def _most_are_full(world: Any, raft: Any) -> bool:
    """Whether a majority of the voters can be heard, and those of them that are full are one."""
    full = [
        name
        for name in raft.voters
        if is_reachable(world, name) and world.members[name].node.raft.log.full
    ]
    return 2 * len(full) > len(raft.voters)


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
