"""How a run ends: faults are over, so everything must come right within a bounded time.

In this order: all members vote; with one of them down a bare majority goes on; every caller is
answered; all members hold the same state, and come to rest; then all that can be read is read
through every node, as at the end of a real run.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from chaos.workloads.caller import PATIENCE
from chaos.workloads.everything import read_everything

if TYPE_CHECKING:
    from chaos.simulation.members import Member
    from chaos.simulation.world import World

RECOVERY = 15.0
"""Virtual seconds in which a majority must accept a write once faults are over."""
LONGEST_LEASE = 30.0
"""Longer than any lease, wait or timeout of the loads lasts, with what a fault adds to it."""
REST = 0.5
"""Virtual seconds without a new revision after which a cluster counts as at rest."""
SOON = 60_000
"""Milliseconds of cluster time; what is kept for longer (decisions, stored answers) is no lease."""
FINAL = "final"
"""The host and the agent of the last look."""


def settle(world: World) -> None:
    """Bring a world to its end. Raises the first violation."""
    _calm(world)
    world.until(lambda: _all_vote(world), RECOVERY * 2, "all members vote again")
    down = world.rng.choice(sorted(world.members))
    power = world.rng.random() < 0.5
    if len(world.members) > 2:  # a change of members may have left fewer
        world.kill(down, power=power)
        _must_write(world, "a bare majority accepts a write")
        world.start_again(down)
    world.clients.stop()
    _must_write(world, "the whole cluster accepts a write")
    world.until(lambda: world.clients.done, PATIENCE + RECOVERY, "every caller is answered")
    world.until(lambda: _agree(world), RECOVERY, "all members hold the same state")
    rest = _Rest(world)
    world.until(rest.reached, LONGEST_LEASE, "the cluster comes to rest")
    _look_at_everything(world)
    world.observers.ended(world.loop.time(), world)
    world.raise_violation()


def _calm(world: World) -> None:
    world.loop.net.heal_all()
    for member in world.members.values():
        disk = member.disk
        disk.hook, disk.capacity, disk.fail_next_sync, disk.failing_reads = None, None, False, 0
        if member.edges is not None:
            member.edges.sync = world.sync
        world.resume(member.name)
    _start_missing(world)


def _start_missing(world: World) -> None:
    for member in list(world.members.values()):
        if not world.loop.is_alive(member.name):
            if member.stopped_for and member.damaged:
                world.wipe(member.name)
            world.start(member.name)


def _running(world: World) -> list[Member]:
    return [member for member in world.members.values() if member.node is not None]


def _all_vote(world: World) -> bool:
    """All members run under a leader, and the configuration names exactly them, all as voters that
    may vote: one whose journal was cut at its end may not, until it holds again what it had."""
    _start_missing(world)
    known = world.configuration()
    if known is None or world.leader() is None or len(_running(world)) < len(world.members):
        return False
    return known.voters == set(world.members) == set(known.members) and all(
        member.node is not None
        and member.node.raft.is_voter()
        and not member.node.raft.log.tail_cut
        for member in _running(world)
    )


def _must_write(world: World, what: str) -> None:
    task: asyncio.Task[None]
    with world.loop.host(FINAL):
        task = world.loop.create_task(_write(world))
    world.until(task.done, RECOVERY, what)


async def _write(world: World) -> None:
    """Take and free a lock at a member that runs, until both are accepted."""
    name = f"{FINAL}.{len(world.lines)}"
    agent = world.clients.agent(name, nodes=tuple(m.name for m in _running(world)))
    while not agent.stopping:
        taken = await agent.ask("lock.acquire", name=name, owner=name, ttl=60.0)
        grant = taken.answer if taken.ok else taken.answer.get("grant")
        if grant is not None:
            token = int(grant["token"])
            freed = await agent.ask("lock.release", name=name, owner=name, token=token)
            if freed.ok or freed.slug == "not-holder":
                break
        await agent.pause(0.05)
    agent.close()


def _agree(world: World) -> bool:
    """All members have applied the same entries, to the same effect."""
    members = _running(world)
    seen = {(m.node.applied, m.machine.digest()) for m in members if m.node and m.machine}
    return len(members) == len(world.members) and len(seen) == 1


class _Rest:
    """Whether nothing is appended any more, and nothing would be soon: all leases are over."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._revision = -1
        self._since = world.loop.time()

    def reached(self) -> bool:
        """All members have been at one revision for a while."""
        world = self._world
        revisions = {m.node.applied for m in _running(world) if m.node is not None}
        now = world.loop.time()
        if len(revisions) != 1 or self._revision not in revisions:
            self._revision = max(revisions, default=-1)
            self._since = now
        return now - self._since >= REST and not any(map(_due_soon, _running(world)))


def _due_soon(member: Member) -> bool:
    """Whether something of its state ends by itself before long."""
    machine = member.machine
    deadline = None if machine is None else machine.next_deadline()
    return machine is not None and deadline is not None and deadline < machine.clock + SOON


def _look_at_everything(world: World) -> None:
    async def look() -> None:
        agent = world.clients.agent(FINAL, nodes=tuple(world.members))
        for _ in range(3):
            if await read_everything(agent):
                break
        agent.close()

    with world.loop.host(FINAL):
        task = world.loop.create_task(look())
    world.until(task.done, RECOVERY, "everything can be read through every node")
