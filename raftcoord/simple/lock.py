"""A lock by name."""

from types import TracebackType
from typing import Self

from raftcoord.errors import NotHolder
from raftcoord.simple.checks import check_expire, check_text
from raftcoord.simple.retries import LockRetries
from raftcoord.simple.server import Server, run


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
        server = Server(url, timeout)
        self._retries = LockRetries(server, key, server.value(), timeout)
        self.key = key
        self.expire = expire

    def acquire(self) -> bool:
        """Block until the lock is held, and return True.

        Raises:
            NotReady, NoLeader, Overloaded: for longer than `timeout` nobody could answer.
            OutcomeUnknown: several requests went unanswered. Malformed: the key or a bound.
        """
        run(self._retries.acquire(self.expire))
        return True

    def release(self) -> None:
        """Give the lock back.

        Raises:
            NotHolder: this object does not hold it, or held it for longer than `expire`.
            As `acquire` where nobody answers.
        """
        run(self._retries.release())

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
