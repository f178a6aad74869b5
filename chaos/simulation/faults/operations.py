"""What an operator does to a cluster that works."""

from __future__ import annotations

from functools import partial

from chaos.simulation.faults.act import Act, Catalogue
from chaos.simulation.faults.losses import may_leave

FAULTS = Catalogue()


@FAULTS.of(3)
def snapshot(act: Act) -> bool:
    """One member packs a snapshot now."""
    world, name = act.world, act.running()
    node = None if name is None else world.hosts[name].node
    if name is None or node is None:
        return False
    with world.loop.host(name):
        world.loop.call_soon(node.raft.take_snapshot)
    act.note(name)
    return True


@FAULTS.of(3)
def transfer(act: Act) -> bool:
    """Leadership is handed to a random member that does not have it."""
    world, leader = act.world, act.world.leader()
    node = None if leader is None else world.hosts[leader].node
    others = [name for name in sorted(world.members) if name != leader]
    if leader is None or node is None or leader not in world.alive() or not others:
        return False
    target = act.rng.choice(others)
    with world.loop.host(leader):
        world.loop.call_soon(node.transfer, target, lambda _: None)
    act.note(f"{leader} to {target}")
    return True


@FAULTS.of(3)
def add_member(act: Act) -> bool:
    """A spare joins: empty, as a learner that votes when it has caught up."""
    spares = sorted(act.world.spares)
    if not spares:
        return False
    name = act.rng.choice(spares)
    act.note(name)
    return act.world.add(name)


@FAULTS.of(2)
def remove_member(act: Act) -> bool:
    """A member is taken out; its process ends and its data is lost."""
    return _remove(act, act.member())


@FAULTS.of(2)
def remove_leader(act: Act) -> bool:
    """The leader is taken out."""
    leader = act.world.leader()
    return leader is not None and _remove(act, leader)


@FAULTS.of(2)
def replace_member(act: Act) -> bool:
    """A member is taken out, and a machine takes its place: another, or the same one, empty."""
    world, rng = act.world, act.rng
    name = act.member()
    if not _remove(act, name):
        return False
    pause = rng.uniform(0.1, 2.0)

    def fill(left: int) -> None:
        spares = sorted(world.spares)
        if name not in world.members and spares:
            world.add(rng.choice(spares))
        elif left:
            act.after(pause, fill, left - 1)

    act.after(pause, fill, 5)
    return True


def _remove(act: Act, name: str) -> bool:
    if not may_leave(act.world, name):
        return False
    act.note(name)
    return act.world.remove(name, partial(may_leave, act.world, name))
