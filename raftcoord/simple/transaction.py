"""A transaction by key."""

import secrets
from http.client import CONFLICT
from typing import Any

from raftcoord.errors import NotPrepared, OutcomeUnknown, RaftcoordError
from raftcoord.simple.checks import check_expire, check_text
from raftcoord.simple.patience import PASSING, Patience
from raftcoord.simple.server import Server


class DistributedTransaction:
    """A two-phase commit of one value: `prepare`, then `commit` or `rollback`.

    An object is used by one thread at a time.

    Args:
        url: the transaction's URL at any node of the cluster.
        key: what is prepared; one prepare at a time is open under it.
        expire: seconds after which an undecided prepare is aborted.
        timeout: as for `DistributedLock`.
    """

    def __init__(
        self,
        url: str = "http://localhost:8080/transaction",
        key: str = "transaction",
        expire: float = 60,
        timeout: float = 5,
    ) -> None:
        check_text("key", key)
        check_expire(expire)
        self._server = Server(url, timeout)
        self._timeout = timeout
        self._value: str | None = None
        self.key = key
        self.expire = expire

    def prepare(self) -> bool:
        """Open a transaction under the key; False while another one is open there.

        Raises:
            NotReady, NoLeader, Overloaded: for longer than `timeout` nobody could answer.
            OutcomeUnknown: several requests went unanswered. Malformed: the key or a bound.
        """
        patience = Patience(self._timeout)
        while True:
            # A value of its own for each try, so that what became of a lost one can be undone
            # without touching another.
            value = secrets.token_hex(16)
            try:
                self._ask(self.expire, value)
            except PASSING as error:
                patience.bear(error)
            except OutcomeUnknown as error:
                patience.bear(error)
                self._take_back(value, patience, error)
            except RaftcoordError as error:
                if error.status != CONFLICT:
                    raise
                return False
            else:
                self._value = value
                return True

    def commit(self) -> None:
        """Decide commit. Again, it does nothing.

        Raises:
            NotPrepared: `prepare` did not succeed before. TransactionDecided: it is aborted: by
                `rollback`, or because `expire` was over. As `prepare` where nobody answers.
        """
        value = self._prepared()
        self._decide(value, None)

    def rollback(self) -> None:
        """Decide abort. Again, or after `expire` was over, it does nothing.

        Raises:
            NotPrepared: `prepare` did not succeed before. TransactionDecided: it is committed.
                As `prepare` where nobody answers.
        """
        self._decide("0", self._prepared())

    def _prepared(self) -> str:
        if self._value is None:
            raise NotPrepared(f"nothing is prepared under {self.key}: call prepare", key=self.key)
        return self._value

    def _decide(self, value: str, prepared: str | None) -> None:
        """Ask for the decision until it is there: asked again, it is answered again."""
        patience = Patience(self._timeout)
        unknown: OutcomeUnknown | None = None
        while True:
            try:
                self._ask(0, value, prepared)
            except PASSING as error:
                patience.bear(unknown or error)
            except OutcomeUnknown as error:
                unknown = error
                patience.bear(error)
            else:
                return

    def _take_back(self, value: str, patience: Patience, unknown: OutcomeUnknown) -> None:
        while True:
            try:
                self._ask(0, "0", value)
            except (*PASSING, OutcomeUnknown):
                patience.bear(unknown)
            except RaftcoordError as error:
                if error.status != CONFLICT:
                    raise
                return  # it was not prepared
            else:
                return

    def _ask(self, expire: float, value: str, prepared: str | None = None) -> dict[str, Any]:
        fields = {"key": self.key, "expire": expire, "value": value}
        if prepared is not None:
            fields["prepared"] = prepared
        return self._server.ask("POST", fields, NotPrepared)
