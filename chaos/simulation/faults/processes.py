"""Processes that are killed, lose their power, or stand still, and come back."""

from __future__ import annotations

from functools import partial

from chaos.simulation.disk import Killed, Moment
from chaos.simulation.faults.act import Act, Catalogue

FAULTS = Catalogue()

_AT_ONCE = 0.5
_TOLD = 0.6
"""The share of restarts in turn that are asked for politely."""
_SOON = 20
"""Disk operations within which a process that is to die while it writes does so."""


def come_back(act: Act, name: str, seconds: float) -> None:
    """Start the member then, unless something else did."""
    act.until(seconds, act.world.start_again, name)


def strike(act: Act, name: str, *, power: bool, down: float | None = None) -> bool:
    """Kill a process, or cut its power, now or in the middle of what it does to its disk next.

    It comes back after `down` seconds, by default a short while.
    """
    world, rng = act.world, act.rng
    if not world.loop.is_alive(name):
        return False
    down = rng.uniform(0.05, 1.5) if down is None else down
    if rng.random() < _AT_ONCE:
        world.kill(name, power=power)
        act.note(name)
        come_back(act, name, down)
        return True
    arm(act, name, rng.randint(1, _SOON), power=power, down=down)
    return True


def arm(act: Act, name: str, operations: int, *, power: bool, down: float) -> None:
    """Let the process die at one moment of so many operations of its disk from now."""
    world = act.world
    disk = world.hosts[name].disk
    moment: Moment = act.rng.choice(("before", "middle", "after"))
    due, life = disk.operations + operations, disk.life

    def hook(number: int, operation: str, path: str, now: Moment) -> None:
        # Only a write has a middle.
        wanted = "before" if moment == "middle" and operation != "write" else moment
        if number < due or now != wanted:
            return
        act.note(f"{name}, {now} {operation} of {path}")
        world.kill(name, power=power)
        come_back(act, name, down)
        raise Killed(f"{now} {operation} of {path}")

    def disarm() -> None:
        if disk.life == life:
            disk.hook = None

    disk.hook = hook
    act.until(2.0, disarm)


@FAULTS.of(4)
def kill(act: Act) -> bool:
    """SIGKILL of one member."""
    return strike(act, act.member(), power=False)


@FAULTS.of(3)
def kill_leader(act: Act) -> bool:
    """SIGKILL of the leader."""
    leader = act.world.leader()
    return leader is not None and strike(act, leader, power=False)


@FAULTS.of(1)
def kill_all(act: Act) -> bool:
    """SIGKILL of all members."""
    return _strike_many(act, len(act.world.members), power=False)


@FAULTS.of(2)
def kill_for_long(act: Act) -> bool:
    """SIGKILL; it comes back with old data, when the others may have forgotten what follows."""
    return strike(act, act.member(), power=False, down=act.rng.uniform(3.0, 10.0))


@FAULTS.of(2)
def kill_at_start(act: Act) -> bool:
    """SIGKILL, and again while it starts, perhaps several times."""
    world, name = act.world, act.member()
    if not world.loop.is_alive(name):
        return False
    power = act.rng.random() < 0.3
    world.kill(name, power=power)
    act.note(name)

    def start(left: int) -> None:
        if world.loop.is_alive(name) or name not in world.members:
            return
        if left:
            arm(act, name, act.rng.randint(1, 12), power=power, down=0.01)
            act.after(act.rng.uniform(0.1, 0.5), start, left - 1)
        world.start(name)

    act.after(act.rng.uniform(0.01, 0.5), start, act.rng.randint(1, 3))
    come_back(act, name, 2.0)
    return True


@FAULTS.of(4)
def power_cut(act: Act) -> bool:
    """One machine loses its power, and what it had not synced."""
    return strike(act, act.member(), power=True)


@FAULTS.of(2)
def power_cut_of_majority(act: Act) -> bool:
    """Most machines at once."""
    return _strike_many(act, len(act.world.members) // 2 + 1, power=True)


@FAULTS.of(2)
def power_cut_of_all(act: Act) -> bool:
    """The whole room."""
    return _strike_many(act, len(act.world.members), power=True)


def _strike_many(act: Act, count: int, *, power: bool) -> bool:
    names = act.rng.sample(sorted(act.world.members), count)
    struck = [name for name in names if act.world.loop.is_alive(name)]
    for name in struck:
        act.world.kill(name, power=power)
        come_back(act, name, act.rng.uniform(0.05, 1.5))
    act.note(" ".join(struck))
    return len(struck) > 1


@FAULTS.of(3)
def stop(act: Act) -> bool:
    """SIGTERM of one member, and a start when it has ended."""
    return _tell_to_stop(act, act.running())


@FAULTS.of(2)
def stop_leader(act: Act) -> bool:
    """SIGTERM of the leader."""
    return _tell_to_stop(act, act.world.leader())


def _tell_to_stop(act: Act, name: str | None) -> bool:
    if name is None or name not in act.world.alive():
        return False
    down = act.rng.uniform(0.05, 1.0)
    if not act.world.stop(name, partial(come_back, act, name, down)):
        return False
    act.note(name)
    return True


@FAULTS.of(4)
def pause(act: Act) -> bool:
    """SIGSTOP, and SIGCONT a while later."""
    return _pause(act, act.running(), act.rng.uniform(0.05, 3.0))


@FAULTS.of(3)
def pause_leader(act: Act) -> bool:
    """SIGSTOP of the leader: it still believes that it leads when it goes on."""
    return _pause(act, act.world.leader(), act.rng.uniform(0.3, 4.0))


@FAULTS.of(1)
def pause_for_long(act: Act) -> bool:
    """Longer than leases, patience and most cuts last."""
    return _pause(act, act.running(), act.rng.uniform(5.0, 15.0))


def _pause(act: Act, name: str | None, seconds: float) -> bool:
    world = act.world
    if name is None or name not in world.alive():
        return False
    life = world.hosts[name].life
    world.pause(name)
    act.note(f"{name} for {seconds:.2f} s")

    def go_on() -> None:
        if world.hosts[name].life == life:
            world.resume(name)

    act.until(seconds, go_on)
    return True


@FAULTS.of(1)
def rolling_restart(act: Act) -> bool:
    """All members one by one, each when the one before is back: told to stop, or killed."""
    world = act.world
    names = act.rng.sample(sorted(world.members), len(world.members))
    pause = act.rng.uniform(0.3, 1.5)
    told = act.rng.random() < _TOLD
    act.note(" ".join(names))

    def turn(left: list[str]) -> None:
        if len(world.alive()) < len(world.members):
            act.after(0.1, turn, left)
            return
        if left[0] in world.members:
            down = act.rng.uniform(0.01, 0.3)
            if not told or not world.stop(left[0], partial(come_back, act, left[0], down)):
                world.kill(left[0])
                come_back(act, left[0], down)
        if left[1:]:
            act.after(pause, turn, left[1:])

    turn(names)
    return True
