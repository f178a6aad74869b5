"""The model of a lock: at most one holder, a higher token for each grant, leases that end.

A lock of the simple protocol is the lock of that name; its value stands in for the owner.

What happens by itself: a grant ends when its lease does, at the earliest at `until`. A grant whose
request has no known outcome may be taken back by its gateway at any time. When a grant ends at the
latest is not said: cluster time stands still without a leader; but what a session holds is over
when somebody met the session gone.

Who waits in the queue is not part of the state, so whom a free lock is granted to is left open.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from chaos.checkers.clocks import Clocks
from chaos.checkers.facts import SIMPLE_OWNER, Holder
from chaos.checkers.linear.steps import Model

SIMPLE = SIMPLE_OWNER + "\0"
"""Begins the owner of a grant of the simple protocol; its value follows."""


class Lock(NamedTuple):
    """A lock.

    Args:
        last: the highest token that is known to have been given.
        owner, session: the holder; owner is None while it is free.
        token: of the grant; 0 where no answer has shown it yet.
        until: the grant does not end by itself before.
        ttl: seconds of its own lease, where it has one.
        loose: its request has no known outcome, so that it may be taken back at any time; of its
            lease nothing is said then.
    """

    last: int
    owner: str | None = None
    session: int | None = None
    token: int = 0
    until: int = 0
    ttl: float | None = None
    loose: bool = False


States = tuple[Lock, ...]
FREE = Lock(0)
NOTHING: States = ()


def ends(lock: Lock) -> Iterable[tuple[int, Lock]]:
    """A grant ends by itself."""
    return () if lock.owner is None else ((lock.until, Lock(lock.last)),)


def last_token(lock: Lock) -> int:
    """The level of a lock: tokens never fall."""
    return lock.last


def words(lock: Lock) -> str:
    """For people."""
    if lock.owner is None:
        return f"free after token {lock.last}" if lock.last else "free"
    session = "" if lock.session is None else f" of session {lock.session}"
    token = f"token {lock.token}" if lock.token else "a token not shown yet"
    return f"held by {lock.owner.replace(chr(0), ', value ')}{session} with {token}"


MODEL: Model[Lock] = Model(FREE, ends, last_token, words)


# What an operation does to a lock: the states behind it, none where its answer cannot be.


def _known(lock: Lock, token: int) -> Lock | None:
    """The lock while this grant stands, its token noted where it was not known; else None."""
    if lock.owner is None:
        return None
    if lock.token == token:
        return lock
    if lock.token == 0 and token > lock.last:
        return lock._replace(token=token, last=token)
    return None


def granted(
    owner: str, session: int | None, token: int, until: int, ttl: float | None, lock: Lock
) -> States:
    """A grant, with this token, that does not end by itself before `until`."""
    if lock.owner is None:
        return (Lock(token, owner, session, token, until, ttl),) if token > lock.last else NOTHING
    # Requests of one holder that waited at the same time have the same grant.
    same = (lock.owner, lock.session, lock.token) == (owner, session, token)
    return (lock,) if same else NOTHING


def may_be_granted(owner: str, session: int | None, lock: Lock) -> States:
    """A request for a grant of which nobody heard."""
    if lock.owner is not None:
        return NOTHING
    return (Lock(lock.last, owner, session, loose=True),)


def released(owner: str, session: int | None, token: int, lock: Lock) -> States:
    """The holder gave this grant back."""
    held = _known(lock, token)
    if held is None or (held.owner, held.session) != (owner, session):
        return NOTHING
    return (Lock(held.last),)


def unlocked(owner: str, lock: Lock) -> States:
    """The lock was freed by the value it was taken with."""
    return (Lock(lock.last),) if lock.owner == owner else NOTHING


def not_unlocked(owner: str, lock: Lock) -> States:
    """Freeing it by this value was refused."""
    return NOTHING if lock.owner == owner else (lock,)


class Lease(NamedTuple):
    """What a refresh asks for.

    Args:
        ttl: seconds; None for the same length again.
        shown: what the answer says is left, where there is one.
        session_ends: when its session may end at the earliest.
    """

    clocks: Clocks
    begin: int
    ttl: float | None
    shown: float | None
    session_ends: int


def _extended(lease: Lease, lock: Lock) -> Lock:
    if lock.loose:
        return lock
    ttl = lock.ttl if lease.ttl is None else lease.ttl
    if ttl is not None and lease.shown is not None:
        # The session may be what the answer counts: its shorter life then.
        ttl = min(ttl, max(lease.shown, 0.0))
    until = lease.session_ends
    if ttl is not None:
        until = min(until, lease.clocks.surely_until(lease.begin, ttl))
    return lock._replace(until=until, ttl=ttl)


def refreshed(owner: str, session: int | None, token: int, lease: Lease, lock: Lock) -> States:
    """The holder let the lease start anew."""
    held = _known(lock, token)
    if held is None or (held.owner, held.session) != (owner, session):
        return NOTHING
    return (_extended(lease, held),)


def may_be_refreshed(
    owner: str, session: int | None, token: int, lease: Lease, lock: Lock
) -> States:
    """A refresh of which nobody heard."""
    held = _known(lock, token)
    if held is None or (held.owner, held.session) != (owner, session):
        return NOTHING
    after = _extended(lease, held)
    # One that makes a lease longer explains nothing that is not explained without it.
    return (after,) if after.until < held.until else NOTHING


def not_holder(owner: str, session: int | None, token: int, lock: Lock) -> States:
    """Somebody was told not to hold the lock with this token."""
    held = (lock.owner, lock.session, lock.token) == (owner, session, token)
    return NOTHING if held else (lock,)


def session_gone(session: int | None, lock: Lock) -> States:
    """Somebody was told that the session has ended."""
    return NOTHING if lock.owner is not None and lock.session == session else (lock,)


def held(token: int, lock: Lock) -> States:
    """This grant stands."""
    known = _known(lock, token)
    return NOTHING if known is None else (known,)


def not_held(token: int, lock: Lock) -> States:
    """This grant does not stand."""
    return NOTHING if lock.owner is not None and lock.token == token else (lock,)


def _is(lock: Lock, holder: Holder) -> bool:
    owner = lock.owner
    if owner is not None and owner.startswith(SIMPLE):
        owner = SIMPLE_OWNER
    return (owner, lock.session) == (holder.owner, holder.session)


def shown(holder: Holder, lock: Lock) -> States:
    """The lock was shown with this holder."""
    if not _is(lock, holder):
        return NOTHING
    if holder.token is None:
        return (lock,)
    return held(holder.token, lock)


def shown_free(lock: Lock) -> States:
    """The lock was shown without a holder."""
    return (lock,) if lock.owner is None else NOTHING


def never(lock: Lock) -> States:
    """No lock can have been answered like this."""
    return NOTHING
