"""/v1/transactions: one decision for all participants."""

import asyncio
from collections.abc import Callable
from typing import Any, cast, get_args

from msgspec import Struct

from raftcoord.commands import (
    AcknowledgeTransaction,
    BeginTransaction,
    CommitTransaction,
    Decide,
    RollbackTransaction,
    TransactionAnswer,
    TransactionState,
    Vote,
    VoteTransaction,
    bounds,
)
from raftcoord.errors import Forgotten, Malformed, UnknownTransaction
from raftcoord.machine.transaction_records import TransactionView
from raftcoord.server import fields
from raftcoord.server.answers import Answer
from raftcoord.server.calls import Body, Call, whole_number
from raftcoord.server.front import (
    MAX_REVISION,
    READ,
    Found,
    Front,
    left,
    page_size,
    read,
    refuse_conditions,
    settled,
)
from raftcoord.server.router import Route
from raftcoord.server.routes.sessions import NOTHING

_PARTICIPANT = fields.NAME_ALLOWED
_STATES = get_args(TransactionState)


class _Begin(Struct, forbid_unknown_fields=True, gc=False):
    participants: list[str]
    timeout: float
    decide: Decide = "on_request"
    session: fields.Id | None = None
    meta: dict[str, Any] | None = None


class _Votes(Struct, forbid_unknown_fields=True, gc=False):
    participant: str | None = None
    vote: Vote | None = None
    votes: dict[str, Vote] | None = None


class _Ack(Struct, forbid_unknown_fields=True, gc=False):
    participant: str


_BEGIN = Body(
    _Begin,
    {
        "participants": f"a list of 1 to {bounds.PARTICIPANTS} different names",
        "timeout": "seconds, 0.001 to 86400",
        "decide": "on_request, auto",
        "session": "the id of a session",
        "meta": "a JSON object of at most 4096 bytes",
    },
)
_VOTES = Body(
    _Votes,
    {
        "participant": _PARTICIPANT,
        "vote": "commit, abort",
        "votes": "an object: participant → commit or abort",
    },
)
_ACK = Body(_Ack, {"participant": _PARTICIPANT})


async def begin(front: Front, call: Call) -> Answer:
    """POST /v1/transactions {participants, timeout, decide?, session?, meta?} → {id, state, …}"""
    call.query()
    refuse_conditions(call)
    body = await call.body(_BEGIN)
    fields.number("participants", len(body.participants), 1, bounds.PARTICIPANTS)
    if len(set(body.participants)) < len(body.participants):
        raise Malformed(
            "participants has a name twice", field="participants", allowed="different names"
        )
    command = BeginTransaction(
        tuple([fields.name("participants", name) for name in body.participants]),
        fields.milliseconds("timeout", body.timeout, 1, bounds.TRANSACTION_TIMEOUT),
        body.decide,
        body.session,
        fields.meta(body.meta),
    )
    return settled(await front.gateway.submit(command), _answer)


async def vote(front: Front, call: Call) -> Answer:
    """POST /v1/transactions/{id}/votes {participant, vote} or {votes: {participant: vote}}"""
    call.query()
    refuse_conditions(call)
    number = _number(call)
    command = VoteTransaction(number, _votes(await call.body(_VOTES)))
    return settled(await front.gateway.submit(command), _answer)


def _votes(body: _Votes) -> dict[str, Vote]:
    if body.votes is not None:
        if body.participant is not None or body.vote is not None:
            raise Malformed(
                "votes stands beside participant or vote", field="votes", allowed="one of the two"
            )
        fields.number("votes", len(body.votes), 1, bounds.PARTICIPANTS)
        return {fields.name("votes", name): given for name, given in body.votes.items()}
    if body.participant is None:
        raise Malformed("participant is missing", field="participant", allowed=_PARTICIPANT)
    if body.vote is None:
        raise Malformed("vote is missing", field="vote", allowed="commit, abort")
    return {fields.name("participant", body.participant): body.vote}


async def commit(front: Front, call: Call) -> Answer:
    """POST /v1/transactions/{id}/commit → {id, state, decision, reason?}"""
    return await _decide(front, call, CommitTransaction)


async def rollback(front: Front, call: Call) -> Answer:
    """POST /v1/transactions/{id}/rollback → {id, state, decision, reason?}"""
    return await _decide(front, call, RollbackTransaction)


async def _decide(
    front: Front,
    call: Call,
    make: Callable[[int], CommitTransaction | RollbackTransaction],
) -> Answer:
    call.query()
    refuse_conditions(call)
    await call.body(NOTHING)
    return settled(await front.gateway.submit(make(_number(call))), _answer)


async def acknowledge(front: Front, call: Call) -> Answer:
    """POST /v1/transactions/{id}/acks {participant} → {id, state, decision, reason?}"""
    call.query()
    refuse_conditions(call)
    number = _number(call)
    body = await call.body(_ACK)
    command = AcknowledgeTransaction(number, fields.name("participant", body.participant))
    return settled(await front.gateway.submit(command), _answer)


async def get_transaction(front: Front, call: Call) -> Answer:
    """GET /v1/transactions/{id}?wait → the transaction, once it is decided or the wait over"""
    asked = call.query("wait", *READ)
    number = _number(call)
    patience = _wait(asked)
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    while True:
        found = await _read(front, asked, number)
        undecided = found.value["decision"] is None
        if not undecided or (remaining := until - loop.time()) <= 0:
            return Answer(found.value, found.revision, headers=found.headers)
        await front.gateway.decisions.wait(number, remaining)


async def _read(front: Front, asked: dict[str, str], number: int) -> Found:
    def query() -> dict[str, Any]:
        return _view(front, front.machine.transactions.get(number))

    try:
        return await read(front, asked, query)
    except (UnknownTransaction, Forgotten):
        # "Unknown" and "forgotten" decide what a participant does: never by an old state.
        return await read(front, {**asked, "consistency": "linearizable"}, query)


async def list_transactions(front: Front, call: Call) -> Answer:
    """GET /v1/transactions?state&limit&after → {transactions, next}"""
    asked = call.query("state", "limit", "after", *READ)
    size = page_size(asked)
    after = whole_number(asked, "after", None, 0, MAX_REVISION)
    state = asked.get("state")
    if state is not None and state not in _STATES:
        raise Malformed(
            f"state is {state[:40]!r}; allowed: {', '.join(_STATES)}",
            field="state",
            allowed=", ".join(_STATES),
        )

    def query() -> dict[str, Any]:
        rows, following = front.machine.transactions.page(
            cast(TransactionState | None, state), after, size
        )
        return {"transactions": [_view(front, row) for row in rows], "next": following}

    found = await read(front, asked, query)
    return Answer(found.value, found.revision, headers=found.headers)


def _number(call: Call) -> int:
    text = call.names[0]
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Malformed(
            f"{text[:40]!r} is no id of a transaction", field="id", allowed="a whole number"
        )
    return int(text)


def _wait(asked: dict[str, str]) -> float:
    return fields.duration("wait", asked.get("wait", "0"), 0, bounds.WAIT) / 1000


def _answer(reply: TransactionAnswer) -> dict[str, Any]:
    answer: dict[str, Any] = {"id": reply.id, "state": reply.state, "decision": reply.decision}
    if reply.reason is not None:
        answer["reason"] = reply.reason
    return answer


def _view(front: Front, transaction: TransactionView) -> dict[str, Any]:
    view: dict[str, Any] = {
        "id": transaction.id,
        "state": transaction.state,
        "decision": transaction.decision,
        "decide": transaction.decide,
        "participants": {
            name: {"vote": participant.vote, "acked": participant.acked}
            for name, participant in transaction.participants.items()
        },
    }
    if transaction.reason is not None:
        view["reason"] = transaction.reason
    if transaction.expires_in is not None:
        view["expires_in"] = left(front, transaction.expires_in)
    if transaction.session is not None:
        view["session"] = transaction.session
    if transaction.meta is not None:
        view["meta"] = transaction.meta
    return view


ROUTES = (
    Route("POST", "/v1/transactions", begin),
    Route("GET", "/v1/transactions", list_transactions),
    Route("GET", "/v1/transactions/{id}", get_transaction),
    Route("POST", "/v1/transactions/{id}/votes", vote),
    Route("POST", "/v1/transactions/{id}/commit", commit),
    Route("POST", "/v1/transactions/{id}/rollback", rollback),
    Route("POST", "/v1/transactions/{id}/acks", acknowledge),
)
