"""What an answer says: the one place of the judges that knows the shape of the API's answers.

Operations are named by kind; `chaos.workloads.requests` says what each sends. An answer that lacks
what it should have says nothing; that it lacks it is `answers`' business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chaos.history import SECOND, History, Operation

PEEKS = {"lock.peek": "lock.read", "ring.peek": "ring.read"}
"""Reads of what a node has, however old, and the reads that they are otherwise."""
READS = frozenset(
    (
        *PEEKS,
        "lock.read",
        "lock.check",
        "locks.list",
        "session.read",
        "sessions.list",
        "ring.read",
        "ring.lookup",
        "rings.list",
        "transaction.read",
        "transactions.list",
    )
)


def is_write(kind: str) -> bool:
    """Whether an acknowledged operation of this kind is an entry of the log."""
    return kind not in READS


FORGETFUL = "forgetful"
"""Stands in the `run` of a history; true: what was decided is soon forgotten."""


def remembered_for(history: History) -> int:
    """Nanoseconds for which a decided transaction is surely remembered (by default it is an
    hour)."""
    return 0 if history.run.get(FORGETFUL) else 3_000 * SECOND


def may_have_held(operation: Operation) -> bool:
    """Whether an acquire may have been granted, whatever it was answered.

    A node that stops takes its waits back: where the grant came first, the caller is told that
    nothing is held, which is true then, and was not a moment before.
    """
    taken_back = operation.slug == "not-ready" and bool(operation.arguments.get("wait"))
    return operation.sent or taken_back


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock. `token` is None where the answer does not show it."""

    owner: str
    session: int | None
    token: int | None


def token_of(operation: Operation) -> int | None:
    """The token of a grant, as an acquire answers it; of others, the one they name."""
    if operation.kind in ("lock.acquire", "simple.lock"):
        return _number(operation.answer.get("token"))
    return _number(operation.arguments.get("token"))


def holders_of(answer: dict[str, Any]) -> list[Holder] | None:
    """The holders that a read of a lock, or a refused acquire, shows; None where it shows none."""
    holders = answer.get("holders")
    if not isinstance(holders, list):
        return None
    return [_holder(item) for item in holders if isinstance(item, dict)]


def lock_states(operation: Operation) -> list[tuple[str, list[Holder]]]:
    """(lock, its holders) for each lock that the operation shows as it stood."""
    if operation.kind == "lock.read" and operation.ok:
        holders = holders_of(operation.answer)
        return [] if holders is None else [(str(operation.arguments["name"]), holders)]
    if operation.kind == "locks.list" and operation.ok:
        items = operation.answer.get("locks")
        found = [item for item in items if isinstance(item, dict)] if items else []
        return [(str(item["name"]), holders_of(item) or []) for item in found if "name" in item]
    name = str(operation.arguments.get("name", operation.arguments.get("key")))
    if operation.slug == "lock-held":
        holders = holders_of(operation.answer)
        return [] if holders is None else [(name, holders)]
    grant = operation.answer.get("grant")
    if operation.slug == "already-held" and isinstance(grant, dict):
        return [(name, [_holder(grant)])]
    return []


def check_says(operation: Operation) -> bool | None:
    """What a check answered: whether the token still holds."""
    holds = operation.answer.get("holds")
    return holds if operation.ok and isinstance(holds, bool) else None


def session_of(operation: Operation) -> int | None:
    """The session that an operation opened, or speaks of."""
    if operation.kind == "session.open":
        return _number(operation.answer.get("id"))
    if operation.kind.startswith("session."):
        return _number(operation.arguments.get("id"))
    return _number(operation.arguments.get("session"))


def version_of(operation: Operation) -> int | None:
    """The version of a ring that an answer carries."""
    return _number(operation.answer.get("version"))


def ring_members(answer: dict[str, Any]) -> dict[str, float] | None:
    """Member → weight, as a read of a ring shows them."""
    members = answer.get("members")
    if isinstance(members, dict):
        members = [{"id": key, **value} for key, value in members.items()]
    if not isinstance(members, list):
        return None
    found = [item for item in members if isinstance(item, dict) and "id" in item]
    return {str(item["id"]): float(item.get("weight", 1)) for item in found}


def transaction_id(operation: Operation) -> int | None:
    """The transaction that an operation began, or speaks of."""
    if operation.kind == "transaction.begin":
        return _number(operation.answer.get("id"))
    return _number(operation.arguments.get("id"))


@dataclass(frozen=True, slots=True)
class TransactionSeen:
    """What an operation shows of a transaction.

    Args:
        decision: commit, abort, or None where it is undecided.
        votes: participant → vote, None where there is none yet; None where votes are not shown.
        missing: participants without a vote, where the answer lists them.
    """

    operation: Operation
    id: int
    decision: str | None
    reason: str | None
    state: str | None
    votes: dict[str, str | None] | None = None
    acked: frozenset[str] = frozenset()
    missing: tuple[str, ...] = ()


def transactions_seen(operation: Operation) -> list[TransactionSeen]:
    """What the answer shows of transactions: of one, or of a list of them."""
    if not operation.kind.startswith("transaction"):
        return []
    if operation.kind == "transactions.list":
        items = operation.answer.get("transactions") if operation.ok else None
        shown = [_seen(operation, item) for item in items or [] if isinstance(item, dict)]
        return [item for item in shown if item is not None]
    if operation.ok or operation.slug in ("transaction-decided", "transaction-open"):
        seen = _seen(operation, operation.answer)
        return [] if seen is None else [seen]
    number = transaction_id(operation)
    if operation.slug == "votes-missing" and number is not None:
        missing = tuple(map(str, operation.answer.get("missing") or ()))
        return [TransactionSeen(operation, number, None, None, "open", missing=missing)]
    if operation.slug == "vote-conflict" and number is not None:
        participant = str(operation.answer.get("participant"))
        votes = {participant: operation.answer.get("vote")}
        return [TransactionSeen(operation, number, None, None, "?", votes=votes)]
    return []


def _seen(operation: Operation, shown: dict[str, Any]) -> TransactionSeen | None:
    number = _number(shown.get("id", operation.arguments.get("id")))
    if number is None or "state" not in shown:
        return None
    participants = shown.get("participants")
    votes, acked = None, frozenset[str]()
    if isinstance(participants, dict):
        votes = {str(name): entry.get("vote") for name, entry in participants.items()}
        acked = frozenset(str(name) for name, entry in participants.items() if entry.get("acked"))
    return TransactionSeen(
        operation,
        number,
        shown.get("decision"),
        shown.get("reason"),
        shown.get("state"),
        votes,
        acked,
    )


def _holder(shown: dict[str, Any]) -> Holder:
    return Holder(
        str(shown.get("owner")), _number(shown.get("session")), _number(shown.get("token"))
    )


SIMPLE_OWNER = "simple protocol"
"""Who is shown as the owner of a lock that the simple protocol took."""


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
