"""One holder at most of each lock, first come first served, a greater token for every grant.

The books are kept from commands, replies and events; the machine's tables must say the same.
"""

from __future__ import annotations

from typing import Any

from chaos.simulation.judges.chronicle import Entry
from chaos.simulation.judges.due import LEASES, Due
from chaos.simulation.judges.queues import Asked, Place, Queue
from chaos.simulation.judges.sessions import Sessions
from chaos.simulation.violation import Violation
from raftcoord.commands import (
    AcquireLock,
    CancelAcquire,
    Envelope,
    Granted,
    Queued,
    Refreshed,
    RefreshLock,
    ReleaseLock,
    SimpleLock,
    SimpleUnlock,
    bounds,
)
from raftcoord.errors import LockHeld, NotHolder, SessionGone, WaitCancelled
from raftcoord.machine.events import LockGranted, LockReleased, Request, WaitEnded

ONE_HOLDER = "one holder"
TOKENS = "tokens"


class _Grant:
    __slots__ = ("expires", "owner", "session", "token", "ttl")

    def __init__(self, token: int, session: int | None, owner: str, ttl: int | None) -> None:
        self.token = token
        self.session = session
        self.owner = owner
        self.ttl = ttl
        self.expires: int | None = None


class Locks:
    """Grants and queues by lock."""

    def __init__(self, due: Due, sessions: Sessions) -> None:
        self._due = due
        self._sessions = sessions
        self._grants: dict[str, _Grant] = {}
        self._queues: dict[str, Queue] = {}
        self._newest = 0

    def read(self, entry: Entry) -> None:
        """Take an entry into the books."""
        command = None if entry.envelope is None or not entry.fresh else entry.envelope.command
        touched: dict[str, None] = {}
        if type(command) is AcquireLock and isinstance(entry.reply, Queued):
            self._enqueue(entry, command)
            touched[command.name] = None
        for event in entry.events:
            if event.kind == "lock.granted":
                self._granted(entry, event.key, event.data)
            elif event.kind == "lock.released":
                self._released(entry, event.key, event.data)
            elif event.kind == "lock.wait-ended":
                self._wait_ended(entry, event.key, event.data)
            else:
                continue
            touched[event.key] = None
        if command is not None:
            self._check_answer(entry, command)
        for name in touched:
            self._compare(entry, name)
        if self._sessions.ended:
            self._gone_hold_nothing(entry)

    # Waiting.

    def _enqueue(self, entry: Entry, command: AcquireLock) -> None:
        envelope = entry.envelope
        assert envelope is not None
        asked = Asked(_request(envelope), entry.now + min(command.wait, bounds.WAIT))
        over = {
            request
            for event in entry.events
            if event.kind == "lock.wait-ended" and event.key == command.name
            for request in event.data.requests
        }
        queue = self._queues.setdefault(command.name, Queue())
        holder = (command.session, envelope.identity, command.owner)
        queue.join(holder, command.ttl, asked, over)
        self._due.set(("wait", command.name, asked.request), asked.ends)

    def _wait_ended(self, entry: Entry, name: str, data: WaitEnded) -> None:
        queue = self._queues.get(name)
        for request in data.requests:
            key = ("wait", name, request)
            place = None if queue is None else queue.place(request)
            if queue is None or place is None:
                text = (
                    f"entry {entry.number} ends the wait of {request} for {name}: it did not wait"
                )
                raise Violation(ONE_HOLDER, text)
            if isinstance(data.error, LockHeld):
                self._due.over(entry, key)
            elif not self._may_end(entry, place, request, data.error):
                text = f"entry {entry.number} ends the wait of {request} for {name}: {data.error!r}"
                raise Violation(LEASES, f"{text}, without a cause")
            self._due.drop(key)
            queue.leave(request)

    def _may_end(self, entry: Entry, place: Place, request: Request, error: Any) -> bool:
        session = place.holder[0]
        if isinstance(error, SessionGone) and session is not None:
            return not self._sessions.lives(session, entry.clock)
        command = None if entry.envelope is None else entry.envelope.command
        if isinstance(error, WaitCancelled) and isinstance(command, CancelAcquire):
            return request == Request(command.gateway, command.boot, command.seq)
        return False

    # Holding.

    def _granted(self, entry: Entry, name: str, data: LockGranted) -> None:
        reply = data.reply
        if reply.token <= self._newest:
            text = f"entry {entry.number} grants {name} with token {reply.token} after"
            raise Violation(TOKENS, f"{text} {self._newest}")
        self._newest = reply.token
        held = self._grants.get(name)
        if held is not None:
            text = f"entry {entry.number} grants {name} to {reply.owner} (token {reply.token}),"
            raise Violation(ONE_HOLDER, f"{text} {held.owner} holds it (token {held.token})")
        queue = self._queues.get(name)
        place = None if queue is None or not data.requests else queue.place(data.requests[0])
        if queue is not None and place is not None:
            ttl = self._served(entry, name, queue, place, data)
        else:
            ttl = self._taken(entry, name, queue, data)
        grant = self._grants[name] = _Grant(reply.token, reply.session, reply.owner, ttl)
        ends = []
        if ttl is not None:
            grant.expires = entry.now + ttl
            self._due.set(("grant", reply.token), grant.expires)
            ends.append(grant.expires)
        if reply.session is not None:
            if not self._sessions.lives(reply.session, entry.clock):
                text = f"entry {entry.number} grants {name} to session {reply.session}, which is"
                raise Violation(ONE_HOLDER, f"{text} gone")
            ends.append(self._sessions.expires(reply.session))
        left = max(min(ends) - entry.now, 0)
        if reply.expires_in != left:
            text = f"entry {entry.number} grants {name} for {reply.expires_in} ms; it has"
            raise Violation(LEASES, f"{text} {left} ms")

    def _served(
        self, entry: Entry, name: str, queue: Queue, place: Place, data: LockGranted
    ) -> int | None:
        """The queue's turn; the lease's length."""
        if queue.head() is not place:
            text = f"entry {entry.number} grants {name} to {data.reply.owner}, who is not the first"
            raise Violation(ONE_HOLDER, f"{text} of its queue")
        if tuple(place.asked) != data.requests:
            text = f"entry {entry.number} grants {name} to {data.requests}, not all that wait there"
            raise Violation(ONE_HOLDER, text)
        for request in data.requests:
            key = ("wait", name, request)
            ends = self._due.deadline(key)
            if ends is None or ends <= entry.clock:
                text = f"entry {entry.number} grants {name} to {request}, whose wait was over"
                raise Violation(LEASES, text)
            self._due.drop(key)
            queue.leave(request)
        return place.ttl

    def _taken(self, entry: Entry, name: str, queue: Queue | None, data: LockGranted) -> int | None:
        """Somebody who did not wait; the lease's length."""
        envelope = entry.envelope
        command = None if envelope is None or not entry.fresh else envelope.command
        if (
            envelope is None
            or not isinstance(command, AcquireLock | SimpleLock)
            or data.requests != (_request(envelope),)
            or (command.key if isinstance(command, SimpleLock) else command.name) != name
        ):
            text = f"entry {entry.number} grants {name} to {data.reply.owner}, who did not ask"
            raise Violation(ONE_HOLDER, text)
        if queue is not None and queue.head() is not None:
            text = f"entry {entry.number} grants {name} to {data.reply.owner} past its queue"
            raise Violation(ONE_HOLDER, text)
        return command.expire if isinstance(command, SimpleLock) else command.ttl

    def _released(self, entry: Entry, name: str, data: LockReleased) -> None:
        grant = self._grants.get(name)
        if grant is None or grant.token != data.token:
            text = f"entry {entry.number} releases {name} of token {data.token}, which does not"
            raise Violation(ONE_HOLDER, f"{text} hold it")
        key = ("grant", data.token)
        if data.reason == "expired":
            self._due.over(entry, key)
        elif data.reason == "session-gone":
            if grant.session is None or self._sessions.lives(grant.session, entry.clock):
                text = f"entry {entry.number} releases {name}: session {grant.session} is gone"
                raise Violation(LEASES, f"{text}, but it lives")
        elif not self._asked_for(entry, name, data):
            text = f"entry {entry.number} releases {name} of token {data.token} ({data.reason})"
            raise Violation(LEASES, f"{text}, and nobody asked")
        self._due.drop(key)
        del self._grants[name]

    def _asked_for(self, entry: Entry, name: str, data: LockReleased) -> bool:
        command = None if entry.envelope is None or not entry.fresh else entry.envelope.command
        if isinstance(command, ReleaseLock):
            return (command.name, command.token) == (name, data.token)
        if isinstance(command, SimpleUnlock):
            return (command.key, command.value) == (name, data.owner)
        return isinstance(command, CancelAcquire) and command.name == name

    def _check_answer(self, entry: Entry, command: Any) -> None:
        """What the reply says of the lock is true by the books."""
        reply = entry.reply
        if isinstance(command, RefreshLock | ReleaseLock) and isinstance(reply, NotHolder):
            grant = self._grants.get(command.name)
            if grant is not None and self._holds(entry, command, grant):
                text = f"entry {entry.number} says {command.owner} does not hold {command.name}"
                raise Violation(LEASES, f"{text}, whose token {grant.token} lives")
        elif isinstance(command, RefreshLock) and isinstance(reply, Refreshed):
            self._refreshed(entry, command)
        elif isinstance(command, AcquireLock | SimpleLock) and isinstance(reply, LockHeld):
            name = command.key if isinstance(command, SimpleLock) else command.name
            if name not in self._grants and not self._queues.get(name):
                text = f"entry {entry.number} refuses {name} as held; nobody holds or awaits it"
                raise Violation(ONE_HOLDER, text)
        elif isinstance(reply, Granted) and not entry.events:
            raise Violation(ONE_HOLDER, f"entry {entry.number} answers a grant that did not happen")

    def _holds(self, entry: Entry, command: RefreshLock | ReleaseLock, grant: _Grant) -> bool:
        who = (command.token, command.session, command.owner)
        if who != (grant.token, grant.session, grant.owner):
            return False
        if grant.expires is not None and grant.expires <= entry.clock:
            return False
        return grant.session is None or self._sessions.lives(grant.session, entry.clock)

    def _refreshed(self, entry: Entry, command: RefreshLock) -> None:
        grant = self._grants.get(command.name)
        if grant is None or not self._holds(entry, command, grant):
            text = f"entry {entry.number} refreshes {command.name} of token {command.token}, which"
            raise Violation(LEASES, f"{text} does not hold it")
        ttl = grant.ttl if command.ttl is None else command.ttl
        if ttl is not None:
            grant.ttl, grant.expires = ttl, entry.now + ttl
            self._due.set(("grant", grant.token), grant.expires)

    # The machine's tables.

    def _compare(self, entry: Entry, name: str) -> None:
        row = entry.machine.locks.table.get(name)
        grant, queue = self._grants.get(name), self._queues.get(name)
        waiting = 0 if queue is None else len(queue)
        mine = (0 if grant is None else grant.token, waiting)
        theirs = (0, 0) if row is None else (row.token, row.waiting)
        if mine != theirs:
            text = f"after entry {entry.number} the tables say of {name} (token, waiting) {theirs},"
            raise Violation(ONE_HOLDER, f"{text} it is {mine}")
        if queue is not None and not waiting:
            del self._queues[name]

    def _gone_hold_nothing(self, entry: Entry) -> None:
        ended = self._sessions.ended
        for name, grant in self._grants.items():
            if grant.session in ended:
                text = (
                    f"after entry {entry.number} session {grant.session} is gone and holds {name}"
                )
                raise Violation(ONE_HOLDER, text)
        for name, queue in self._queues.items():
            if any(holder[0] in ended for holder in queue.holders()):
                text = f"after entry {entry.number} a session that is gone waits for {name}"
                raise Violation(ONE_HOLDER, text)


def _request(envelope: Envelope) -> Request:
    return Request(envelope.gateway, envelope.boot, envelope.seq)
