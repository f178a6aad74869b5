"""What was asked of this node and has no answer yet: bounded, and every caller gets one.

A caller is told one of three things: `applied` with the machine's reply, `refused` (it was not
executed and never will be by this proposal), or `unknown` (it may or may not be executed).
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import msgspec

from raftcoord.errors import (
    BodyTooLarge,
    Malformed,
    NoLeader,
    NotReady,
    OutcomeUnknown,
    Overloaded,
    RaftcoordError,
    StorageFull,
)


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """How a proposal ended.

    index, reply: where "applied", the entry's index and what the machine answered.
    error: where "refused" or "unknown".
    """

    kind: Literal["applied", "refused", "unknown"]
    index: int = 0
    reply: Any = None
    error: RaftcoordError | None = None


Done = Callable[[Outcome], None]

NO_LEADER = "no-leader"
OVERLOADED = "overloaded"
STORAGE_FULL = "storage-full"
TOO_LARGE = "too-large"
NOT_NOW = "not-now"
BAD_MEMBER = "bad-member"

_REFUSALS: dict[str, Callable[[], RaftcoordError]] = {
    NO_LEADER: lambda: NoLeader("no leader is known: an election is under way", retry_after=0.1),
    OVERLOADED: lambda: Overloaded("too many commands wait already", retry_after=0.5),
    STORAGE_FULL: lambda: StorageFull(
        "the disk of the leader, or of a majority, is full", retry_after=1.0
    ),
    TOO_LARGE: lambda: BodyTooLarge("a command has at most 2 MiB", limit=2 << 20),
    NOT_NOW: lambda: NotReady(
        "members change one voter at a time, after the last change is committed",
        reason="not-now",
    ),
    BAD_MEMBER: lambda: Malformed(
        "a member has a name of at most 64 bytes and two addresses, host:port each", field="member"
    ),
}


def refused(reason: str) -> Outcome:
    """Not executed, for one of the reasons above; an unknown word counts as no leader."""
    return Outcome("refused", error=_REFUSALS.get(reason, _REFUSALS[NO_LEADER])())


def unknown(why: str) -> Outcome:
    """It may or may not be executed."""
    return Outcome("unknown", error=OutcomeUnknown(why))


class Origin(NamedTuple):
    """Who forwarded a proposal: the node and its request id."""

    node: str
    id: tuple[int, int]


class Proposal(NamedTuple):
    """One command on its way into the log: of a caller here (`done`) or elsewhere (`origin`)."""

    payload: bytes
    priority: bool
    done: Done | None = None
    origin: Origin | None = None


class ProposalQueue:
    """Two bounded queues. The small one is for what keeps the living alive and lets go of
    things (keepalives, releases, cancels), so that load never expires anybody.

    limit: proposals; limit_bytes: their payloads together; each queue has both to itself.
    """

    def __init__(self, limit: int = 20_000, limit_bytes: int = 64 << 20) -> None:
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._queues: tuple[deque[Proposal], deque[Proposal]] = (deque(), deque())
        self._bytes = [0, 0]

    def __len__(self) -> int:
        return len(self._queues[0]) + len(self._queues[1])

    def put(self, proposal: Proposal) -> bool:
        """Queue it; False where there is no room."""
        lane = 0 if proposal.priority else 1
        queue = self._queues[lane]
        size = self._bytes[lane] + len(proposal.payload)
        if len(queue) >= self._limit or size > self._limit_bytes:
            return False
        self._bytes[lane] = size
        queue.append(proposal)
        return True

    def take(self, count: int) -> list[Proposal]:
        """Up to `count`, the small queue first, each in the order of its arrival."""
        taken: list[Proposal] = []
        for lane, queue in enumerate(self._queues):
            while queue and len(taken) < count:
                proposal = queue.popleft()
                self._bytes[lane] -= len(proposal.payload)
                taken.append(proposal)
        return taken


class Waiting(NamedTuple):
    """A caller whose entry was appended in `term` and is not applied yet."""

    term: int
    done: Done


class WaitingCallers:
    """Callers by the log index of their entries."""

    def __init__(self) -> None:
        self._by_index: dict[int, list[Waiting]] = {}

    def __len__(self) -> int:
        return len(self._by_index)

    def add(self, index: int, term: int, done: Done) -> None:
        """`done` waits for the entry (index, term)."""
        self._by_index.setdefault(index, []).append(Waiting(term, done))

    def applied(self, index: int, term: int, reply: Any) -> list[tuple[Done, Outcome]]:
        """The entry (index, term) was applied. Another term's entry at this index can never be
        committed any more, so its callers' commands were not executed."""
        callers = self._by_index.pop(index, None)
        if callers is None:
            return []
        outcome = Outcome("applied", index, reply)
        return [
            (caller.done, outcome if caller.term == term else refused(NO_LEADER))
            for caller in callers
        ]

    def superseded(self, index: int, term: int) -> list[tuple[Done, Outcome]]:
        """The first entry of `term` was applied, at `index`. Terms never fall along a log, so no
        entry of an older term can be committed behind it."""
        behind = sorted(
            known
            for known, callers in self._by_index.items()
            if known > index and any(caller.term < term for caller in callers)
        )
        told: list[tuple[Done, Outcome]] = []
        for known in behind:
            callers = self._by_index.pop(known)
            told.extend(
                (caller.done, refused(NO_LEADER)) for caller in callers if caller.term < term
            )
            kept = [caller for caller in callers if caller.term >= term]
            if kept:
                self._by_index[known] = kept
        return told

    def covered(self, index: int) -> list[tuple[Done, Outcome]]:
        """A snapshot up to `index` was installed: what became of these entries is not in it."""
        outcome = unknown("a snapshot was installed over the entry")
        covered = sorted(known for known in self._by_index if known <= index)
        return [(caller.done, outcome) for known in covered for caller in self._by_index.pop(known)]

    def cut(self, index: int) -> list[tuple[Done, Outcome]]:
        """The entries from `index` on were deleted here; another node may still commit them."""
        outcome = unknown("another leader's log replaced the entry here")
        cut = sorted(known for known in self._by_index if known >= index)
        return [(caller.done, outcome) for known in cut for caller in self._by_index.pop(known)]


class _Asked(NamedTuple):
    done: Done
    until: float


class AskedLeader:
    """Proposals forwarded to the leader, by request id, in the order they were sent.

    run: a number that no other run of this node, on whatever data folder, has.
    """

    def __init__(self, run: int, patience: float) -> None:
        self._run = run
        self._patience = patience
        self._counter = 0
        self._asked: dict[tuple[int, int], _Asked] = {}

    def __len__(self) -> int:
        return len(self._asked)

    def add(self, done: Done, now: float) -> tuple[int, int]:
        """The id to send with it. Ids of an earlier run of this node never come again."""
        self._counter += 1
        request = (self._run, self._counter)
        self._asked[request] = _Asked(done, now + self._patience)
        return request

    def pop(self, request: tuple[int, int]) -> Done | None:
        """The caller of that request, if it still waits."""
        asked = self._asked.pop(request, None)
        return asked.done if asked is not None else None

    def expired(self, now: float) -> list[Done]:
        """Those whose answer is overdue."""
        late: list[Done] = []
        while self._asked:
            request, asked = next(iter(self._asked.items()))
            if asked.until > now:
                break
            late.append(self._asked.pop(request).done)
        return late

    def drop_all(self) -> list[Done]:
        """The leader is gone: all that were asked of it."""
        dropped = [asked.done for asked in self._asked.values()]
        self._asked.clear()
        return dropped
