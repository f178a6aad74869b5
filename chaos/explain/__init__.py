"""The story of a seed: the shortest run that breaks the rule, as a diagram of who said what when.

explain(seed, profile, out, say) → plays it, makes its schedule shorter (`shrinking`), plays
what is left once more before a `recording`, and writes a `page`: the rule, the faults that
are needed, and the last two seconds in full (`diagram`).
"""

from chaos.explain.telling import explain

__all__ = ["explain"]
