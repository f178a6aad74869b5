"""Disks that are slow, full, or fail."""

from __future__ import annotations

from chaos.simulation.faults.act import Act, Catalogue
from chaos.simulation.faults.processes import come_back

FAULTS = Catalogue()

_SETTLED = 1.0
"""Seconds in which what failed on a disk reaches the process."""


@FAULTS.of(3)
def slow_disk(act: Act) -> bool:
    """What one member's disk is asked for takes long, for a while."""
    name, world = act.member(), act.world
    edges = world.hosts[name].edges
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
    edges = act.world.hosts[name].edges
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
    disk = act.world.hosts[name].disk
    seconds = act.rng.uniform(0.5, 6.0)
    room = act.rng.choice((0, 0, 1 << 12, 1 << 15))
    disk.capacity = disk.used() + room
    act.note(f"{name} for {seconds:.2f} s, {room} bytes left")
    act.until(seconds, setattr, disk, "capacity", None)
    return True


@FAULTS.of(1)
def full_disk_of_leader(act: Act) -> bool:
    """No more room where all is written first, for so long that another has to lead."""
    name = act.world.leader()
    if name is None:
        return False
    disk, seconds = act.world.hosts[name].disk, act.rng.uniform(4.0, 8.0)
    disk.capacity = disk.used()
    act.note(f"{name} for {seconds:.2f} s")
    act.until(seconds, setattr, disk, "capacity", None)
    return True


@FAULTS.of(2)
def full_disk_of_majority(act: Act) -> bool:
    """No more room on most disks: nothing is committed, and the leader leads all the same."""
    names = sorted(act.world.members)
    full = act.rng.sample(names, len(names) // 2 + 1)
    seconds = act.rng.uniform(1.0, 6.0)
    for name in full:
        disk = act.world.hosts[name].disk
        disk.capacity = disk.used()
        act.until(seconds, setattr, disk, "capacity", None)
    act.note(f"{' '.join(full)} for {seconds:.2f} s")
    return True


@FAULTS.of(2)
def failed_sync(act: Act) -> bool:
    """The next sync of one disk fails: its process must end itself, or do without the file."""
    name, world = act.member(), act.world
    if world.hosts[name].node is None:
        return False
    disk, seconds = world.hosts[name].disk, act.rng.uniform(0.5, 2.0)
    world.expect_stop(name, "Input/output error", seconds + _SETTLED)
    disk.fail_next_sync = True
    act.note(name)
    act.until(seconds, setattr, disk, "fail_next_sync", False)
    come_back(act, name, seconds + 0.1)
    return True


@FAULTS.of(2)
def failed_write(act: Act) -> bool:
    """The next write to one disk fails half done: the same."""
    return _fails(act, "write")


@FAULTS.of(2)
def failed_folder(act: Act) -> bool:
    """The next change of one disk's folders, or their next sync, fails: the same."""
    return _fails(act, act.rng.choice(("sync_dir", "create", "rename", "remove")))


def _fails(act: Act, operation: str) -> bool:
    name, world = act.member(), act.world
    if world.hosts[name].node is None:
        return False
    disk, seconds = world.hosts[name].disk, act.rng.uniform(0.5, 4.0)
    world.expect_stop(name, "Input/output error", seconds + _SETTLED)
    disk.fail_next = operation
    act.note(f"{name}, {operation}")
    act.until(seconds, setattr, disk, "fail_next", None)
    come_back(act, name, seconds + 0.1)
    return True


@FAULTS.of(2)
def failing_reads(act: Act) -> bool:
    """Some reads of one disk fail: while its process runs, or when it starts again."""
    name, world, rng = act.member(), act.world, act.rng
    disk, seconds = world.hosts[name].disk, rng.uniform(0.5, 2.0)
    world.expect_stop(name, "Input/output error", seconds + _SETTLED)
    if rng.random() < 0.7:
        world.kill(name)
        come_back(act, name, rng.uniform(0.05, 0.3))
    disk.failing_reads = rng.choice((1, 1, 3, 20))
    act.note(f"{name}, {disk.failing_reads}")
    act.until(seconds, setattr, disk, "failing_reads", 0)
    come_back(act, name, seconds + 0.1)
    return True
