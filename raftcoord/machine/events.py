"""What happened in an entry, for those who wait or watch.

| kind | key | data |
|---|---|---|
| session.opened, session.ended | session id | `SessionEvent` |
| lock.granted | lock | `LockGranted` |
| lock.wait-ended | lock | `WaitEnded` |
| lock.released | lock | `LockReleased` |
| ring.changed, ring.deleted | ring | version |
| transaction.begun, .decided, .finished, .forgotten | transaction id | `TransactionEvent` |
| alarm | what failed | `AlarmRaised` |

Keys are text. Events are no part of the state: they leave with `Applied` and are forgotten here.
"""

from typing import Any, NamedTuple

from msgspec import Struct

from raftcoord.commands import Granted
from raftcoord.errors import RaftcoordError


class Event(NamedTuple):
    """One thing that happened."""

    kind: str
    key: str
    data: Any


class Request(Struct, frozen=True, array_like=True, gc=False):
    """The request id of a gateway: who waits for an answer. `seq` is 0 where none was given."""

    gateway: str
    boot: int
    seq: int


class SessionEvent(Struct, frozen=True, gc=False):
    """A session began or ended; `reason`: opened, closed, expired."""

    reason: str


class LockGranted(Struct, frozen=True, gc=False):
    """A grant, and the requests that it answers."""

    requests: tuple[Request, ...]
    reply: Granted


class WaitEnded(Struct, frozen=True, gc=False):
    """These requests wait no longer; `error` is their answer."""

    requests: tuple[Request, ...]
    error: RaftcoordError


class LockReleased(Struct, frozen=True, gc=False):
    """A grant is over; `reason`: released, expired, session-gone, cancelled."""

    token: int
    session: int | None
    owner: str
    reason: str


class TransactionEvent(Struct, frozen=True, gc=False):
    """Where a transaction stands after the entry."""

    state: str
    decision: str | None
    reason: str | None


class AlarmRaised(Struct, frozen=True, gc=False):
    """A bug was met and undone; `trace` is for the node's own log and differs between nodes."""

    index: int
    error: str
    trace: str
