"""Judges a machine by what it answers and tells, knowing nothing of how it does it.

Keeps a reckoning of its own, slow and plain: who may hold what until when, who queued when, what
was voted. Every grant, release, end of a wait and decision must be allowed by it.
"""

from dataclasses import dataclass, field
from typing import Any

from raftcoord.commands import (
    AcquireCancelled,
    AcquireLock,
    BeginTransaction,
    CancelAcquire,
    Envelope,
    Granted,
    KeepAlive,
    KeptAlive,
    OpenSession,
    Queued,
    Refreshed,
    RefreshLock,
    Reply,
    SessionOpened,
    SimpleLock,
    TransactionAnswer,
    VoteTransaction,
)
from raftcoord.errors import LockHeld, RaftcoordError, SessionGone, Stale, WaitCancelled
from raftcoord.machine import Applied

RequestId = tuple[str, int, int]
HolderId = tuple[int | None, str, str]


@dataclass
class Hold:
    """A grant: until when by its own lease (None: as long as the session)."""

    token: int
    holder: HolderId
    ends: int | None


@dataclass
class Place:
    """A place in a queue."""

    holder: HolderId
    ttl: int | None
    ends: dict[RequestId, int]


@dataclass
class Judge:
    """What must be so, by the replies and events so far."""

    clock: int = 0
    time: int = 0
    last_token: int = 0
    sessions: dict[int, int] = field(default_factory=dict)
    ttls: dict[int, int] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    queues: dict[str, list[Place]] = field(default_factory=dict)
    decisions: dict[int, str] = field(default_factory=dict)
    participants: dict[int, tuple[str, ...]] = field(default_factory=dict)
    votes: dict[tuple[int, str], str] = field(default_factory=dict)
    answers: dict[RequestId, Reply | RaftcoordError] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    seen: list[str] = field(default_factory=list)

    def see(self, applied: Applied, stamp: int, clock: int) -> None:
        """Look at what became of an entry; what begins with it begins at its stamp."""
        self.time = max(self.clock, stamp)
        late = applied.envelope is not None and applied.envelope.command.priority
        # An empty entry of another term is ignored.
        assert clock in (self.clock, max(self.clock, self.time - 1_000 * late))
        self.clock = clock
        self.gone = set()
        self.seen = [kind for kind, _, _ in applied.events]
        envelope, reply = applied.envelope, applied.reply
        repeated = envelope is not None and self._repeated(envelope, reply)
        if envelope is not None and not repeated:
            self._before_events(envelope)
        for kind, key, data in applied.events:
            self._event(kind, key, data, envelope)
        if envelope is not None and not repeated and reply is not None:
            self._reply(envelope, reply)
        if repeated and envelope is not None and not isinstance(reply, Stale):
            assert reply == self.answers[_request(envelope)]
        for name, hold in self.holds.items():
            assert hold.holder[0] not in self.gone, f"{name} outlives its session"

    def nothing_late(self) -> None:
        """Where nothing is due any more, nothing may be left that is over."""
        for hold in self.holds.values():
            assert hold.ends is None or hold.ends > self.clock
        for name, places in self.queues.items():
            assert not places or name in self.holds, f"{name} is free and somebody waits"
            for place in places:
                assert all(ends > self.clock for ends in place.ends.values())
        assert all(expires > self.clock for expires in self.sessions.values())

    # Requests.

    def _repeated(self, envelope: Envelope, reply: Any) -> bool:
        return isinstance(reply, Stale) or _request(envelope) in self.answers

    def _before_events(self, envelope: Envelope) -> None:
        """What the events of this entry rest on."""
        command = envelope.command
        if isinstance(command, VoteTransaction):
            for name, vote in command.votes.items():
                self.votes.setdefault((command.id, name), vote)

    def _reply(self, envelope: Envelope, reply: Reply | RaftcoordError) -> None:
        command, request = envelope.command, _request(envelope)
        if envelope.seq:
            self.answers[request] = reply
        match command, reply:
            case OpenSession(), SessionOpened():
                self.sessions[reply.id] = self.time + command.ttl
                self.ttls[reply.id] = command.ttl
            case KeepAlive(), KeptAlive():
                for number, left in zip(command.ids, reply.expires_in, strict=True):
                    if isinstance(number, str):
                        assert left is None
                        continue
                    assert (left is not None) == (self.sessions.get(number, 0) > self.clock)
                    if left is not None:
                        self.sessions[number] = max(
                            self.sessions[number], self.time + self.ttls[number]
                        )
            case AcquireLock(), Queued():
                self._queued(command, envelope, request)
            case CancelAcquire(), AcquireCancelled() if reply.was == "granted":
                cancelled = (command.gateway, command.boot, command.seq)
                if cancelled in self.answers:
                    self.answers[cancelled] = WaitCancelled(
                        f"the acquire of lock {command.name} was cancelled", name=command.name
                    )
            case RefreshLock(), Refreshed():
                hold = self.holds[command.name]
                assert hold.token == command.token
                if hold.ends is not None or command.ttl is not None:
                    hold.ends = self.time + (command.ttl or reply.expires_in)
            case AcquireLock() | SimpleLock(), LockHeld():
                name = command.name if isinstance(command, AcquireLock) else command.key
                assert self._taken(name), f"{name} was refused and is free"
            case BeginTransaction(), TransactionAnswer():
                self.participants[reply.id] = command.participants
            case VoteTransaction(), RaftcoordError():
                for name in command.votes:
                    if (command.id, name) not in self._counted:
                        self.votes.pop((command.id, name), None)
            case VoteTransaction(), _:
                self._counted.update((command.id, name) for name in command.votes)
            case _:
                pass

    _counted: set[tuple[int, str]] = field(default_factory=set)

    def _taken(self, name: str) -> bool:
        hold = self.holds.get(name)
        return bool(hold and self._lives(hold)) or any(
            self._waits(place) for place in self.queues.get(name, ())
        )

    def _lives(self, hold: Hold) -> bool:
        if hold.ends is not None and hold.ends <= self.clock:
            return False
        return self._session_lives(hold.holder)

    def _waits(self, place: Place) -> bool:
        alive = any(ends > self.clock for ends in place.ends.values())
        return alive and self._session_lives(place.holder)

    def _session_lives(self, holder: HolderId) -> bool:
        return holder[0] is None or self.sessions.get(holder[0], 0) > self.clock

    def _queued(self, command: AcquireLock, envelope: Envelope, request: RequestId) -> None:
        holder = _holder(command.session, envelope.identity, command.owner)
        assert self._taken(command.name)
        hold = self.holds.get(command.name)
        assert hold is None or not self._lives(hold) or hold.holder != holder
        ends = self.time + command.wait
        places = self.queues.setdefault(command.name, [])
        for place in places:
            if place.holder == holder:
                place.ends[request] = ends
                return
        places.append(Place(holder, command.ttl, {request: ends}))

    # Events.

    def _event(self, kind: str, key: str, data: Any, envelope: Envelope | None) -> None:
        match kind:
            case "session.ended":
                number = int(key)
                expires = self.sessions.pop(number)
                assert data.reason == "closed" or expires <= self.clock
                self.gone.add(number)
            case "lock.granted":
                self._granted(key, data, envelope)
            case "lock.released":
                self._released(key, data, envelope)
            case "lock.wait-ended":
                self._wait_ended(key, data, envelope)
            case "transaction.decided":
                self._decided(int(key), data)
            case "alarm":
                raise AssertionError(data.trace)

    def _granted(self, name: str, data: Any, envelope: Envelope | None) -> None:
        reply: Granted = data.reply
        assert reply.token == self.last_token + 1
        self.last_token = reply.token
        assert name not in self.holds, f"{name} has two holders"
        requests = {(item.gateway, item.boot, item.seq) for item in data.requests}
        places = self.queues.get(name, [])
        waited = [place for place in places if requests & place.ends.keys()]
        if waited:
            assert waited[0] is places[0], f"{name}: somebody passed the head"
            place = places.pop(0)
            holder, ttl = place.holder, place.ttl
            assert requests == place.ends.keys()
            assert all(place.ends[request] > self.clock for request in requests)
        else:
            assert envelope is not None
            assert not places, f"{name}: somebody passed the queue"
            command = envelope.command
            if isinstance(command, SimpleLock):
                holder = _holder(None, envelope.identity, command.value)
                ttl = command.expire
            else:
                assert isinstance(command, AcquireLock)
                holder = _holder(command.session, envelope.identity, command.owner)
                ttl = command.ttl
        assert self._session_lives(holder), f"{name} was granted to the dead"
        self.holds[name] = Hold(reply.token, holder, None if ttl is None else self.time + ttl)
        for request in requests:
            if request in self.answers:
                self.answers[request] = reply

    def _released(self, name: str, data: Any, envelope: Envelope | None) -> None:
        hold = self.holds.pop(name)
        assert hold.token == data.token
        if data.reason == "expired":
            assert not self._lives(hold), f"{name} was taken away before its time"
        elif data.reason == "session-gone":
            assert hold.holder[0] in self.gone or not self._session_lives(hold.holder)
        elif data.reason == "cancelled":
            assert envelope is not None
            assert isinstance(envelope.command, CancelAcquire)
        else:
            assert envelope is not None
            command = envelope.command
            assert getattr(command, "token", data.token) == data.token

    def _wait_ended(self, name: str, data: Any, envelope: Envelope | None) -> None:
        for item in data.requests:
            request = (item.gateway, item.boot, item.seq)
            place = next(place for place in self.queues[name] if request in place.ends)
            ends = place.ends.pop(request)
            if isinstance(data.error, WaitCancelled):
                assert envelope is not None
                assert isinstance(envelope.command, CancelAcquire)
            elif isinstance(data.error, SessionGone):
                assert not self._session_lives(place.holder)
            else:
                assert ends <= self.clock
            if not place.ends:
                self.queues[name].remove(place)
            if request in self.answers:
                self.answers[request] = data.error

    def _decided(self, number: int, data: Any) -> None:
        assert number not in self.decisions, f"transaction {number} was decided twice"
        self.decisions[number] = data.decision
        if data.decision == "commit":
            names = self.participants.get(number, ())
            assert all(self.votes.get((number, name)) == "commit" for name in names)


def _holder(session: int | None, identity: str, owner: str) -> HolderId:
    return session, identity if session is None else "", owner


def _request(envelope: Envelope) -> RequestId:
    return envelope.gateway, envelope.boot, envelope.seq
