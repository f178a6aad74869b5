"""Disks that are slow, full, or fail."""

from __future__ import annotations

from chaos.simulation.faults.act import Act, Catalogue
from chaos.simulation.faults.processes import come_back
from chaos.simulation.world import World

FAULTS = Catalogue()


@FAULTS.of(3)
def slow_disk(act: Act) -> bool:
    """What one member's disk is asked for takes long, for a while."""
    name, world = act.member(), act.world
    edges = world.members[name].edges
    if edges is None:
        return False
    slowest, seconds = act.rng.uniform(0.02, 0.5), act.rng.uniform(0.5, 4.0)
    edges.sync = (0.01, slowest)
    act.note(f"{name}, up to {slowest * 1000:.0f} ms for {seconds:.2f} s")
    act.until(seconds, setattr, edges, "sync", world.sync)
    return True


@FAULTS.of(2)
def stalled_disk(act: Act) -> bool:
    """Nothing that one member's disk is asked for ends, for a while; then all of it."""
    name = act.member()
    edges = act.world.members[name].edges
    if edges is None:
        return False
    seconds = act.rng.uniform(0.1, 3.0)
    edges.stall(seconds)
    act.note(f"{name} for {seconds:.2f} s")
    act.until(seconds, edges.go_on)
    return True


@FAULTS.of(3)
def full_disk(act: Act) -> bool:
    """No more room on one disk, or hardly any, for a while."""
    name = act.member()
    disk = act.world.members[name].disk
    seconds = act.rng.uniform(0.5, 6.0)
    room = act.rng.choice((0, 0, 1 << 12, 1 << 15))
    disk.capacity = disk.used() + room
    act.note(f"{name} for {seconds:.2f} s, {room} bytes left")
    act.until(seconds, setattr, disk, "capacity", None)
    return True


@FAULTS.of(2)
def failed_sync(act: Act) -> bool:
    """The next sync of one disk fails: its process must end itself."""
    name, world = act.member(), act.world
    if world.members[name].node is None:
        return False
    disk, seconds = world.members[name].disk, act.rng.uniform(0.5, 2.0)
    _expect_failure(world)
    disk.fail_next_sync = True
    act.note(name)
    act.until(seconds, setattr, disk, "fail_next_sync", False)
    come_back(act, name, seconds)
    return True


def _expect_failure(world: World) -> None:
    reasons = ("cannot be synced", "Input/output error")
    world.expected_stops = (*world.expected_stops, *reasons)


@FAULTS.of(1)
def wipe(act: Act) -> bool:
    """One member loses its data folder and comes back as a learner."""
    name, world = act.member(), act.world
    if not majority_stays(world, name):
        return False
    world.wipe(name)
    act.note(name)
    come_back(act, name, act.rng.uniform(0.05, 1.5))
    return True


def majority_stays(world: World, victim: str) -> bool:
    """Whether a majority of whole data folders remains when this one is lost for good."""
    whole = [m for m in world.members.values() if m.start_as != "join" and not m.damaged]
    return len([m for m in whole if m.name != victim]) * 2 > len(world.members)
