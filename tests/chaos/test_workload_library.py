"""The client's own retries, as a load: what it asks when it hears nothing."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from chaos.history import Operation, Outcome
from chaos.workloads.agent import drive
from chaos.workloads.library import AgentPeer, Library, LoadOver
from raftcoord.errors import LockHeld, NotReady, OutcomeUnknown
from raftcoord.simple.retries import LockRetries, TransactionRetries

End = tuple[Outcome, int | None, str | None]
OK: End
UNKNOWN: End
NEVER: End
HELD: End
OK, UNKNOWN, NEVER, HELD = (
    ("ok", 200, None),
    ("unknown", None, None),
    ("never-sent", None, None),
    ("refused", 409, "lock-held"),
)


class Scripted:
    """A caller whose requests end as they are told to. `stops`: its pauses are cut short."""

    def __init__(self, *ends: End, stops: bool = False) -> None:
        self.random = Random(1)
        self.asked: list[tuple[str, Any]] = []
        self._ends = list(ends)
        self._clock = 0.0
        self._stops = stops

    async def ask(self, kind: str, **arguments: Any) -> Operation:
        self.asked.append((kind, arguments.get("value", arguments.get("prepared"))))
        self._clock += 0.001
        outcome, status, slug = self._ends.pop(0) if self._ends else OK
        return Operation(
            "1",
            "c",
            "n1",
            kind,
            arguments,
            0,
            1,
            outcome,
            status,
            slug,
            1,
            {},
            None,
        )

    async def pause(self, seconds: float) -> None:
        self._clock += 0.0 if self._stops else seconds

    def seconds(self) -> float:
        return self._clock

    def unique(self, word: str) -> str:
        return f"{word}{len(self.asked)}"

    def chance(self, share: float) -> bool:
        return share >= 0.5

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.asked]


def lock(caller: Any) -> LockRetries:
    return LockRetries(AgentPeer(caller), "k", "mine", 3.0)


def test_a_lock_that_may_have_been_taken_is_given_back_first() -> None:
    caller = Scripted(UNKNOWN, UNKNOWN, OK, HELD, OK)
    drive(lock(caller).acquire(1.0))
    assert caller.kinds == [
        "simple.lock",
        "simple.unlock",
        "simple.unlock",
        "simple.lock",
        "simple.lock",
    ]


def test_a_prepare_that_may_have_been_done_is_undone_and_has_another_value() -> None:
    caller: Any = Scripted(UNKNOWN, OK, OK)
    value = drive(TransactionRetries(AgentPeer(caller), "k", 3.0).prepare(1.0))
    assert caller.asked == [
        ("simple.prepare", "v0"),
        ("simple.rollback", "v0"),
        ("simple.prepare", "v2"),
    ]
    assert value == "v2"


def test_answers_are_the_errors_that_they_name() -> None:
    for end, error in ((UNKNOWN, OutcomeUnknown), (NEVER, NotReady), (HELD, LockHeld)):
        caller: Any = Scripted(end)
        with pytest.raises(error):
            drive(AgentPeer(caller).ask("GET", {"key": "k", "value": "v", "expire": "1"}, LockHeld))


def test_a_load_that_is_over_ends_a_client_that_would_rest() -> None:
    caller: Any = Scripted(*[HELD] * 5, stops=True)
    with pytest.raises(LoadOver):
        drive(lock(caller).acquire(1.0))
    drive(Library(Scripted(*[HELD] * 5, stops=True)).step())  # type: ignore[arg-type]


def test_a_step_is_a_lock_and_its_release() -> None:
    caller: Any = Scripted()
    drive(Library(caller).step())
    assert caller.kinds == ["simple.lock", "simple.unlock"]
