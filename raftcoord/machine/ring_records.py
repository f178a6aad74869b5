"""What stands in the tables of rings, and what callers see of it."""

from msgspec import Struct

from raftcoord.commands import Meta
from raftcoord.machine.ledger import Record


class Settings(Record, frozen=True):
    """What `ring.put` says."""

    virtual_nodes: int
    replicas: int
    hash: str


class Member(Record, frozen=True):
    """A member; `session` is the one it leaves with."""

    weight: float
    address: str | None
    meta: Meta | None
    session: int | None


class Change(Record, frozen=True):
    """What one version changed: a member, or the settings. Both as they stood before it."""

    id: str | None
    before: Member | None
    settings: Settings


class Ring(Record, frozen=True):
    """A ring. `first` is the oldest version kept; `points` of all members together."""

    settings: Settings
    version: int
    first: int
    points: int


class MemberView(Struct, frozen=True, gc=False):
    """A member as callers see it."""

    id: str
    weight: float
    address: str | None
    meta: Meta | None
    session: int | None


class RingView(Struct, frozen=True, gc=False):
    """One version of a ring as callers see it, members in the order of their ids."""

    name: str
    version: int
    virtual_nodes: int
    replicas: int
    hash: str
    members: tuple[MemberView, ...]


class Found(Struct, frozen=True, gc=False):
    """The members for a key, and the version that says so."""

    members: tuple[str, ...]
    version: int
