"""Clocks that run a little fast or slow, or leap."""

from __future__ import annotations

from chaos.simulation.faults.act import Act, Catalogue

FAULTS = Catalogue()

HONEST = 0.01
"""The rate error that the product's promises about time allow."""


@FAULTS.of(2)
def drift(act: Act) -> bool:
    """One member's clock runs at another rate from now on, within what is promised."""
    return _run_at(act, 1.0 + act.rng.uniform(-HONEST, HONEST))


def _run_at(act: Act, rate: float) -> bool:
    name = act.member()
    edges = act.world.members[name].edges
    if edges is None:
        return False
    edges.run_clock_at(rate)
    act.note(f"{name} at {rate:.4f}")
    return True
