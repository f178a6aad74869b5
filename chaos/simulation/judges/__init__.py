"""What must hold in every run, checked while it runs, by looking into the simulated nodes.

Each judge keeps books of its own of what it saw (`chaos.simulation.observer`), and compares.
"""

from chaos.simulation.judges.callers import Judges, Violation

__all__ = ["Judges", "Violation"]
