"""A transaction by key."""

from raftcoord.errors import NotPrepared
from raftcoord.simple.checks import check_expire, check_text
from raftcoord.simple.retries import TransactionRetries
from raftcoord.simple.server import Server, run


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
        self._retries = TransactionRetries(Server(url, timeout), key, timeout)
        self._value: str | None = None
        self.key = key
        self.expire = expire

    def prepare(self) -> bool:
        """Open a transaction under the key; False while another one is open there.

        Raises:
            NotReady, NoLeader, Overloaded: for longer than `timeout` nobody could answer.
            OutcomeUnknown: several requests went unanswered. Malformed: the key or a bound.
        """
        value = run(self._retries.prepare(self.expire))
        if value is None:
            return False
        self._value = value
        return True

    def commit(self) -> None:
        """Decide commit. Again, it does nothing.

        Raises:
            NotPrepared: `prepare` did not succeed before. TransactionDecided: it is aborted: by
                `rollback`, or because `expire` was over. As `prepare` where nobody answers.
        """
        run(self._retries.commit(self._prepared()))

    def rollback(self) -> None:
        """Decide abort. Again, or after `expire` was over, it does nothing.

        Raises:
            NotPrepared: `prepare` did not succeed before. TransactionDecided: it is committed.
                As `prepare` where nobody answers.
        """
        run(self._retries.rollback(self._prepared()))

    def _prepared(self) -> str:
        if self._value is None:
            raise NotPrepared(f"nothing is prepared under {self.key}: call prepare", key=self.key)
        return self._value
