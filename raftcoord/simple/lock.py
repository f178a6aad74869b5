"""A lock by name."""

import secrets
from types import TracebackType
from typing import Any, Self

from raftcoord.errors import LockHeld, NotHolder, OutcomeUnknown, RaftcoordError
from raftcoord.simple.checks import check_expire, check_text
from raftcoord.simple.patience import FIRST_PAUSE, PASSING, Patience, rest
from raftcoord.simple.server import Server


class DistributedLock:
    """A lock that one object of this class holds at a time, in all processes on all machines.

    Each object is an identity of its own, so threads may share one only in the way they would
    share a `threading.Lock`. A copy made by `fork` has the identity of its parent.

    Args:
        url: the lock's URL at any node of the cluster.
        timeout: seconds each request may take. A cluster that can be reached and cannot serve,
            or cannot be reached, for longer than that is an error.
        key: the lock's name; /v1/locks/{key} is the same lock.
        expire: seconds the lock is held at most: whoever needs it longer loses it.
    """

    def __init__(
        self,
        url: str = "http://localhost:8080/lock",
        timeout: float = 5,
        key: str = "lock",
        expire: float = 60,
    ) -> None:
        check_text("key", key)
        check_expire(expire)
        self._server = Server(url, timeout)
        self._timeout = timeout
        self._value = secrets.token_hex(16)
        self.key = key
        self.expire = expire

    def acquire(self) -> bool:
        """Block until the lock is held, and return True.

        Raises:
            NotReady, NoLeader, Overloaded: for longer than `timeout` nobody could answer.
            OutcomeUnknown: several requests went unanswered. Malformed: the key or a bound.
        """
        patience = Patience(self._timeout)
        pause = FIRST_PAUSE
        while True:
            try:
                self._ask(self.expire, LockHeld)
            except LockHeld:
                patience.renew()
                pause = rest(pause)
            except PASSING as error:
                patience.bear(error)
            except OutcomeUnknown as error:
                patience.bear(error)
                self._take_back(patience, error)
            else:
                return True

    def release(self) -> None:
        """Give the lock back.

        Raises:
            NotHolder: this object does not hold it, or held it for longer than `expire`.
            As `acquire` where nobody answers.
        """
        patience = Patience(self._timeout)
        unknown: OutcomeUnknown | None = None
        while True:
            try:
                self._ask(0, NotHolder)
            except NotHolder:
                if unknown is None:
                    raise
                return  # the one that was not answered has released it
            except PASSING as error:
                patience.bear(unknown or error)
            except OutcomeUnknown as error:
                unknown = error
                patience.bear(error)
            else:
                return

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.release()
        except NotHolder:
            # Within an error of the block's own, that one is what the caller must see.
            if kind is None:
                raise

    def _take_back(self, patience: Patience, unknown: OutcomeUnknown) -> None:
        """After an acquire without an answer: free what it may have taken. Its value is no
        identity, so another try would be refused by this very lock."""
        while True:
            try:
                self._ask(0, NotHolder)
            except NotHolder:
                return
            except (*PASSING, OutcomeUnknown):
                patience.bear(unknown)
            else:
                return

    def _ask(self, expire: float, conflict: type[RaftcoordError]) -> dict[str, Any]:
        fields = {"key": self.key, "expire": f"{expire:.12g}", "value": self._value}
        return self._server.ask("GET", fields, conflict)
