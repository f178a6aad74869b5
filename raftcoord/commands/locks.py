"""Locks: one holder each, first come first served, with fencing tokens.

A holder is (session, owner), or (identity of the caller, owner) where there is no session.

Source: Chubby (OSDI 2006) §2.4 for the token (its sequencer).
"""

from typing import ClassVar, Literal

from raftcoord.commands.base import Command, Meta, Reply


class AcquireLock(Command, frozen=True, tag="lock.acquire"):
    """Take a lock, or queue for it.

    Args:
        name: lock name, 1-256 bytes of UTF-8.
        session: who will hold it; without one, `ttl` gives the grant a lease of its own.
        owner: the agent (thread, task) that will hold it.
        ttl: milliseconds the grant lives from when it is given; with a session it ends with
            whichever ends first.
        wait: milliseconds to stay in the queue; 0 answers at once.
        meta: what others see of the holder.

    Answers: `Granted`, or `Queued` where the answer comes later as an event.
    Errors: session-gone, lock-held, already-held, limit-reached, malformed.
    """

    name: str
    owner: str
    session: int | None = None
    ttl: int | None = None
    wait: int = 0
    meta: Meta | None = None


class ReleaseLock(Command, frozen=True, tag="lock.release"):
    """Give a lock back.

    Errors: session-gone, not-holder.
    """

    priority: ClassVar[bool] = True
    name: str
    owner: str
    token: int
    session: int | None = None


class RefreshLock(Command, frozen=True, tag="lock.refresh"):
    """Let the lease of a grant start anew.

    Args:
        ttl: a new length in milliseconds; None keeps the grant's own. A grant that lives with
            its session alone is answered as it is.

    Errors: session-gone, not-holder, malformed.
    """

    priority: ClassVar[bool] = True
    name: str
    owner: str
    token: int
    session: int | None = None
    ttl: int | None = None


class CancelAcquire(Command, frozen=True, tag="lock.cancel"):
    """Take back one acquire: nobody is there to hear its answer.

    Ends that request's wait, or releases the grant it was given, unless another request of the
    same holder joined it. Sent before its acquire, it makes that one answer wait-cancelled.

    Args:
        gateway, boot, seq: the request id of the acquire.
    """

    priority: ClassVar[bool] = True
    name: str
    owner: str
    gateway: str
    boot: int
    seq: int
    session: int | None = None


class Granted(Reply, frozen=True, tag="lock.granted"):
    """The lock is held.

    Args:
        token: greater than that of every earlier grant in the cluster.
        expires_in: milliseconds from the grant until it ends by itself if nothing is refreshed
            or kept alive.
    """

    name: str
    token: int
    owner: str
    session: int | None
    expires_in: int


class Queued(Reply, frozen=True, tag="lock.queued"):
    """The request waits; a `lock.granted` or `lock.wait-ended` event names it when that is over.

    Args:
        queue: how many holders wait for the lock now, this one counted.
        ends_in: milliseconds of cluster time this request waits at most.
    """

    name: str
    queue: int
    ends_in: int


class Released(Reply, frozen=True, tag="lock.released"):
    """The grant with this token is over."""

    name: str
    token: int


class Refreshed(Reply, frozen=True, tag="lock.refreshed"):
    """The grant goes on for `expires_in` milliseconds."""

    name: str
    token: int
    expires_in: int


class AcquireCancelled(Reply, frozen=True, tag="lock.cancelled"):
    """What the cancelled acquire was: waiting, granted (and now released), or neither."""

    name: str
    was: Literal["waiting", "granted", "nothing"]
