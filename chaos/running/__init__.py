"""A run against real processes: the cluster, its clients, the faults, and what came of it."""
