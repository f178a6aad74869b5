"""Clocks that run a little fast or slow, or leap."""

from __future__ import annotations

from chaos.simulation.edges import SimEdges
from chaos.simulation.faults.act import Act, Catalogue

FAULTS = Catalogue()

HONEST = 0.01
"""The rate error that the product's promises about time allow."""


@FAULTS.of(3)
def drift(act: Act) -> bool:
    """One member's clock runs at another rate from now on, within what is promised."""
    return _run_at(act, 1.0 + act.rng.uniform(-HONEST, HONEST)) is not None


@FAULTS.rare(3)
def wild_clock(act: Act) -> bool:
    """One member's clock runs at half to twice the rate for a while."""
    edges = _run_at(act, act.rng.choice((0.5, 0.8, 1.25, 2.0)) * act.rng.uniform(0.95, 1.05))
    if edges is None:
        return False
    act.world.clocks_honest = False
    act.until(act.rng.uniform(0.5, 8.0), edges.run_clock_at, 1.0)
    return True


@FAULTS.rare(3)
def leap(act: Act) -> bool:
    """One member's clock leaps forward, as after its virtual machine stood still for others."""
    name = act.member()
    edges = act.world.hosts[name].edges
    if edges is None:
        return False
    act.world.clocks_honest = False
    seconds = act.rng.choice((0.1, 1.0, 10.0, 3600.0)) * act.rng.uniform(0.5, 1.5)
    edges.jump_clock(seconds)
    act.note(f"{name} by {seconds:.2f} s")
    return True


@FAULTS.rare(2)
def suspend(act: Act) -> bool:
    """One machine is suspended, and its clock with it; it does not know of it when it goes on."""
    world, name = act.world, act.running()
    edges = None if name is None else world.hosts[name].edges
    if name is None or edges is None:
        return False
    world.clocks_honest = False
    life, rate, seconds = world.hosts[name].life, edges.rate, act.rng.uniform(0.2, 8.0)
    world.pause(name)
    edges.run_clock_at(0.0)
    act.note(f"{name} for {seconds:.2f} s")

    def go_on() -> None:
        edges.run_clock_at(rate)
        if world.hosts[name].life == life:
            world.resume(name)

    act.until(seconds, go_on)
    return True


def _run_at(act: Act, rate: float) -> SimEdges | None:
    name = act.member()
    edges = act.world.hosts[name].edges
    if edges is not None:
        edges.run_clock_at(rate)
        act.note(f"{name} at {rate:.4f}")
    return edges
