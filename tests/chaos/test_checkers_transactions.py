"""The judges of transactions and of the simple protocol, on histories made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.history import Operation
from tests.chaos.histories import Story, found, holder, op, read, rules


def begin(
    start: float,
    end: float | None,
    number: int = 1,
    *participants: str,
    timeout: float = 60.0,
    decide: str = "on_request",
) -> Operation:
    return op(
        start,
        end,
        "transaction.begin",
        participants=list(participants or ("p", "q")),
        timeout=timeout,
        decide=decide,
        answer=None if end is None else state("open", number=number),
    )


def state(
    word: str, decision: str | None = None, *, number: int = 1, **more: Any
) -> dict[str, Any]:
    """How an answer shows a transaction; votes as p="commit"."""
    shown: dict[str, Any] = {"id": number, "state": word, "decision": decision}
    if "reason" in more:
        shown["reason"] = more["reason"]
    if "votes" in more:
        acked = more.get("acked", ())
        shown["participants"] = {
            name: {"vote": vote, "acked": name in acked} for name, vote in more["votes"].items()
        }
    return shown


def vote(start: float, end: float | None, who: str, what: str = "commit", **more: Any) -> Operation:
    aborted = state("aborted", "abort", reason="vote")
    more.setdefault("answer", state("open") if what == "commit" else aborted)
    return op(start, end, "transaction.vote", id=1, participant=who, vote=what, **more)


def commit(start: float, end: float | None, **more: Any) -> Operation:
    more.setdefault("answer", state("committed", "commit"))
    return op(start, end, "transaction.commit", id=1, **more)


def rollback(start: float, end: float | None, **more: Any) -> Operation:
    more.setdefault("answer", state("aborted", "abort", reason="rollback"))
    return op(start, end, "transaction.rollback", id=1, **more)


def look(start: float, end: float, shown: dict[str, Any] | None = None, **more: Any) -> Operation:
    return op(start, end, "transaction.read", id=1, answer=shown, **more)


def lock(start: float, end: float | None, value: str, **more: Any) -> Operation:
    more.setdefault("expire", 10.0)
    if end is not None and "slug" not in more:
        more.setdefault("answer", {"token": 7 + int(start)})
    return op(start, end, "simple.lock", key="K", value=value, **more)


def unlock(start: float, end: float | None, value: str, **more: Any) -> Operation:
    return op(start, end, "simple.unlock", key="K", value=value, **more)


def prepare(start: float, end: float | None, value: str, number: int = 1, **more: Any) -> Operation:
    more.setdefault("expire", 10.0)
    answer = {"state": "prepared", "transaction": number}
    return op(start, end, "simple.prepare", key="D", value=value, answer=answer, **more)


def deal_commit(start: float, end: float | None, value: str, **more: Any) -> Operation:
    return op(start, end, "simple.commit", key="D", value=value, **more)


def deal_rollback(start: float, end: float | None, value: str | None, **more: Any) -> Operation:
    return op(start, end, "simple.rollback", key="D", prepared=value, **more)


def voted() -> list[Operation]:
    """A transaction of p and q that both want."""
    return [begin(0, 1), vote(1, 2, "p"), vote(2, 3, "q")]


BOTH = {"p": "commit", "q": "commit"}

GOOD: dict[str, Story] = {
    "a commit": lambda: [
        *voted(),
        commit(4, 5),
        look(6, 7, state("committed", "commit", votes=BOTH)),
        rollback(8, 9, slug="transaction-decided", answer=state("committed", "commit")),
    ],
    "a vote to abort": lambda: [
        begin(0, 1),
        vote(1, 2, "p", "abort"),
        look(3, 4, state("aborted", "abort", reason="vote", votes={"p": "abort", "q": None})),
    ],
    "a timeout": lambda: [
        begin(0, 1, timeout=2),
        vote(1, 2, "p"),
        commit(
            3,
            4,
            slug="transaction-decided",
            answer=state("aborted", "abort", reason="timeout"),
        ),
    ],
    "a commit of unknown outcome": lambda: [
        *voted(),
        commit(4, None),
        look(5, 6, state("open", votes=BOTH)),
        look(7, 8, state("committed", "commit", votes=BOTH)),
    ],
    "a vote of unknown outcome works late": lambda: [
        begin(0, 1),
        vote(1, 2, "p"),
        vote(2, None, "q"),
        commit(3, 4, slug="votes-missing", answer={"missing": ["q"]}),
        commit(5, 6),
    ],
    "a vote to abort of unknown outcome": lambda: [
        *voted(),
        vote(3, None, "q", "abort", answer={}),
        commit(4, 5),
    ],
    "another vote after one that was refused, or not heard of": lambda: [
        begin(0, 1),
        vote(1, 2, "p", slug="no-leader", answer={}, status=503),
        vote(2, None, "p", answer={}),
        vote(3, 4, "p", "abort"),
    ],
    "decided by itself": lambda: [
        begin(0, 1, 1, "p", decide="auto"),
        vote(1, 2, "p", answer=state("committed", "commit")),
        look(3, 4, state("committed", "commit", votes={"p": "commit"})),
    ],
    "open until the last vote": lambda: [
        begin(0, 1, 1, "p", "q", decide="auto"),
        vote(1, 2, "p"),
        look(2.1, 2.2, state("open", votes={"p": "commit", "q": None})),
        vote(3, None, "q", answer={}),
        look(4, 5, state("open", votes={"p": "commit", "q": None})),
    ],
    "acknowledged": lambda: [
        *voted(),
        commit(4, 5),
        op(6, 7, "transaction.ack", id=1, participant="p", answer=state("committed", "commit")),
        look(8, 9, state("committed", "commit", votes=BOTH, acked=("p",))),
    ],
    "a strangers' id": lambda: [
        begin(0, 1),
        op(2, 3, "transaction.read", id=99, slug="unknown-transaction"),
        op(
            2,
            3,
            "transaction.vote",
            id=1,
            participant="x",
            vote="abort",
            slug="unknown-participant",
        ),
    ],
    "simple locks one after the other": lambda: [
        lock(0, 1, "v1"),
        lock(0, 2, "v2", slug="lock-held"),
        read(1.5, 1.6, holder("simple protocol", 7), lock="K"),
        unlock(3, 4, "v1"),
        unlock(5, 6, "v1", slug="not-holder"),
        lock(3, 5, "v3"),
    ],
    "a simple lock of unknown outcome": lambda: [
        lock(0, None, "v1"),
        lock(1, 2, "v2"),
        unlock(3, 4, "v2"),
        lock(5, 6, "v3", slug="lock-held"),
        unlock(7, 8, "v1"),
    ],
    "a simple commit, said again": lambda: [
        prepare(0, 1, "v1"),
        deal_commit(2, 3, "v1"),
        deal_commit(4, 5, "v1"),
        prepare(6, 7, "v2", 2),
        deal_commit(8, 9, "v1"),
        deal_rollback(8, 9, "v1", slug="transaction-decided"),
        deal_rollback(9, 10, "v2"),
    ],
    "a simple decision is forgotten after ten minutes": lambda: [
        prepare(0, 1, "v1"),
        deal_rollback(2, 3, "v1"),
        deal_commit(700, 701, "v1", slug="not-prepared"),
    ],
    "a prepare is decided through /v1, or by a rollback of whatever there is": lambda: [
        prepare(0, 1, "v1", 5),
        op(2, 3, "transaction.commit", id=5, answer=state("committed", "commit", number=5)),
        prepare(4, 5, "v2", 6),
        deal_rollback(6, None, None),
        prepare(7, 8, "v3", 7),
    ],
}

BAD: dict[str, tuple[str, Story]] = {
    "two decisions": (
        "two decisions",
        lambda: [*voted(), commit(4, 5), look(6, 7, state("aborted", "abort"))],
    ),
    "both answered 200": ("two decisions", lambda: [*voted(), commit(4, 5), rollback(4, 6)]),
    "open again": (
        "decision lost",
        lambda: [*voted(), commit(4, 5), look(6, 7, state("open", votes=BOTH))],
    ),
    "not decided by itself": (
        "decision lost",
        lambda: [
            begin(0, 1, 1, "p", decide="auto"),
            vote(1, 2, "p"),
            look(3, 4, state("open", votes={"p": "commit"})),
        ],
    ),
    "committed without a vote": (
        "commit without all votes",
        lambda: [begin(0, 1), vote(1, 2, "p"), commit(4, 5)],
    ),
    "committed with a refused vote": (
        "commit without all votes",
        lambda: [
            begin(0, 1),
            vote(1, 2, "p"),
            vote(2, 3, "q", slug="no-leader", answer={}),
            commit(4, 5),
        ],
    ),
    "committed against a vote": (
        "commit without all votes",
        lambda: [
            *voted(),
            op(3, 4, "transaction.vote", id=1, participant="q", vote="abort", answer={}),
            commit(4, 5),
        ],
    ),
    "committed unasked": (
        "commit unasked",
        lambda: [*voted(), look(4, 5, state("committed", "commit", votes=BOTH))],
    ),
    "committed though the request for it was refused": (
        "commit unasked",
        lambda: [
            *voted(),
            commit(3, 4, slug="no-leader", status=503, answer={}),
            look(4, 5, state("committed", "commit", votes=BOTH)),
        ],
    ),
    "aborted though the request for it was refused": (
        "abort without a cause",
        lambda: [
            *voted(),
            rollback(3, 4, slug="no-leader", status=503, answer={}),
            look(4, 5, state("aborted", "abort")),
        ],
    ),
    "aborted before the cause": (
        "abort without a cause",
        lambda: [*voted(), look(4, 5, state("aborted", "abort")), rollback(6, 7)],
    ),
    "aborted without a cause": (
        "abort without a cause",
        lambda: [
            *voted(),
            commit(4, 5, slug="transaction-decided", answer=state("aborted", "abort")),
        ],
    ),
    "a vote is lost": (
        "vote lost",
        lambda: [*voted(), look(4, 5, state("open", votes={"p": "commit", "q": None}))],
    ),
    "a vote is missing": (
        "vote lost",
        lambda: [*voted(), commit(4, 5, slug="votes-missing", answer={"missing": ["p"]})],
    ),
    "a vote is another": (
        "vote changed",
        lambda: [begin(0, 1), vote(1, 2, "p", answer={}), vote(3, 4, "p", "abort", answer={})],
    ),
    "a vote from nowhere": (
        "vote from nowhere",
        lambda: [begin(0, 1), look(4, 5, state("open", votes={"p": "commit", "q": None}))],
    ),
    "a refused vote is there": (
        "vote from nowhere",
        lambda: [
            begin(0, 1),
            vote(1, 2, "p", slug="no-leader", answer={}, status=503),
            look(4, 5, state("open", votes={"p": "commit", "q": None})),
        ],
    ),
    "a vote that was never given is in the way of another": (
        "vote from nowhere",
        lambda: [
            begin(0, 1),
            vote(1, 2, "p", slug="vote-conflict", answer={"participant": "p", "vote": "abort"}),
        ],
    ),
    "the contrary of a vote is there": (
        "vote from nowhere",
        lambda: [
            begin(0, 1),
            vote(1, None, "p", answer={}),
            look(4, 5, state("aborted", "abort", votes={"p": "abort", "q": None})),
        ],
    ),
    "an acknowledgement is lost": (
        "acknowledgement lost",
        lambda: [
            *voted(),
            commit(4, 5),
            op(6, 7, "transaction.ack", id=1, participant="p", answer=state("committed", "commit")),
            look(8, 9, state("committed", "commit", votes=BOTH)),
        ],
    ),
    "a transaction is unknown": (
        "transaction lost",
        lambda: [begin(0, 1), look(2, 3, slug="unknown-transaction")],
    ),
    "a transaction is forgotten at once": (
        "transaction lost",
        lambda: [*voted(), rollback(4, 5), look(6, 7, slug="forgotten")],
    ),
    "a participant is unknown": (
        "transaction lost",
        lambda: [begin(0, 1), vote(2, 3, "p", slug="unknown-participant", answer={})],
    ),
    "an id for two": ("transaction id repeated", lambda: [begin(0, 3, 5), begin(1, 3, 5)]),
    "a lower id later": ("transaction ids fall", lambda: [begin(0, 1, 5), begin(2, 3, 4)]),
    "two simple holders": ("two holders", lambda: [lock(0, 1, "v1"), lock(2, 3, "v2")]),
    "a simple lock is lost": (
        "grant lost or release undone",
        lambda: [lock(0, 1, "v1"), unlock(2, 3, "v1", slug="not-holder")],
    ),
    "a simple release is undone": (
        "grant lost or release undone",
        lambda: [lock(0, 1, "v1"), unlock(2, 3, "v1"), unlock(4, 5, "v1")],
    ),
    "a simple lock refused because it was got": (
        "granted though refused",
        lambda: [lock(0, 1, "v1", slug="lock-held"), unlock(2, 3, "v1")],
    ),
    "two prepared": ("two prepared", lambda: [prepare(0, 1, "v1"), prepare(2, 3, "v2", 2)]),
    "a prepare is lost": (
        "prepare lost",
        lambda: [prepare(0, 1, "v1"), deal_commit(2, 3, "v1", slug="not-prepared")],
    ),
    "a prepare is lost though a rollback was refused": (
        "prepare lost",
        lambda: [
            prepare(0, 1, "v1"),
            deal_rollback(1, 2, None, slug="no-leader", status=503),
            deal_commit(2, 3, "v1", slug="not-prepared"),
        ],
    ),
    "a prepare is aborted unasked": (
        "prepare lost",
        lambda: [prepare(0, 1, "v1"), deal_commit(2, 3, "v1", slug="transaction-decided")],
    ),
    "a deal committed and rolled back": (
        "two decisions",
        lambda: [prepare(0, 1, "v1"), deal_commit(2, 3, "v1"), deal_rollback(4, 5, "v1")],
    ),
    "a deal's decision is gone": (
        "decision lost",
        lambda: [
            prepare(0, 1, "v1"),
            deal_commit(2, 3, "v1"),
            deal_commit(4, 5, "v1", slug="not-prepared"),
        ],
    ),
    "a deal decided in two ways through /v1": (
        "two decisions",
        lambda: [
            prepare(0, 1, "v1", 5),
            op(2, 3, "transaction.commit", id=5, answer={}),
            deal_rollback(4, 5, "v1"),
        ],
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_history_gets_no_violation(name: str) -> None:
    assert found(*GOOD[name]()) == []


@pytest.mark.parametrize("name", BAD)
def test_a_bad_history_gets_its_violation(name: str) -> None:
    rule, story = BAD[name]
    assert rule in rules(*story())


def test_decisions_in_a_list_count_as_seen() -> None:
    listed = {"transactions": [state("aborted", "abort", votes=BOTH)], "next": None}
    story = [*voted(), commit(4, 5), op(6, 7, "transactions.list", answer=listed)]
    assert "two decisions" in rules(*story)
