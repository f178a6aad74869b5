"""Data that is lost for good: how much of it a cluster may lose at one time.

A cluster bears the loss of a minority of its voters' data folders, and of no further one until
those are voters again (Ongaro's dissertation, §3.8 and §4: what was acknowledged is on a majority).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaos.simulation.faults.act import Act
from chaos.simulation.faults.processes import come_back

if TYPE_CHECKING:
    from chaos.simulation.members import Member
    from chaos.simulation.world import World


def may_lose(world: World, victim: str) -> bool:
    """Whether a majority of the voters' data folders stays whole without this one.

    Also when all that belong to the cluster have become voters: a learner whose data is damaged
    is made one as well, for nobody has seen the damage by then.
    """
    known = world.configuration()
    if known is None:
        return False
    whole = [name for name in known.voters if name != victim and _is_whole(world.hosts[name])]
    return len(whole) * 2 > len(known.voters | set(world.members))


def _is_whole(member: Member) -> bool:
    node = member.node
    if node is None:
        # It may have been wiped, and nobody can tell whether it became a voter again.
        return member.start_as == "normal" and not member.damaged
    if node.raft.log.tail_cut or not node.raft.is_voter():
        return False
    return not member.damaged


def may_leave(world: World, victim: str) -> bool:
    """Whether the members that stay could go on without this one, whatever is lost now."""
    known = world.configuration()
    if known is None or victim not in known.voters or len(known.voters) <= 3:
        return False
    rest = [name for name in known.voters if name != victim]
    alive = world.alive()
    going_on = [name for name in rest if name in alive and _is_whole(world.hosts[name])]
    return len(going_on) * 2 > len(rest)


def restart_damaged(act: Act, name: str, seconds: float) -> None:
    """Let a member whose data was damaged find it after a while, and do what is documented then.

    It starts again; where it refuses to, its folder is wiped and it joins as a learner.
    """
    world = act.world
    member = world.hosts[name]
    disk = member.disk

    def restart() -> None:
        if member.disk is disk and name in world.members:
            world.kill(name)
            world.start(name)
            act.after(act.rng.uniform(0.3, 1.5), look)

    def look() -> None:
        if member.disk is not disk or name not in world.members:
            return
        if member.node is not None and not member.node.raft.log.tail_cut:
            # It read everything: what was hit counts no more, or it holds again what it lost.
            member.damaged = False
        elif member.stopped_for is not None and not world.loop.is_alive(name):
            world.wipe(name)
            come_back(act, name, act.rng.uniform(0.05, 1.0))
        else:
            act.after(0.5, look)

    act.until(seconds, restart)
