"""Faults: what is done to the nodes, when, and how it is undone."""
