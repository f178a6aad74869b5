"""The faults of the simulated world, by name.

A fault is a function of an `Act` (the world, and a generator of its own step) that draws its
victims, does its work, leaves behind when that ends, and says whether it applied.
"""

from chaos.simulation.faults import (
    changes,
    clocks,
    damage,
    disks,
    intruders,
    links,
    operations,
    processes,
    strangers,
    tails,
)
from chaos.simulation.faults.act import Act, Catalogue, Fault

FAULTS: dict[str, Fault] = {
    **processes.FAULTS,
    **links.FAULTS,
    **strangers.FAULTS,
    **intruders.FAULTS,
    **disks.FAULTS,
    **damage.FAULTS,
    **tails.FAULTS,
    **clocks.FAULTS,
    **operations.FAULTS,
    **changes.FAULTS,
}
"""All of them, in the order in which they are drawn from."""

__all__ = ["FAULTS", "Act", "Catalogue", "Fault"]
