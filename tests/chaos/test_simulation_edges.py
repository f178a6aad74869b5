"""A simulated run looks at no real clock, and draws no real chance."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from chaos.simulation.profiles import PROFILES, replace
from chaos.simulation.simulate import simulate

REAL = (
    *((time, name) for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter")),
    (os, "urandom"),
    *((random, name) for name in ("random", "randint", "uniform", "choice", "getrandbits")),
)
OURS = frozenset(("chaos.simulation.simulate",))
"""Says how long a run took."""


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """Module and function of each look at something real."""
    seen: set[tuple[str, str]] = set()

    def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def look(*arguments: Any) -> Any:
            seen.add((sys._getframe(1).f_globals["__name__"], name))
            return real(*arguments)

        return look

    for module, name in REAL:
        monkeypatch.setattr(module, name, watched(name, getattr(module, name)))
    return seen


@pytest.mark.parametrize("seed", [20, 21], ids=["desk", "http"])
def test_nothing_real_is_looked_at(seed: int, looked: set[tuple[str, str]]) -> None:
    outcome = simulate(seed, replace(PROFILES["three"], seconds=6.0))
    assert outcome.broken is None
    assert outcome.http == (seed == 21)
    assert {module for module, _ in looked} == OURS
