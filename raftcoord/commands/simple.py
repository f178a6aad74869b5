"""The simple protocol's commands: locks and transactions by key and value alone."""

from typing import ClassVar, Literal

from raftcoord.commands.base import Command, Reply

SimpleState = Literal["prepared", "committed", "aborted"]


class SimpleLock(Command, frozen=True, tag="simple.lock"):
    """Take lock `key` for `expire` milliseconds; `value` frees it, and is no identity.

    Answers: `Granted`. Errors: lock-held, malformed.
    """

    key: str
    expire: int
    value: str


class SimpleUnlock(Command, frozen=True, tag="simple.unlock"):
    """Free lock `key` that was taken with `value`.

    Answers: `Released`. Errors: not-holder.
    """

    priority: ClassVar[bool] = True
    key: str
    value: str


class SimplePrepare(Command, frozen=True, tag="simple.prepare"):
    """Prepare `value` under `key`; undecided after `expire` milliseconds, it aborts.

    Answers: `SimpleAnswer`. Errors: already-prepared, malformed.
    """

    key: str
    expire: int
    value: str


class SimpleCommit(Command, frozen=True, tag="simple.commit"):
    """Commit the prepare of `value`.

    Answers: `SimpleAnswer`. Errors: not-prepared, transaction-decided.
    """

    priority: ClassVar[bool] = True
    key: str
    value: str


class SimpleRollback(Command, frozen=True, tag="simple.rollback"):
    """Roll the key's prepare back; with `prepared`, only where that value is the prepared one.

    Answers: `SimpleAnswer`. Errors: not-prepared, transaction-decided.
    """

    priority: ClassVar[bool] = True
    key: str
    prepared: str | None = None


class SimpleAnswer(Reply, frozen=True, tag="simple.answer"):
    """The state of a key's prepare, and the transaction behind it (/v1/transactions/{id})."""

    key: str
    transaction: int
    state: SimpleState
