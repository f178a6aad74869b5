"""Commands without an answer end in time, by one timer for all of them."""

import asyncio
from typing import Any

import pytest

from raftcoord.commands import OpenSession
from raftcoord.errors import OutcomeUnknown
from raftcoord.machine.state import Machine
from raftcoord.server.submissions import Ended, Submissions
from tests.server.fakes import FakeNode
from tests.server.house import in_loop, until

COMMAND = OpenSession(2_000)


def silent() -> Submissions:
    """Submissions that no outcome comes for."""
    node = FakeNode(Machine())
    node.hold()
    return Submissions(node, "n1", 1, 10_000)


@in_loop
async def test_each_ends_at_its_time_in_whatever_order_they_came() -> None:
    open_ones, loop = silent(), asyncio.get_running_loop()
    began, told = loop.time(), []
    for timeout in (0.09, 0.03, 30.0, 0.06, 0.03, 0.001):

        def tell(ended: Ended, timeout: float = timeout) -> None:
            told.append((timeout, loop.time() - began >= timeout - 0.002))

        open_ones.prepare(COMMAND, tell, timeout).propose()
    await until(lambda: len(told) == 5)
    assert told == [(timeout, True) for timeout in (0.001, 0.03, 0.03, 0.06, 0.09)]
    assert loop.time() - began < 5
    assert len(open_ones) == 1
    open_ones.close(OutcomeUnknown("closed"))


@in_loop
async def test_one_that_fails_on_its_end_does_not_keep_the_others_from_theirs() -> None:
    open_ones, loop = silent(), asyncio.get_running_loop()
    told: list[Ended] = []
    failures: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: failures.append(context))

    def fail(ended: Ended) -> None:
        raise RuntimeError("a caller's fault")

    for tell in (told.append, fail, told.append):
        open_ones.prepare(COMMAND, tell, 0.01).propose()
    open_ones.prepare(COMMAND, told.append, 0.02).propose()
    await until(lambda: len(told) == 3)
    assert [str(context["exception"]) for context in failures] == ["a caller's fault"]


@in_loop
async def test_what_came_of_an_end_has_its_time_too() -> None:
    open_ones = silent()
    told: list[Ended] = []

    def again(ended: Ended) -> None:
        told.append(ended)
        open_ones.prepare(COMMAND, told.append, 0.01).propose()

    open_ones.prepare(COMMAND, again, 0.01).propose()
    await until(lambda: len(told) == 2)
    assert len(open_ones) == 0


@in_loop
async def test_a_thousand_have_one_timer_and_leave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    open_ones, loop = silent(), asyncio.get_running_loop()
    armed: list[float] = []
    call_at = loop.call_at

    def counted(when: float, *rest: Any, **more: Any) -> asyncio.TimerHandle:
        armed.append(when)
        return call_at(when, *rest, **more)

    monkeypatch.setattr(loop, "call_at", counted)
    kept = open_ones.prepare(COMMAND, lambda ended: None, 5.0)
    for _ in range(1_000):
        open_ones.end(open_ones.prepare(COMMAND, lambda ended: None, 5.0), OutcomeUnknown("done"))
    assert len(armed) == 1
    open_ones.end(kept, OutcomeUnknown("done"))
    open_ones.prepare(COMMAND, lambda ended: None, 5.0)
    (lane,) = open_ones._deadlines._lanes.values()
    assert len(lane) == 1
    open_ones.close(OutcomeUnknown("closed"))
    assert open_ones._deadlines._timer is None
