"""Faults of the simulated world. Each is a function of the world; a seed draws which and when."""

from collections import Counter
from collections.abc import Callable

from chaos.simulation.world import World

Fault = Callable[[World], bool]
"""Does it to a random victim; False where it does not apply now."""


def _majority_stays(world: World, victim: str) -> bool:
    """Whether a majority of whole data folders remains when this one is lost for good."""
    whole = [m for m in world.members.values() if m.start_as != "join" and not m.damaged]
    return len([m for m in whole if m.name != victim]) * 2 > len(world.members)


def _back_soon(world: World, name: str) -> None:
    def back() -> None:
        if world.members[name].node is None and not world.loop.is_alive(name):
            world.start(name)

    world.loop.later(world.loop.time() + world.rng.uniform(0.05, 1.5), back)


def _kill(world: World, name: str, *, power: bool) -> bool:
    if not world.loop.is_alive(name):
        return False
    world.kill(name, power=power)
    _back_soon(world, name)
    return True


def kill(world: World) -> bool:
    """SIGKILL of one member."""
    return _kill(world, world.rng.choice(sorted(world.members)), power=False)


def kill_leader(world: World) -> bool:
    """SIGKILL of the leader."""
    leader = world.leader()
    return leader is not None and _kill(world, leader, power=False)


def power_cut(world: World) -> bool:
    """One machine loses its power, and what it had not synced."""
    return _kill(world, world.rng.choice(sorted(world.members)), power=True)


def power_cut_of_all(world: World) -> bool:
    """The whole room."""
    struck = [name for name in sorted(world.members) if _kill(world, name, power=True)]
    return len(struck) > 1


def pause(world: World) -> bool:
    """SIGSTOP, and SIGCONT a while later."""
    name = world.rng.choice(sorted(world.members))
    member = world.members[name]
    if member.node is None or member.paused:
        return False
    node = member.node
    member.paused = True
    world.loop.pause(name)

    def go_on() -> None:
        if member.node is node and member.paused:
            member.paused = False
            world.loop.resume(name)

    world.loop.call_later(world.rng.uniform(0.1, 3.0), go_on)
    return True


def isolate_leader(world: World) -> bool:
    """Nobody hears the leader, and it hears nobody; it is not told."""
    leader = world.leader()
    if leader is None:
        return False
    for other in world.members:
        if other != leader:
            world.loop.net.cut(leader, other)
    return True


def split(world: World) -> bool:
    """Two groups that do not hear each other."""
    names = sorted(world.members)
    group = set(world.rng.sample(names, world.rng.randrange(1, len(names))))
    for a in names:
        for b in names:
            if a in group and b not in group:
                world.loop.net.cut(a, b)
    return True


def one_way(world: World) -> bool:
    """One direction of one link falls silent."""
    a, b = world.rng.sample(sorted(world.members), 2)
    world.loop.net.cut(a, b, both=False)
    return True


def heal(world: World) -> bool:
    """All links are whole again."""
    world.loop.net.heal_all()
    return True


def reset(world: World) -> bool:
    """All connections between two members break."""
    a, b = world.rng.sample(sorted(world.members), 2)
    world.loop.net.reset(a, b)
    return True


def slow_link(world: World) -> bool:
    """One direction of one link takes long."""
    a, b = world.rng.sample(sorted(world.members), 2)
    world.loop.net.slow(a, b, world.rng.uniform(0.05, 2.0))
    return True


def slow_disk(world: World) -> bool:
    """Syncs of one member take long, for a while."""
    edges = world.members[world.rng.choice(sorted(world.members))].edges
    if edges is None:
        return False
    edges.sync = (0.01, world.rng.uniform(0.02, 0.5))
    world.loop.call_later(world.rng.uniform(0.5, 4.0), setattr, edges, "sync", world.sync)
    return True


def full_disk(world: World) -> bool:
    """No more room on one disk, for a while."""
    member = world.members[world.rng.choice(sorted(world.members))]
    disk = member.disk
    disk.capacity = disk.used()
    world.loop.call_later(world.rng.uniform(0.5, 6.0), setattr, disk, "capacity", None)
    return True


def failed_sync(world: World) -> bool:
    """The next sync of one disk fails: its process must end itself."""
    name = world.rng.choice(sorted(world.members))
    if world.members[name].node is None:
        return False
    world.expected_stops = (*world.expected_stops, "cannot be synced", "Input/output error")
    world.members[name].disk.fail_next_sync = True

    def back() -> None:
        world.members[name].disk.fail_next_sync = False
        if not world.loop.is_alive(name):
            world.start(name)

    world.loop.call_later(world.rng.uniform(0.5, 2.0), back)
    return True


def wipe(world: World) -> bool:
    """One member loses its data folder and comes back as a learner."""
    name = world.rng.choice(sorted(world.members))
    if not _majority_stays(world, name):
        return False
    world.wipe(name)
    _back_soon(world, name)
    return True


def snapshot(world: World) -> bool:
    """One member packs a snapshot now."""
    member = world.members[world.rng.choice(sorted(world.members))]
    if member.node is None or member.paused:
        return False
    with world.loop.host(member.name):
        member.node.raft.take_snapshot()
    return True


def transfer(world: World) -> bool:
    """Leadership is handed to a random voter."""
    leader = world.leader()
    if leader is None or world.members[leader].paused:
        return False
    node = world.members[leader].node
    assert node is not None
    target = world.rng.choice(sorted(world.members))
    with world.loop.host(leader):
        node.transfer(target, lambda _: None)
    return True


ALL: tuple[Fault, ...] = (
    *(kill, kill, kill_leader, power_cut, power_cut, power_cut_of_all, pause, isolate_leader),
    *(split, split, one_way, heal, heal, heal, reset, slow_link, slow_disk, full_disk),
    *(failed_sync, wipe, snapshot, snapshot, transfer),
)


class Trouble:
    """Draws faults until it is told to end. `done`: how often each happened."""

    def __init__(self, world: World, faults: tuple[Fault, ...] = ALL, pause: float = 0.6) -> None:
        self.done = Counter[str]()
        self._world = world
        self._faults = faults
        self._pause = pause
        self._ended = False
        world.loop.call_later(1.5, self._next)

    def _next(self) -> None:
        if self._ended:
            return
        fault = self._world.rng.choice(self._faults)
        if fault(self._world):
            self.done[fault.__name__] += 1
        self._world.loop.call_later(self._world.rng.expovariate(1 / self._pause), self._next)

    def end(self) -> None:
        """No more of it."""
        self._ended = True
