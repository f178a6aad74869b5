"""The faults of the simulated world, by name.

A fault is a function of an `Act` (the world, and a generator of its own step) that draws its
victims, does its work, leaves behind when that ends, and says whether it applied.
"""

from chaos.simulation.faults import clocks, disks, links, operations, processes
from chaos.simulation.faults.act import Act, Catalogue, Fault
from chaos.simulation.faults.old import ALL, Trouble, kill, power_cut_of_all

FAULTS: dict[str, Fault] = {
    **processes.FAULTS,
    **links.FAULTS,
    **disks.FAULTS,
    **clocks.FAULTS,
    **operations.FAULTS,
}
"""All of them, in the order in which they are drawn from."""

__all__ = ["ALL", "FAULTS", "Act", "Catalogue", "Fault", "Trouble", "kill", "power_cut_of_all"]
