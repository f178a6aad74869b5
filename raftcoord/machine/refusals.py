"""How a lock says no: the errors of `locks`, with what a caller needs to go on."""

from raftcoord.commands import bounds
from raftcoord.errors import AlreadyHeld, LimitReached, LockHeld, NotHolder, SessionGone
from raftcoord.machine.grants import HolderView

RETRY_AFTER = 1_000
"""Milliseconds after which it is worth asking again, at most: most locks are released long
before their lease is over."""


def held(name: str, holder: HolderView | None, waiting: int, *, queued: bool) -> LockHeld:
    """Somebody has the lock (`holder`), or others wait before the caller (`queued`).

    `waiting` counts the others who wait.
    """
    left = RETRY_AFTER if holder is None else min(holder.expires_in, RETRY_AFTER)
    who = "free for the first of its queue" if holder is None else f"held by {holder.owner}"
    holders = []
    if holder is not None:
        holders.append(
            {
                "session": holder.session,
                "owner": holder.owner,
                "expires_in": holder.expires_in / 1000,
                "meta": holder.meta,
            }
        )
    return LockHeld(
        f"lock {name} is {who}; others waiting: {waiting}",
        name=name,
        reason="queued" if queued else "held",
        holders=holders,
        queue=waiting,
        retry_after=left / 1000,
    )


def already_held(name: str, holder: HolderView) -> AlreadyHeld:
    """The caller has it."""
    return AlreadyHeld(
        f"{holder.owner} holds lock {name} already (token {holder.token})",
        name=name,
        grant={
            "session": holder.session,
            "owner": holder.owner,
            "token": holder.token,
            "expires_in": holder.expires_in / 1000,
        },
    )


def not_holder(name: str, owner: str, token: int) -> NotHolder:
    """The grant is over, or was another's."""
    return NotHolder(
        f"{owner} does not hold lock {name} with token {token}; acquire it anew",
        name=name,
        token=token,
    )


def session_gone(session: int) -> SessionGone:
    """The waiter's session has ended."""
    return SessionGone(f"session {session} has ended; open a new one", session=session)


def queue_full(name: str) -> LimitReached:
    """As many wait as may wait."""
    return LimitReached(
        f"{bounds.QUEUE} wait for lock {name}; more are not taken",
        field="queue",
        limit=bounds.QUEUE,
    )


def too_many_joined(name: str) -> LimitReached:
    """As many requests of one holder wait as may wait."""
    return LimitReached(
        f"{bounds.JOINED_REQUESTS} requests of this holder wait for lock {name} already",
        field="requests",
        limit=bounds.JOINED_REQUESTS,
    )
