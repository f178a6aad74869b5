"""The simple protocol: locks and transactions by key and value.

The rules:

- A lock is /v1's lock of that name; its value frees it and is no identity.
- A prepare is a transaction without participants, found by its key (the latest prepare) and by
  (key, value) (the latest prepare of that value). So its timeout, its one decision and its being
  forgotten, here after ten minutes, are those of every transaction.
- While one is prepared under a key, no other is. A decision about a value that was prepared
  before stays, also after a new prepare of another value.
"""

from raftcoord.commands import (
    CommitTransaction,
    Envelope,
    Granted,
    Released,
    RollbackTransaction,
    SimpleAnswer,
    SimpleCommit,
    SimpleLock,
    SimplePrepare,
    SimpleRollback,
    SimpleState,
    SimpleUnlock,
    bounds,
)
from raftcoord.errors import AlreadyPrepared, Malformed, NotPrepared, TransactionDecided
from raftcoord.machine.events import Request
from raftcoord.machine.ledger import Ledger, Table
from raftcoord.machine.locks import Locks
from raftcoord.machine.transaction_records import Named, Transaction
from raftcoord.machine.transactions import Transactions

ROLLBACK_VALUE = "0"


class Simple:
    """Names for locks and transactions."""

    def __init__(self, ledger: Ledger, locks: Locks, transactions: Transactions) -> None:
        self._ledger = ledger
        self._locks = locks
        self._transactions = transactions
        self.latest: Table[str, int] = Table("simple", str, int)
        self.values: Table[tuple[str, str], int] = Table("values", tuple[str, str], int)
        transactions.on_forget = self.forget

    # Reads.

    def state(self, key: str) -> SimpleAnswer | None:
        """Where the latest prepare under the key stands; None when nothing is known of one."""
        number = self.latest.get(key)
        record = None if number is None else self._transactions.find(number)
        if number is None or record is None:
            return None
        return SimpleAnswer(key, number, _state(record))

    # Commands.

    def lock(self, command: SimpleLock, envelope: Envelope) -> Granted:
        """Take a lock."""
        self._check_expire(command.expire)
        request = Request(envelope.gateway, envelope.boot, envelope.seq)
        return self._locks.take_simple(
            command.key, command.expire, command.value, envelope.identity, request
        )

    def unlock(self, command: SimpleUnlock, envelope: Envelope) -> Released:
        """Free a lock."""
        return self._locks.release_simple(command.key, command.value)

    def prepare(self, command: SimplePrepare, envelope: Envelope) -> SimpleAnswer:
        """Prepare a value."""
        key, value = command.key, command.value
        self._check_expire(command.expire)
        if value == ROLLBACK_VALUE:
            raise Malformed('the value "0" means rollback and cannot be prepared', field="value")
        present = self.state(key)
        if present is not None and present.state == "prepared":
            view = self._transactions.get(present.transaction)
            assert view.expires_in is not None
            raise AlreadyPrepared(
                f"a value is prepared under {key}; decide it first",
                key=key,
                state="prepared",
                transaction=present.transaction,
                expires_in=view.expires_in / 1000,
            )
        number = self._transactions.open(
            Transaction(
                (),
                "on_request",
                None,
                None,
                self._ledger.time + command.expire,
                bounds.SIMPLE_RETENTION,
                Named(key, value),
            )
        )
        self._ledger.put(self.latest, key, number)
        self._ledger.put(self.values, (key, value), number)
        return SimpleAnswer(key, number, "prepared")

    def commit(self, command: SimpleCommit, envelope: Envelope) -> SimpleAnswer:
        """Commit the prepare of a value."""
        key = command.key
        number, record = self._of_value(key, command.value)
        if record.decision == "abort":
            raise self._contrary(key, number, record)
        self._transactions.commit(CommitTransaction(number), envelope)
        return SimpleAnswer(key, number, "committed")

    def rollback(self, command: SimpleRollback, envelope: Envelope) -> SimpleAnswer:
        """Roll back the latest prepare, or that of one value only."""
        key = command.key
        if command.prepared is None:
            number, record = self._found(key, self.latest.get(key))
        else:
            number, record = self._of_value(key, command.prepared)
        if record.decision == "commit":
            raise self._contrary(key, number, record)
        self._transactions.rollback(RollbackTransaction(number), envelope)
        return SimpleAnswer(key, number, "aborted")

    def forget(self, number: int, named: Named) -> None:
        """The transaction behind a prepare is forgotten."""
        if self.latest.get(named.key) == number:
            self._ledger.delete(self.latest, named.key)
        if self.values.get((named.key, named.value)) == number:
            self._ledger.delete(self.values, (named.key, named.value))

    # The parts.

    def _of_value(self, key: str, value: str) -> tuple[int, Transaction]:
        return self._found(key, self.values.get((key, value)))

    def _found(self, key: str, number: int | None) -> tuple[int, Transaction]:
        record = None if number is None else self._transactions.find(number)
        if number is not None and record is not None:
            return number, record
        present = self.state(key)
        raise NotPrepared(
            f"no such value is prepared under {key}",
            key=key,
            state="none" if present is None else present.state,
            transaction=None if present is None else present.transaction,
        )

    def _contrary(self, key: str, number: int, record: Transaction) -> TransactionDecided:
        state = _state(record)
        return TransactionDecided(
            f"{key} is {state} already",
            key=key,
            state=state,
            transaction=number,
            decision=record.decision,
            reason=record.reason,
        )

    def _check_expire(self, expire: int) -> None:
        if not 0 < expire <= bounds.SIMPLE_EXPIRE:
            raise Malformed("expire is up to 86400 seconds", field="expire")


def _state(record: Transaction) -> SimpleState:
    if record.decision is None:
        return "prepared"
    return "committed" if record.decision == "commit" else "aborted"
