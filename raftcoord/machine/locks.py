"""Locks: at most one holder, first come first served, a token for every grant.

The rules:

- Nobody passes the head of the queue: a lock that somebody waits for is not free.
- A grant that ends hands the lock to the first living waiter in the same entry; the lease of that
  grant starts then.
- The same holder again is refused with its grant, or joins its own wait.
- A grant or a wait whose end was not collected yet counts as gone; whoever changes the lock
  collects it on the way.
"""

from msgspec import Struct

from raftcoord.commands import (
    AcquireCancelled,
    AcquireLock,
    CancelAcquire,
    Envelope,
    Granted,
    Queued,
    Refreshed,
    RefreshLock,
    Released,
    ReleaseLock,
    bounds,
)
from raftcoord.errors import LockHeld, Malformed, NotHolder, RaftcoordError, WaitCancelled
from raftcoord.machine import refusals
from raftcoord.machine.answers import Answers
from raftcoord.machine.deadlines import Deadlines
from raftcoord.machine.events import Request, WaitEnded
from raftcoord.machine.grants import Grant, Grants, HolderView
from raftcoord.machine.ledger import Ledger, Table
from raftcoord.machine.queue import Asked, Holder, Lock, Queues, Waiter
from raftcoord.machine.sessions import Sessions


class LockView(Struct, frozen=True, gc=False):
    """A lock as callers see it; `queue` is how many holders wait."""

    name: str
    holders: tuple[HolderView, ...]
    queue: int


class Locks:
    """The table of locks that are held or waited for."""

    def __init__(
        self, ledger: Ledger, deadlines: Deadlines, sessions: Sessions, answers: Answers
    ) -> None:
        self._ledger = ledger
        self._sessions = sessions
        self._answers = answers
        self.table: Table[str, Lock] = Table("locks", str, Lock, ordered=True)
        self.grants = Grants(ledger, deadlines, sessions)
        self.queues = Queues(ledger, deadlines, sessions)
        sessions.on_end("grant", self.session_ended)
        sessions.on_end("wait", self.waiter_gone)

    # Reads.

    def get(self, name: str) -> LockView:
        """The lock; a free one has no holders."""
        lock = self.table.get(name)
        if lock is None:
            return LockView(name, (), 0)
        grant = self.grants.live(lock.token)
        holders = () if grant is None else (self.grants.view(lock.token, grant),)
        return LockView(name, holders, lock.waiting)

    def check(self, name: str, token: int) -> HolderView | None:
        """The holder of that grant of the lock; None when it is over or was never given."""
        grant = self.grants.live(token)
        if grant is None or grant.name != name:
            return None
        return self.grants.view(token, grant)

    def page(self, prefix: str = "", after: str | None = None, limit: int = 100) -> list[LockView]:
        """Locks that are held or waited for, by name: of this prefix, behind `after`."""
        found: list[LockView] = []
        assert self.table.order is not None
        if prefix and (after is None or after < prefix):
            if prefix in self.table.rows:
                found.append(self.get(prefix))
            after = prefix
        for name in self.table.order.after(after):
            if len(found) >= limit or not name.startswith(prefix):
                break
            found.append(self.get(name))
        return found

    def refusal(
        self, name: str, session: int | None, identity: str, owner: str
    ) -> RaftcoordError | None:
        """What an acquire with wait 0 would be refused with now; None when it may be granted.

        For the leader: behind a read barrier such a refusal needs no log entry.
        """
        try:
            holder = self._who(session, identity, owner)
            self._check_free(name, holder)
        except RaftcoordError as error:
            return error
        return None

    def simple_refusal(self, name: str) -> RaftcoordError | None:
        """The same for the simple protocol, where nobody is the holder."""
        try:
            self._check_free(name, None)
        except RaftcoordError as error:
            return error
        return None

    # Commands.

    def acquire(self, command: AcquireLock, envelope: Envelope) -> Granted | Queued:
        """Take the lock, or queue for it."""
        name, session = command.name, command.session
        holder = self._who(session, envelope.identity, command.owner)
        if session is None and command.ttl is None:
            raise Malformed("a lock without a session needs a ttl", field="ttl")
        if command.ttl is not None and not 0 < command.ttl <= bounds.LOCK_TTL:
            raise Malformed("the ttl of a lock is 1 ms to 86400 s", field="ttl")
        if command.wait > 0:
            place = self._own_place(name, holder)
            if place is not None:
                return self._join(name, *place, self._asked(command, envelope))
        try:
            self._check_free(name, holder)
        except LockHeld:
            if command.wait <= 0:
                raise
            return self._enqueue(command, holder, self._asked(command, envelope))
        if session is not None:
            self._sessions.check_room(session)
        return self._take(name, holder, command.ttl, command.meta, _request(envelope))

    def take_simple(
        self, name: str, expire: int, value: str, identity: str, request: Request
    ) -> Granted:
        """Take the lock for the simple protocol: `value` frees it, and is no identity."""
        self._check_free(name, None)
        holder = Holder(None, identity, value)
        return self._take(name, holder, expire, None, request, simple=True)

    def release(self, command: ReleaseLock, envelope: Envelope) -> Released:
        """Give the lock back."""
        lock, _ = self._held(command, envelope)
        self._free(command.name, lock, "released")
        return Released(command.name, command.token)

    def release_simple(self, name: str, value: str) -> Released:
        """Give the lock back that the simple protocol took with this value."""
        lock = self.table.get(name)
        grant = None if lock is None else self.grants.live(lock.token)
        if lock is None or grant is None or not grant.simple or grant.holder.owner != value:
            raise NotHolder(f"lock {name} is not held with this value", name=name)
        self._free(name, lock, "released")
        return Released(name, lock.token)

    def refresh(self, command: RefreshLock, envelope: Envelope) -> Refreshed:
        """Let the grant's lease start anew."""
        if command.ttl is not None and not 0 < command.ttl <= bounds.LOCK_TTL:
            raise Malformed("the ttl of a lock is 1 ms to 86400 s", field="ttl")
        _, grant = self._held(command, envelope)
        ttl = grant.ttl if command.ttl is None else command.ttl
        if ttl is not None:
            grant = self.grants.extend(command.token, grant, ttl)
        return Refreshed(command.name, command.token, self.grants.expires_in(grant))

    def cancel(self, command: CancelAcquire, envelope: Envelope) -> AcquireCancelled:
        """Take one acquire back: its wait, its grant, or its coming."""
        name, identity = command.name, envelope.identity
        holder = _holder(command.session, identity, command.owner)
        request = Request(command.gateway, command.boot, command.seq)
        error = WaitCancelled(f"the acquire of lock {name} was cancelled", name=name)
        place = self.queues.place(name, holder)
        if place is not None and request in place[1].requests():
            self._leave(*place, (request,), error)
            return AcquireCancelled(name, "waiting")
        lock = self.table.get(name)
        grant = None if lock is None else self.grants.live(lock.token)
        if lock is None or grant is None or request not in grant.requests:
            self._answers.forbid(request, error)
            return AcquireCancelled(name, "nothing")
        self._answers.settle((request,), error)
        rest = tuple([other for other in grant.requests if other != request])
        if rest:
            self.grants.set_requests(lock.token, grant, rest)
        else:
            self._free(name, lock, "cancelled")
        return AcquireCancelled(name, "granted")

    # What becomes due, and what ends with a session.

    def lease_over(self, token: int) -> None:
        """A grant's own lease is over."""
        self._end(token, "expired")

    def session_ended(self, token: int) -> None:
        """The session of a grant has ended."""
        self._end(token, "session-gone")

    def wait_over(self, sequence: int) -> None:
        """The wait of some request at this place is over."""
        waiter, clock = self.queues.waiters.rows[sequence], self._ledger.clock
        over = tuple([asked.request for asked in waiter.asked if asked.ends <= clock])
        lock = self.table.rows[waiter.name]
        others = lock.waiting - 1
        error = self._held_error(waiter.name, lock, others, queued=waiter.previous != 0)
        self._leave(sequence, waiter, over, error)

    def waiter_gone(self, sequence: int) -> None:
        """The session of a waiter has ended."""
        waiter = self.queues.waiters.rows[sequence]
        others = self.table.rows[waiter.name].waiting - 1
        self._leave(sequence, waiter, waiter.requests(), self._late(waiter, others))

    # The parts.

    def _who(self, session: int | None, identity: str, owner: str) -> Holder:
        if session is not None:
            self._sessions.require(session)
        return _holder(session, identity, owner)

    def _own_place(self, name: str, holder: Holder) -> tuple[int, Waiter] | None:
        place = self.queues.place(name, holder)
        return place if place is not None and self.queues.lives(place[1]) else None

    def _check_free(self, name: str, holder: Holder | None) -> None:
        lock = self.table.get(name)
        if lock is None:
            return
        grant = self.grants.live(lock.token)
        if grant is not None and grant.holder == holder:
            raise refusals.already_held(name, self.grants.view(lock.token, grant))
        queued = self.queues.anybody(lock)
        if grant is not None or queued:
            raise self._held_error(name, lock, lock.waiting, queued=queued)

    def _take(
        self,
        name: str,
        holder: Holder,
        ttl: int | None,
        meta: dict[str, object] | None,
        request: Request,
        *,
        simple: bool = False,
    ) -> Granted:
        lock = self.table.get(name)
        if lock is not None:  # all that is left of it is over
            self._free(name, lock, self.grants.why_over(lock.token))
        reply = self.grants.give(name, holder, ttl, meta, (request,), simple=simple)
        self._ledger.put(self.table, name, Lock(reply.token, 0, 0, 0))
        return reply

    def _enqueue(self, command: AcquireLock, holder: Holder, asked: Asked) -> Queued:
        name = command.name
        lock = self.table.rows[name]
        if lock.waiting >= bounds.QUEUE:
            raise refusals.queue_full(name)
        if holder.session is not None:
            self._sessions.check_room(holder.session)
        former = self.queues.place(name, holder)
        if former is not None:  # over, but not collected yet: it has lost its place
            self._leave(*former, former[1].requests(), self._late(former[1], lock.waiting - 1))
            lock = self.table.rows[name]
        lock = self.queues.append(name, lock, holder, command.ttl, command.meta, asked)
        self._ledger.put(self.table, name, lock)
        if self.grants.live(lock.token) is None:  # over, not collected yet: the head's turn
            self._free(name, lock, self.grants.why_over(lock.token))
        return Queued(name, lock.waiting, asked.ends - self._ledger.time)

    def _join(self, name: str, sequence: int, waiter: Waiter, asked: Asked) -> Queued:
        if len(waiter.asked) >= bounds.JOINED_REQUESTS:
            raise refusals.too_many_joined(name)
        self.queues.set_asked(sequence, waiter, (*waiter.asked, asked))
        return Queued(name, self.table.rows[name].waiting, asked.ends - self._ledger.time)

    def _held(self, command: ReleaseLock | RefreshLock, envelope: Envelope) -> tuple[Lock, Grant]:
        holder = self._who(command.session, envelope.identity, command.owner)
        lock = self.table.get(command.name)
        if lock is not None and lock.token == command.token:
            grant = self.grants.live(lock.token)
            if grant is not None and grant.holder == holder:
                return lock, grant
        raise refusals.not_holder(command.name, command.owner, command.token)

    def _end(self, token: int, reason: str) -> None:
        name = self.grants.table.rows[token].name
        self._free(name, self.table.rows[name], reason)

    def _free(self, name: str, lock: Lock, reason: str) -> None:
        """End the lock's grant and hand it to the first living waiter."""
        self.grants.end(lock.token, reason)
        lock = Lock(0, lock.head, lock.tail, lock.waiting)
        while lock.head:
            sequence = lock.head
            waiter = self.queues.waiters.rows[sequence]
            alive = self.queues.lives(waiter)
            lock = self.queues.remove(lock, sequence)
            if alive:
                token = self._grant_to(waiter, lock.waiting)
                granted = Lock(token, lock.head, lock.tail, lock.waiting)
                self._ledger.put(self.table, name, granted)
                return
            self._tell(waiter, waiter.requests(), self._late(waiter, lock.waiting))
        self._ledger.delete(self.table, name)

    def _grant_to(self, waiter: Waiter, others: int) -> int:
        clock = self._ledger.clock
        late = tuple([asked.request for asked in waiter.asked if asked.ends <= clock])
        if late:
            self._tell(waiter, late, self._late(waiter, others))
        requests = tuple([asked.request for asked in waiter.asked if asked.ends > clock])
        reply = self.grants.give(waiter.name, waiter.holder, waiter.ttl, waiter.meta, requests)
        self._answers.settle(requests, reply)
        return reply.token

    def _leave(
        self, sequence: int, waiter: Waiter, requests: tuple[Request, ...], error: RaftcoordError
    ) -> None:
        """These requests wait no more at the place; without others the place goes too."""
        rest = tuple([asked for asked in waiter.asked if asked.request not in requests])
        if rest:
            self.queues.set_asked(sequence, waiter, rest)
        else:
            lock = self.queues.remove(self.table.rows[waiter.name], sequence)
            self._ledger.put(self.table, waiter.name, lock)
        self._tell(waiter, requests, error)

    def _tell(self, waiter: Waiter, requests: tuple[Request, ...], error: RaftcoordError) -> None:
        self._answers.settle(requests, error)
        self._ledger.emit("lock.wait-ended", waiter.name, WaitEnded(requests, error))

    def _asked(self, command: AcquireLock, envelope: Envelope) -> Asked:
        return Asked(_request(envelope), self._ledger.time + min(command.wait, bounds.WAIT))

    def _held_error(self, name: str, lock: Lock, others: int, *, queued: bool) -> LockHeld:
        grant = self.grants.live(lock.token)
        view = None if grant is None else self.grants.view(lock.token, grant)
        return refusals.held(name, view, others, queued=queued)

    def _late(self, waiter: Waiter, others: int) -> RaftcoordError:
        """What a waiter is told whose session or wait is over when its turn comes."""
        session = waiter.holder.session
        if session is not None and self._sessions.live(session) is None:
            return refusals.session_gone(session)
        return refusals.held(waiter.name, None, others, queued=waiter.previous != 0)

    def rebuild(self) -> None:
        """Make the indexes from the tables."""
        self.grants.rebuild()
        self.queues.rebuild()


def _holder(session: int | None, identity: str, owner: str) -> Holder:
    return Holder(session, identity if session is None else "", owner)


def _request(envelope: Envelope) -> Request:
    return Request(envelope.gateway, envelope.boot, envelope.seq)
