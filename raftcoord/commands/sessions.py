"""Sessions: leases that carry what a client holds.

Source: Chubby (OSDI 2006) §2.8, sessions and keepalives.
"""

from typing import ClassVar

from raftcoord.commands.base import Command, Meta, Reply


class OpenSession(Command, frozen=True, tag="session.open"):
    """Open a session.

    Args:
        ttl: milliseconds it lives without a keepalive.
        meta: what others see of it.
    """

    ttl: int
    meta: Meta | None = None


class KeepAlive(Command, frozen=True, tag="session.keepalive"):
    """Extend many sessions in one entry; ids that are unknown or over are answered as such."""

    priority: ClassVar[bool] = True
    ids: tuple[int | str, ...]


class CloseSession(Command, frozen=True, tag="session.close"):
    """End a session and all it holds.

    Errors: unknown-session.
    """

    priority: ClassVar[bool] = True
    id: int


class SessionOpened(Reply, frozen=True, tag="session.opened"):
    """The session lives for `ttl` milliseconds from this entry."""

    id: int
    ttl: int


class KeptAlive(Reply, frozen=True, tag="session.kept-alive"):
    """Milliseconds left, in the order of the ids asked for; None where the session is gone."""

    expires_in: tuple[int | None, ...]


class SessionClosed(Reply, frozen=True, tag="session.closed"):
    """The session is over, and what it held is free."""

    id: int
