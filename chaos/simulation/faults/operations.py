"""What an operator does to a cluster that works."""

from __future__ import annotations

from chaos.simulation.faults.act import Act, Catalogue

FAULTS = Catalogue()


@FAULTS.of(3)
def snapshot(act: Act) -> bool:
    """One member packs a snapshot now."""
    world, name = act.world, act.running()
    node = None if name is None else world.members[name].node
    if name is None or node is None:
        return False
    with world.loop.host(name):
        world.loop.call_soon(node.raft.take_snapshot)
    act.note(name)
    return True


@FAULTS.of(3)
def transfer(act: Act) -> bool:
    """Leadership is handed to a random member."""
    world, leader, target = act.world, act.world.leader(), act.member()
    node = None if leader is None else world.members[leader].node
    if leader is None or node is None or leader not in world.alive():
        return False
    with world.loop.host(leader):
        world.loop.call_soon(node.transfer, target, lambda _: None)
    act.note(f"{leader} to {target}")
    return True
