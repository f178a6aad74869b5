"""Rings: who is responsible for which key.

Source: Karger et al., Consistent Hashing and Random Trees (STOC 1997); `raftcoord.hashring`
for the points.
"""

from typing import Literal

from raftcoord.commands.base import Command, Meta, Reply


class PutRing(Command, frozen=True, tag="ring.put"):
    """Create a ring, or change its settings.

    Args:
        virtual_nodes: points of a member of weight 1.
        replicas: how many members a lookup gives where it does not say.
        hash: the algorithm of the points.

    Errors: malformed.
    """

    name: str
    virtual_nodes: int = 128
    replicas: int = 1
    hash: Literal["md5"] = "md5"


class JoinRing(Command, frozen=True, tag="ring.join"):
    """Put a member into a ring, or change it; a ring that is not there is made with defaults.

    Args:
        weight: 0.01-100, multiplies the member's points.
        address, meta: what clients learn about it.
        session: the member leaves when this session ends.

    Errors: session-gone, limit-reached, malformed.
    """

    ring: str
    member: str
    weight: float = 1.0
    address: str | None = None
    meta: Meta | None = None
    session: int | None = None


class LeaveRing(Command, frozen=True, tag="ring.leave"):
    """Take a member out; one that is not in it changes nothing.

    Errors: unknown-ring.
    """

    ring: str
    member: str


class DeleteRing(Command, frozen=True, tag="ring.delete"):
    """Delete a ring with its members.

    Errors: unknown-ring.
    """

    name: str


class RingChanged(Reply, frozen=True, tag="ring.changed"):
    """The ring's version now, and whether the command changed it."""

    name: str
    version: int
    changed: bool


class RingDeleted(Reply, frozen=True, tag="ring.deleted"):
    """The ring is gone; `version` was its last."""

    name: str
    version: int
