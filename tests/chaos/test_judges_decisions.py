"""The judges of decisions and of requests that come twice."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.simulation.judges.once import Once
from raftcoord.commands import (
    AcknowledgeTransaction,
    AcquireLock,
    BeginTransaction,
    CancelAcquire,
    CloseSession,
    CommitTransaction,
    Envelope,
    OpenSession,
    ReleaseLock,
    RollbackTransaction,
    SimpleCommit,
    SimplePrepare,
    SimpleRollback,
    TransactionAnswer,
    VoteTransaction,
    encode,
)
from raftcoord.machine.events import Event, SessionEvent, TransactionEvent
from raftcoord.machine.state import Applied
from tests.chaos.judged import Log, broken, with_events, with_reply


def begin(timeout: int = 5_000, **more: Any) -> BeginTransaction:
    """A transaction of a and b."""
    return BeginTransaction(("a", "b"), timeout, **more)


def vote(number: int, **votes: Any) -> VoteTransaction:
    """Votes."""
    return VoteTransaction(number, votes)


def decides(decision: str, reason: str | None = None, number: int = 1) -> Any:
    """A twist: the entry decides so."""
    state = "committed" if decision == "commit" else "aborted"
    event = Event("transaction.decided", str(number), TransactionEvent(state, decision, reason))
    answer: Any = TransactionAnswer(number, state, decision, reason)  # type: ignore[arg-type]
    return lambda it: Applied(answer, (event,), it.envelope)


@pytest.fixture
def log() -> Log:
    """A log with transaction 1 of a and b, which has 5 s."""
    log = Log()
    log.apply(begin())
    return log


# Decisions.


def test_decisions_by_the_rule_are_fine(log: Log) -> None:
    log.apply(vote(1, a="commit"))
    log.apply(CommitTransaction(1))
    log.apply(vote(1, b="commit"))
    log.apply(CommitTransaction(1))
    log.apply(CommitTransaction(1))
    log.apply(RollbackTransaction(1))
    log.apply(AcknowledgeTransaction(1, "a"))
    log.apply(AcknowledgeTransaction(1, "b"))
    log.apply(begin(decide="auto"))
    log.apply(vote(2, a="commit", b="commit"))
    log.apply(begin(decide="auto"))
    log.apply(vote(3, a="commit"))
    log.apply(vote(3, b="abort"))
    log.apply(vote(3, b="commit"))
    log.apply(begin(500))
    log.idle(600)
    log.apply(vote(4, a="commit"))
    log.apply(OpenSession(2_000))
    log.apply(begin(session=1))
    log.apply(begin(session=1))
    log.apply(RollbackTransaction(5))
    log.apply(CloseSession(1))
    log.apply(CommitTransaction(6))


def test_prepared_values_by_the_rule_are_fine(log: Log) -> None:
    log.apply(SimplePrepare("k", 900, "v"))
    log.apply(SimplePrepare("k", 900, "w"))
    log.apply(SimpleCommit("k", "v"))
    log.apply(SimpleRollback("k"))
    log.apply(SimplePrepare("k", 900, "w"))
    log.apply(SimpleRollback("k", "w"))
    log.apply(SimplePrepare("k", 900, "x"))
    log.idle(1_000)
    log.apply(SimpleCommit("k", "x"))


def test_a_commit_without_a_vote(log: Log) -> None:
    log.apply(vote(1, a="commit"))
    with broken("decisions", r"decides commit of transaction 1 \(None\): without the votes of b"):
        log.apply(CommitTransaction(1), twist=decides("commit"))


def test_a_commit_against_a_vote(log: Log) -> None:
    log.apply(begin(decide="auto"))
    log.apply(vote(2, a="commit"))
    with broken("decisions", "without the votes of b"):
        log.apply(vote(2, b="abort"), twist=decides("commit", None, 2))


def test_a_commit_that_nobody_asked_for(log: Log) -> None:
    log.apply(vote(1, a="commit"))
    with broken("decisions", "nobody asked for it"):
        log.apply(vote(1, b="commit"), twist=decides("commit"))


def test_a_commit_after_the_timeout(log: Log) -> None:
    log.apply(vote(1, a="commit", b="commit"))
    log.idle(5_000)
    with broken("decisions", "decides transaction 1 again: commit, after abort"):
        log.apply(CommitTransaction(1), twist=decides("commit"))


def test_a_commit_whose_session_is_gone(log: Log) -> None:
    log.apply(OpenSession(2_000))
    log.apply(begin(session=1))
    log.apply(vote(2, a="commit", b="commit"))
    ended = Event("session.ended", "1", SessionEvent("closed"))
    decided = Event("transaction.decided", "2", TransactionEvent("committed", "commit", None))
    with broken("decisions", "decides commit of transaction 2 .* or its session is"):
        log.apply(CloseSession(1), twist=lambda it: with_events(it, ended, decided))


def test_a_vote_after_the_timeout(log: Log) -> None:
    log.idle(5_000)
    answer = TransactionAnswer(1, "open", None, None)
    with broken("decisions", "takes a vote of transaction 1, which is over"):
        log.apply(vote(1, a="commit"), twist=lambda it: Applied(answer, (), it.envelope))


def test_a_vote_that_is_changed(log: Log) -> None:
    log.apply(vote(1, a="commit"))
    answer = TransactionAnswer(1, "open", None, None)
    with broken("decisions", "takes the vote abort of a .*, who voted otherwise"):
        log.apply(vote(1, a="abort"), twist=lambda it: with_reply(it, answer))


@pytest.mark.parametrize(
    ("reason", "judge", "words"),
    [
        ("rollback", "decisions", "nobody asked"),
        ("vote", "decisions", "nobody voted so"),
        ("session-gone", "decisions", "its session lives"),
        (None, "decisions", "no cause"),
        ("timeout", "leases", "before its time"),
    ],
)
def test_an_abort_without_a_cause(log: Log, reason: str | None, judge: str, words: str) -> None:
    with broken(judge, words):
        log.apply(vote(1, a="commit"), twist=decides("abort", reason))


def test_a_transaction_is_decided_twice(log: Log) -> None:
    log.apply(RollbackTransaction(1))
    with broken("decisions", "decides transaction 1 again: abort, after abort"):
        log.apply(RollbackTransaction(1), twist=decides("abort", "rollback"))


def test_another_decision_is_answered(log: Log) -> None:
    log.apply(RollbackTransaction(1))
    answer = TransactionAnswer(1, "committed", "commit", None)
    with broken("decisions", "answers commit for transaction 1; it is abort"):
        log.apply(CommitTransaction(1), twist=lambda it: with_reply(it, answer))


def test_an_undecided_transaction_outlives_its_session(log: Log) -> None:
    log.apply(OpenSession(2_000))
    log.apply(begin(session=1))
    event = Event("session.ended", "1", SessionEvent("closed"))
    with broken("decisions", "transaction 2 is open; its session is gone"):
        log.apply(CloseSession(1), twist=lambda it: with_events(it, event))


def test_a_transaction_that_was_never_begun(log: Log) -> None:
    with broken("decisions", "transaction 9, which was never begun"):
        log.apply(RollbackTransaction(1), twist=decides("abort", "rollback", 9))


def test_an_id_that_is_given_again(log: Log) -> None:
    with broken("decisions", "begins transaction 1 again"):
        log.apply(
            begin(), twist=lambda it: with_reply(it, TransactionAnswer(1, "open", None, None))
        )


# Requests that come twice.


def unsure(log: Log, command: Any, seq: int) -> bytes:
    """The caller of a request's first attempt was told that its outcome is unknown."""
    payload = encode(Envelope("n1", 1, seq, 1, "", command))
    log.judges.told(0.0, "n1", payload, "unknown", 0)
    return payload


def test_a_repeat_that_is_answered_as_before_is_fine() -> None:
    log = Log()
    for command in (
        OpenSession(9_000),
        AcquireLock("x", "a", 1),
        AcquireLock("x", "b", None, 500, 5_000),
        AcquireLock("x", "b", 1),
        ReleaseLock("x", "a", 1),
        CancelAcquire("x", "b", "n1", 1, 3),
    ):
        log.apply(command)
        for _ in range(2):
            unsure(log, command, log.seq)
            log.apply(command, seq=log.seq)
    log.apply(AcquireLock("x", "b", None, 500, 5_000), seq=99)
    assert log.judge(Once).counts() == {"requests": 7, "repeats": 12}


def test_a_wait_that_ended_is_answered_with_its_end() -> None:
    log = Log()
    log.apply(AcquireLock("x", "a", None, 60_000))
    waits = AcquireLock("x", "b", None, 500, 200)
    log.apply(waits)
    unsure(log, waits, log.seq)
    log.apply(waits, after=300, seq=log.seq)


def test_a_repeat_is_executed_again() -> None:
    log = Log()
    log.apply(OpenSession(9_000))
    unsure(log, OpenSession(9_000), 1)
    event = Event("session.opened", "2", SessionEvent("opened"))
    with broken("applied once", r"\('n1', 1, 1\) comes again in entry 2 and is executed again"):
        log.apply(OpenSession(9_000), seq=1, twist=lambda it: with_events(it, event))


def test_a_repeat_changes_the_state() -> None:
    log = Log()
    log.apply(OpenSession(9_000))
    unsure(log, OpenSession(9_000), 1)
    log.machine.answers.answers.rows.clear()
    with broken("applied once", "and changes the state"):
        log.apply(OpenSession(9_000), seq=1, twist=with_events)


def test_a_repeat_is_answered_otherwise() -> None:
    log = Log()
    first = log.apply(OpenSession(9_000))
    log.apply(OpenSession(8_000))
    unsure(log, OpenSession(8_000), 2)
    with broken("applied once", "and is answered SessionOpened"):
        log.apply(OpenSession(8_000), seq=2, twist=lambda it: with_reply(it, first.reply))


def test_a_request_id_that_is_given_again() -> None:
    log = Log()
    log.apply(OpenSession(9_000))
    with broken("applied once", "stands for another command at entry 2"):
        log.apply(OpenSession(8_000), seq=1)


def test_a_proposal_that_was_refused_is_in_the_log() -> None:
    log = Log()
    log.judge(Once).started(0, "n1", 1)
    payload = encode(Envelope("n1", 1, 1, 1, "", OpenSession(9_000)))
    log.judges.told(0.0, "n1", payload, "refused", 0)
    log.apply(OpenSession(9_000), seq=1)
    with broken("applied once", "is 1 times in the log; of 1 attempts all but 0 were refused"):
        log.judge(Once).ended(9.0, None)


def test_a_proposal_that_was_refused_comes_beside_the_next_attempt() -> None:
    log = Log()
    log.apply(OpenSession(9_000), seq=1)
    payload = encode(Envelope("n1", 1, 1, 1, "", OpenSession(9_000)))
    log.judges.told(0.0, "n1", payload, "refused", 0)
    with broken("applied once", "for the 2th time, after 0 attempts of unknown outcome"):
        log.apply(OpenSession(9_000), seq=1)


def test_an_attempt_may_die_with_its_node() -> None:
    log = Log()
    log.judge(Once).started(0, "n1", 1)
    payload = encode(Envelope("n1", 1, 1, 1, "", OpenSession(9_000)))
    log.judges.told(0.0, "n1", payload, "refused", 0)
    log.judge(Once).stopped(1, "n1", 1, "kill")
    log.apply(OpenSession(9_000), seq=1)
    log.judge(Once).ended(9.0, None)


def test_a_caller_hears_of_an_entry_that_is_nowhere() -> None:
    with broken("applied once", "tells a caller of entry 4: nobody saw it"):
        Once().told(1.0, "n1", b"payload", "applied", 4)
