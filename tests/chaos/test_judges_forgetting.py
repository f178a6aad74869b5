"""The judge of what is forgotten."""

from __future__ import annotations

import pytest

from chaos.simulation.profiles import PROFILES, replace
from chaos.simulation.simulate import simulate
from raftcoord.commands import (
    AcknowledgeTransaction,
    AdvanceClock,
    BeginTransaction,
    CommitTransaction,
    VoteTransaction,
)
from raftcoord.machine.events import Event
from raftcoord.machine.transactions import Transactions
from tests.chaos.judged import Log, broken, with_events

FORGOTTEN = Event("transaction.forgotten", "1", None)


@pytest.fixture
def log() -> Log:
    """A log with transaction 1, committed and not acknowledged."""
    log = Log()
    log.apply(BeginTransaction(("a",), 10_000, "on_request"))
    log.apply(VoteTransaction(1, {"a": "commit"}))
    log.apply(CommitTransaction(1))
    return log


def test_a_commit_that_somebody_may_still_ask_for(log: Log) -> None:
    with broken("decisions", "entry 4 forgets transaction 1, which a did not acknowledge"):
        log.apply(AdvanceClock(1), seq=0, twist=lambda it: with_events(it, FORGOTTEN))


def test_one_that_is_forgotten_too_early(log: Log) -> None:
    log.apply(AcknowledgeTransaction(1, "a"))
    with broken("decisions", "entry 5 forgets transaction 1 .* ms before its time"):
        log.apply(AdvanceClock(1), after=500, seq=0, twist=lambda it: with_events(it, FORGOTTEN))


def test_a_world_that_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = []
    expire = Transactions.expire

    def seen(self: Transactions, number: int) -> None:
        gone.append(self.table.rows[number].decision)
        expire(self, number)

    monkeypatch.setattr(Transactions, "expire", seen)
    sizes = {"retention": 1_000, "in_flight": 100}
    profile = replace(
        PROFILES["three"], seconds=6.0, workloads=("transactions",), sizes=sizes, http_every=0
    )
    assert simulate(2, profile).broken is None
    assert {"commit", "abort"} <= set(gone)
