"""Hypothesis without a time limit for one example: a busy computer is no wrong machine."""

from hypothesis import settings

settings.register_profile("raftcoord", deadline=None)
settings.load_profile("raftcoord")
