"""Figures, measured beside peers in the same run. Imports nothing (see cluster)."""
