"""A command on its way through the log, and how it becomes bytes and back.

Version 1 is MessagePack of `Envelope`. What a node cannot decode it cannot apply: `decode` then
raises, and the node stops before its applied index moves, instead of skipping what others apply.
"""

from typing import Any

import msgspec

from raftcoord.commands.base import Reply
from raftcoord.commands.clock import AdvanceClock, ClockAdvanced
from raftcoord.commands.locks import (
    AcquireCancelled,
    AcquireLock,
    CancelAcquire,
    Granted,
    Queued,
    Refreshed,
    RefreshLock,
    Released,
    ReleaseLock,
)
from raftcoord.commands.rings import (
    DeleteRing,
    JoinRing,
    LeaveRing,
    PutRing,
    RingChanged,
    RingDeleted,
)
from raftcoord.commands.sessions import (
    CloseSession,
    KeepAlive,
    KeptAlive,
    OpenSession,
    SessionClosed,
    SessionOpened,
)
from raftcoord.commands.simple import (
    SimpleAnswer,
    SimpleCommit,
    SimpleLock,
    SimplePrepare,
    SimpleRollback,
    SimpleUnlock,
)
from raftcoord.commands.transactions import (
    AcknowledgeTransaction,
    BeginTransaction,
    CommitTransaction,
    RollbackTransaction,
    TransactionAnswer,
    VoteTransaction,
)
from raftcoord.errors import CannotApply, Malformed, RaftcoordError

VERSION = 1

AnyCommand = (
    AdvanceClock
    | OpenSession
    | KeepAlive
    | CloseSession
    | AcquireLock
    | ReleaseLock
    | RefreshLock
    | CancelAcquire
    | PutRing
    | JoinRing
    | LeaveRing
    | DeleteRing
    | BeginTransaction
    | VoteTransaction
    | CommitTransaction
    | RollbackTransaction
    | AcknowledgeTransaction
    | SimpleLock
    | SimpleUnlock
    | SimplePrepare
    | SimpleCommit
    | SimpleRollback
)


class Refused(Reply, frozen=True, tag="refused"):
    """An error of `raftcoord.errors` where a reply is stored or sent."""

    slug: str
    detail: str
    fields: dict[str, Any]


AnyReply = (
    ClockAdvanced
    | SessionOpened
    | KeptAlive
    | SessionClosed
    | Granted
    | Queued
    | Released
    | Refreshed
    | AcquireCancelled
    | RingChanged
    | RingDeleted
    | TransactionAnswer
    | SimpleAnswer
    | Refused
)


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A command, who wants it, and the request id of the gateway that sent it.

    Args:
        gateway: the node whose front door took the request.
        boot: that node's incarnation; greater after every start.
        seq: the request's number in that boot, growing; 0 for what may be executed twice.
        low: the lowest number of that boot whose outcome the gateway does not know yet; answers
            below it are dropped.
        identity: on whose behalf.
        v: version of this format.
    """

    gateway: str
    boot: int
    seq: int
    low: int
    identity: str
    command: AnyCommand
    v: int = VERSION


_UNENCODABLE = (OverflowError, UnicodeEncodeError, RecursionError, TypeError)
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Envelope)
_reply_decoder: msgspec.msgpack.Decoder[AnyReply] = msgspec.msgpack.Decoder(AnyReply)


def encode(envelope: Envelope) -> bytes:
    """The bytes for the log, tried by decoding them: what gets into the log stops every node that
    cannot decode it.

    Raises:
        Malformed: something in it has no MessagePack form (a number beyond 64 bits, half a
            surrogate pair, too deep a nesting), or a field is of another type than it says.
    """
    try:
        data = _encoder.encode(envelope)
        _decoder.decode(data)
    except (msgspec.DecodeError, *_UNENCODABLE) as error:
        raise Malformed(f"the request cannot be stored: {error}", field="body") from error
    return data


def decode(payload: bytes) -> Envelope:
    """The envelope in the bytes of a log entry.

    Raises:
        CannotApply: a command, a field or a version that this node does not know.
    """
    try:
        envelope = _decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        raise CannotApply(f"this node does not know the command: {error}") from error
    if envelope.v != VERSION:
        raise CannotApply(
            f"the command has version {envelope.v}; this node knows up to {VERSION}",
            version=envelope.v,
            known=VERSION,
        )
    return envelope


def encode_reply(reply: Reply | RaftcoordError) -> bytes:
    """A reply or an error as MessagePack; durations stay integer milliseconds."""
    if isinstance(reply, RaftcoordError):
        reply = Refused(reply.slug, reply.detail, reply.fields)
    return _encoder.encode(reply)


def decode_reply(data: bytes) -> Reply | RaftcoordError:
    """What `encode_reply` was given.

    Raises:
        msgspec.DecodeError: it is something else.
    """
    reply = _reply_decoder.decode(data)
    if isinstance(reply, Refused):
        return RaftcoordError.from_wire(
            {"slug": reply.slug, "detail": reply.detail, "fields": reply.fields}
        )
    return reply
