"""The judges in a real simulated world: silent where the product is whole, loud where it is broken.

The deliberate faults of `chaos.mutation` are many more; here is one for each judge that has to look
into a node.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from chaos.simulation.judges import assembly, bounds
from chaos.simulation.judges.bounds import Bounds
from chaos.simulation.judges.once import Once
from chaos.simulation.observer import OBSERVED, Observer
from chaos.simulation.outcome import Outcome
from chaos.simulation.profiles import PROFILES, Profile, replace
from chaos.simulation.simulate import simulate
from raftcoord.consensus import electing, journal, reads, replicating, replication
from raftcoord.consensus.clock import ClusterClock
from raftcoord.consensus.core import Core
from raftcoord.consensus.messages import AppendAnswer, Vote
from raftcoord.machine import answers, sessions
from raftcoord.machine.answers import Answers
from raftcoord.machine.grants import Grants
from raftcoord.machine.transaction_records import Transaction
from raftcoord.server.waits import AcquireWaits
from tests.chaos.judged import broken

THREE = replace(PROFILES["three"], seconds=8.0, http_every=0)
CUTS = replace(THREE, load=80.0, pause=0.5, faults={"isolate_leader": 4, "split": 2})


def play(seed: int, profile: Profile = THREE, **more: Any) -> Outcome:
    """One run."""
    return simulate(seed, profile, **more)


def test_a_whole_product_breaks_no_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Observer] = []
    whole = assembly.all_judges

    def kept() -> tuple[Observer, ...]:
        made.extend(whole())
        return tuple(made)

    monkeypatch.setattr("chaos.simulation.simulate.all_judges", kept)
    assert play(3).broken is None
    seen = next(item for item in made if isinstance(item, Once)).counts()
    assert seen["requests"] > 50, "the judges saw hardly anything"
    most = next(item for item in made if isinstance(item, Bounds)).most
    assert most["submissions"] > 0
    assert most["tasks"] > 0


def early(kind: type) -> Callable[[pytest.MonkeyPatch], None]:
    """Send messages of a kind before what they rest on is durable."""
    durable = Core.send_durable

    def send(core: Core, node: Any, message: Any) -> None:
        (core.send if isinstance(message, kind) else partial(durable, core))(node, message)

    return lambda patch: patch.setattr(Core, "send_durable", send)


def count_unsynced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        journal.Journal,
        "synced_index",
        property(lambda log: log[-1][1], lambda log, index: None),
        raising=False,
    )


def count_a_minority(patch: pytest.MonkeyPatch) -> None:
    def committed(**known: Any) -> int:
        commit, term = int(known["commit"]), known["term"]
        index = max(known["match"].values(), default=0)
        return index if index > commit and known["term_at"](index) == term else commit

    patch.setattr(replication, "committed_index", committed)


def lead_without_a_majority(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(electing, "is_quorum", lambda ids, voters: True)


def keep_leading(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(replicating.Replicating, "hears_quorum", lambda raft: True)


def read_at_once(patch: pytest.MonkeyPatch) -> None:
    def read(raft: Any, done: Callable[[int], None]) -> None:
        done(raft.applied)

    patch.setattr("raftcoord.consensus.serving.Serving.read", read)


def read_without_a_round(patch: pytest.MonkeyPatch) -> None:
    serve = reads.ReadRounds.serve
    patch.setattr(
        reads.ReadRounds,
        "serve",
        lambda rounds, echoed, quorum, me: serve(rounds, echoed, bool, me),
    )


def repeat_a_token(patch: pytest.MonkeyPatch) -> None:
    give = Grants.give

    def again(grants: Any, *known: Any, **named: Any) -> Any:
        reply = give(grants, *known, **named)
        if reply.token % 5 == 0:
            grants._ledger.set(grants._ledger.counters, "token", reply.token - 1)
        return reply

    patch.setattr(Grants, "give", again)


def keep_locks_of_the_dead(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sessions, "ENDING", ("wait", "transaction", "member"))


def end_early(patch: pytest.MonkeyPatch) -> None:
    def live(table: Any, number: int) -> Any:
        session = table.table.get(number)
        over = session is None or session.expires - 1_500 <= table._ledger.clock
        return None if over else session

    patch.setattr(sessions.Sessions, "live", live)


def leap_at_a_failover(patch: pytest.MonkeyPatch) -> None:
    start = ClusterClock.start
    patch.setattr(ClusterClock, "start", lambda clock, at, now: start(clock, at + 2_000, now))


def commit_without_a_vote(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Transaction, "missing", lambda record: [])


def run_twice(patch: pytest.MonkeyPatch) -> None:
    begin = Answers.begin

    def forgetful(table: Any, envelope: Any) -> Any:
        known = begin(table, envelope)
        return known if isinstance(known, answers.Stale) else None

    patch.setattr(Answers, "begin", forgetful)


def leak(patch: pytest.MonkeyPatch) -> None:
    finish = AcquireWaits.finish

    def kept(waits: Any, wait: Any, ended: Any) -> None:
        finish(waits, wait, ended)
        waits._waits.setdefault(-wait.seq, wait)

    patch.setattr(AcquireWaits, "finish", kept)


FORGETFUL = replace(THREE, load=80.0, pause=0.4, faults={"kill_leader": 3, "isolate_leader": 2})

BROKEN: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], Profile, tuple[str, ...]]] = {
    "acknowledge before the sync": (early(AppendAnswer), THREE, ("durability",)),
    "vote before the sync": (early(Vote), THREE, ("election safety",)),
    "count what is not synced": (count_unsynced, THREE, ("durability",)),
    "count a minority": (count_a_minority, THREE, ("durability",)),
    "lead without a majority": (lead_without_a_majority, THREE, ("election safety",)),
    "keep leading": (keep_leading, CUTS, ("liveness",)),
    "read at once": (read_at_once, THREE, ("reads",)),
    "read without a round": (read_without_a_round, CUTS, ("reads",)),
    "repeat a token": (repeat_a_token, THREE, ("tokens",)),
    "keep locks of the dead": (keep_locks_of_the_dead, THREE, ("one holder",)),
    "end sessions early": (end_early, THREE, ("leases",)),
    "leap at a failover": (leap_at_a_failover, FORGETFUL, ("leases",)),
    "commit without a vote": (commit_without_a_vote, THREE, ("decisions",)),
    "run twice": (run_twice, FORGETFUL, ("applied once",)),
    "leak": (leak, THREE, ("bounds",)),
}
"""What is done to the product, in what kind of world, and who may find it."""


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_product_is_found(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    do, profile, judges = BROKEN[what]
    do(monkeypatch)
    for seed in range(1, 7):
        broken = play(seed, profile).broken
        if broken is not None:
            assert broken.judge in judges, broken.text
            return
    raise AssertionError("nobody noticed in six seeds")


def test_a_larger_load_may_hold_more(monkeypatch: pytest.MonkeyPatch) -> None:
    held = bounds.LIMITS["answers"] * 5
    monkeypatch.setattr(bounds, "sizes_of", lambda world: {"n1": {"answers": held}})
    crowd, usual = Bounds(), Bounds()
    crowd.began(SimpleNamespace(profile=replace(THREE, clients=60)))
    crowd.looked(1.0, None)
    usual.began(SimpleNamespace(profile=THREE))
    with broken("bounds", "n1 has 5000 answers, and may have 1000"):
        usual.looked(1.0, None)


def test_a_table_that_grows_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bounds.LIMITS, "timers", 2)
    broken = play(1).broken
    assert broken is not None
    assert broken.judge == "bounds"
    assert "timers, and may have 2" in broken.text


def test_the_judges_take_a_quarter_of_a_run_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    spent = Counter[str]()
    whole = assembly.all_judges

    def timed(judge: Observer) -> Observer:
        for name in OBSERVED:
            if getattr(type(judge), name) is not getattr(Observer, name):
                setattr(judge, name, _clocked(getattr(judge, name), spent))
        return judge

    monkeypatch.setattr("chaos.simulation.simulate.all_judges", lambda: tuple(map(timed, whole())))
    began = time.perf_counter()
    assert play(5).broken is None
    assert spent["judges"] < 0.25 * (time.perf_counter() - began)


def _clocked(method: Callable[..., None], spent: Counter[str]) -> Callable[..., None]:
    def clocked(*arguments: Any, **named: Any) -> None:
        began = time.perf_counter()
        try:
            method(*arguments, **named)
        finally:
            spent["judges"] += time.perf_counter() - began  # type: ignore[assignment]

    return clocked
