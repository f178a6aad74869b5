"""Every error of the product: one tree, shared by the server, the clients and the command line.

    RaftcoordError
    ├── CallerError                 the request is wrong; sent again unchanged it fails again
    │   ├── Malformed               malformed             400
    │   ├── Forbidden               forbidden             403
    │   ├── NotFound                not-found             404
    │   ├── MethodNotAllowed        method-not-allowed    405
    │   ├── BodyTooLarge            body-too-large        413
    │   ├── UnsupportedMedia        unsupported-media     415
    │   └── UnknownParticipant      unknown-participant   422
    ├── StateError                  the request is right; what is there does not allow it
    │   ├── UnknownSession          unknown-session       404
    │   ├── UnknownRing             unknown-ring          404
    │   ├── UnknownMember           unknown-member        404
    │   ├── UnknownVersion          unknown-version       404
    │   ├── UnknownTransaction      unknown-transaction   404  never to be read as abort
    │   ├── SessionGone             session-gone          409
    │   ├── LockHeld                lock-held             409
    │   ├── AlreadyHeld             already-held          409
    │   ├── NotHolder               not-holder            409
    │   ├── WaitCancelled           wait-cancelled        409
    │   ├── VotesMissing            votes-missing         409
    │   ├── VoteConflict            vote-conflict         409
    │   ├── TransactionDecided      transaction-decided   409
    │   ├── TransactionOpen         transaction-open      409
    │   ├── AlreadyPrepared         already-prepared      409
    │   ├── NotPrepared             not-prepared          409
    │   ├── Stale                   stale                 409
    │   ├── VersionForgotten        version-forgotten     410
    │   ├── Forgotten               forgotten             410
    │   └── LimitReached            limit-reached         429
    ├── ClusterError                the cluster cannot now; nothing was executed
    │   ├── NoLeader                no-leader             503
    │   ├── Overloaded              overloaded            503
    │   ├── StorageFull             storage-full          503
    │   ├── NotReady                not-ready             503
    │   ├── RevisionNotReached      revision-not-reached  504
    │   └── InternalError           internal-error        500
    ├── OutcomeUnknown              outcome-unknown       503  it may have been executed
    └── NodeError                   this node cannot start, or cannot go on
        ├── DataDamaged             data-damaged          exit 65
        ├── UnknownFormat           format-unknown        exit 65
        ├── DataMissing             data-missing          exit 66
        ├── CannotApply             cannot-apply          exit 70
        ├── DataLocked              data-locked           exit 75
        └── ConfigInvalid           config-invalid        exit 78

The class says who is to blame (`blame`), which HTTP status and which exit status it has; the slug
is the stable name that programs compare. What an error says it says twice: `detail` is a sentence
for a person, `fields` the same facts for a program. Fields go to the wire as they are: strings,
numbers, booleans, None, lists and dicts of them; durations in them are seconds.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

Blame = Literal["caller", "state", "cluster", "unknown"]

ERRORS: "dict[str, type[RaftcoordError]]" = {}
"""The published table: slug → class, every error that has a slug of its own."""


class RaftcoordError(Exception):
    """The root of the tree; on its own only for an error of a newer node, unknown here.

    Args:
        detail: one sentence: what, with what, and what to do.
        **fields: the same facts for programs; JSON values, durations in seconds.

    Attributes:
        revision: of the state that a read met it in; 0 where none did.
    """

    slug: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    blame: ClassVar[Blame] = "unknown"
    revision: int = 0

    def __init__(self, detail: str, **fields: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fields = fields

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "slug" in cls.__dict__:
            ERRORS[cls.slug] = cls

    def to_wire(self) -> dict[str, Any]:
        """`{"slug", "detail", "fields"}`, enough for `from_wire` to build the error again."""
        return {"slug": self.slug, "detail": self.detail, "fields": self.fields}

    @staticmethod
    def from_wire(wire: Mapping[str, Any]) -> "RaftcoordError":
        """The error that `to_wire` described.

        A slug unknown here gives the root class, with the slug among the fields.
        """
        slug = wire["slug"]
        known = ERRORS.get(slug)
        if known is None:
            return RaftcoordError(wire["detail"], **{**wire["fields"], "slug": slug})
        return known(wire["detail"], **wire["fields"])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RaftcoordError):
            return NotImplemented
        return self.to_wire() == other.to_wire()

    def __hash__(self) -> int:
        return hash((self.slug, self.detail))

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are rebuilt from their positional arguments, which do not carry the fields.
        return (self._rebuild, (self.detail, self.fields))

    @classmethod
    def _rebuild(cls, detail: str, fields: dict[str, Any]) -> Self:
        return cls(detail, **fields)


class CallerError(RaftcoordError):
    """The request is wrong."""

    blame: ClassVar[Blame] = "caller"
    status = 400
    exit_code = 64


class Malformed(CallerError):
    """A field is wrong. Fields: field, allowed."""

    slug = "malformed"


class Forbidden(CallerError):
    """The caller may not do this. Fields: reason."""

    slug = "forbidden"
    status = 403
    exit_code = 77


class NotFound(CallerError):
    """No such route. Fields: path."""

    slug = "not-found"
    status = 404


class MethodNotAllowed(CallerError):
    """The route has no such method. Fields: method, allowed."""

    slug = "method-not-allowed"
    status = 405


class BodyTooLarge(CallerError):
    """The body is larger than allowed. Fields: limit (bytes)."""

    slug = "body-too-large"
    status = 413


class UnsupportedMedia(CallerError):
    """The content type is none that is read here. Fields: allowed."""

    slug = "unsupported-media"
    status = 415


class UnknownParticipant(CallerError):
    """The transaction has no participant of this name. Fields: id, participant."""

    slug = "unknown-participant"
    status = 422


class StateError(RaftcoordError):
    """The request is right, but what is there does not allow it."""

    blame: ClassVar[Blame] = "state"
    status = 409
    exit_code = 1


class UnknownSession(StateError):
    """No such session, or it has ended. Fields: id."""

    slug = "unknown-session"
    status = 404


class UnknownRing(StateError):
    """No ring of this name. Fields: ring."""

    slug = "unknown-ring"
    status = 404


class UnknownMember(StateError):
    """The ring has no such member. Fields: ring, member."""

    slug = "unknown-member"
    status = 404


class UnknownVersion(StateError):
    """The ring has not had this version yet. Fields: ring, version, current."""

    slug = "unknown-version"
    status = 404


class UnknownTransaction(StateError):
    """This id was never given out here; not to be read as abort. Fields: id."""

    slug = "unknown-transaction"
    status = 404


class SessionGone(StateError):
    """The session named in the command has ended. Fields: session."""

    slug = "session-gone"


class LockHeld(StateError):
    """Others have the lock, or were there first.

    Fields: name, reason (held | queued), holders, queue (places), retry_after (seconds).
    """

    slug = "lock-held"


class AlreadyHeld(StateError):
    """This very holder has the lock. Fields: name, grant (token, session, owner, expires_in)."""

    slug = "already-held"


class NotHolder(StateError):
    """The grant is over, or was another's. Fields: name, token (or value)."""

    slug = "not-holder"


class WaitCancelled(StateError):
    """The acquire was cancelled before it was granted. Fields: name."""

    slug = "wait-cancelled"


class VotesMissing(StateError):
    """Commit was asked for before everybody had voted; nothing changed. Fields: id, missing."""

    slug = "votes-missing"


class VoteConflict(StateError):
    """The participant voted the contrary before. Fields: id, state, participant, vote."""

    slug = "vote-conflict"


class TransactionDecided(StateError):
    """The decision is another, or it is too late. Fields: id, state, decision, reason."""

    slug = "transaction-decided"


class TransactionOpen(StateError):
    """Nothing is decided that could be acknowledged. Fields: id, state."""

    slug = "transaction-open"


class AlreadyPrepared(StateError):
    """The key has a prepared value. Fields: key, state, transaction, expires_in."""

    slug = "already-prepared"


class NotPrepared(StateError):
    """This value is not prepared under the key. Fields: key, state, transaction."""

    slug = "not-prepared"


class Stale(StateError):
    """A late copy of a request that was settled long ago; it was not executed. Fields: seq."""

    slug = "stale"


class VersionForgotten(StateError):
    """The ring had this version, but it is no longer kept. Fields: ring, version, oldest."""

    slug = "version-forgotten"
    status = 410


class Forgotten(StateError):
    """The transaction ended and its record is gone; who has not finished rolls back. Fields: id."""

    slug = "forgotten"
    status = 410


class LimitReached(StateError):
    """A bound of the product is reached. Fields: field, limit."""

    slug = "limit-reached"
    status = 429


class ClusterError(RaftcoordError):
    """The cluster cannot now. What was refused was not executed."""

    blame: ClassVar[Blame] = "cluster"
    status = 503
    exit_code = 69


class NoLeader(ClusterError):
    """No leader is known. Fields: retry_after."""

    slug = "no-leader"


class Overloaded(ClusterError):
    """A bounded queue is full. Fields: retry_after."""

    slug = "overloaded"


class StorageFull(ClusterError):
    """The disk of too many members is full. Fields: reason."""

    slug = "storage-full"


class NotReady(ClusterError):
    """This node is starting, stopping, or cut off. Fields: reason."""

    slug = "not-ready"


class RevisionNotReached(ClusterError):
    """The node did not get to `min_revision` in time. Fields: revision, wanted."""

    slug = "revision-not-reached"
    status = 504


class InternalError(ClusterError):
    """A bug was met and undone. Fields: index (of the log entry)."""

    slug = "internal-error"
    status = 500
    exit_code = 70


class OutcomeUnknown(RaftcoordError):
    """It may have been executed, or may be yet. Fields: reason."""

    slug = "outcome-unknown"
    status = 503
    exit_code = 75
    blame: ClassVar[Blame] = "unknown"


class NodeError(RaftcoordError):
    """This node cannot start, or cannot go on; the process ends with `exit_code`."""

    blame: ClassVar[Blame] = "cluster"
    status = 503
    exit_code = 70


class DataDamaged(NodeError):
    """Stored bytes are not what was written. Fields: file, offset."""

    slug = "data-damaged"
    exit_code = 65


class UnknownFormat(NodeError):
    """Stored by a newer version, or not by raftcoord. Fields: file, format, known."""

    slug = "format-unknown"
    exit_code = 65


class DataMissing(NodeError):
    """The data folder is empty where the member should have data. Fields: folder."""

    slug = "data-missing"
    exit_code = 66


class CannotApply(NodeError):
    """The log holds something this node does not know how to apply. Fields: index."""

    slug = "cannot-apply"
    exit_code = 70


class DataLocked(NodeError):
    """Another process uses the data folder. Fields: folder."""

    slug = "data-locked"
    exit_code = 75


class ConfigInvalid(NodeError):
    """The configuration is wrong. Fields: field, allowed."""

    slug = "config-invalid"
    exit_code = 78
    blame: ClassVar[Blame] = "caller"
