"""Observers as the world tells them: what one raises ends the run, and touches nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chaos.simulation.observer import OBSERVED, Observer
from chaos.simulation.violation import Violation


class Guard(Observer):
    """Stands before all observers of a world, who are told one after the other.

    They are called from the midst of the product, which has a way of its own with exceptions:
    none of an observer's gets there.

    Args:
        fail: told of a violation. bug: told of anything else that an observer raised.
    """

    def __init__(
        self,
        observers: Sequence[Observer],
        fail: Callable[[Violation], None],
        bug: Callable[[BaseException], None],
    ) -> None:
        for name in OBSERVED:
            heard = tuple(
                getattr(item, name)
                for item in observers
                if getattr(type(item), name) is not getattr(Observer, name)
            )
            if heard:
                setattr(self, name, _guarded(heard, fail, bug))


def _guarded(
    methods: tuple[Callable[..., None], ...],
    fail: Callable[[Violation], None],
    bug: Callable[[BaseException], None],
) -> Callable[..., None]:
    def guarded(*arguments: Any) -> None:
        for tell in methods:
            try:
                tell(*arguments)
            except Violation as violation:
                fail(violation)
            except Exception as error:  # noqa: BLE001 - it is raised where the run ends
                bug(error)

    return guarded
