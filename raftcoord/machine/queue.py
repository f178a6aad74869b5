"""Who waits for a lock, in the order of coming.

A place in a queue belongs to a holder; requests of the same holder join it, each with an end of
its own. The places of a lock are linked both ways through their sequence numbers, so that coming,
going and leaving from the middle cost the same in a queue of two and of ten thousand.
"""

from raftcoord.commands import Meta
from raftcoord.machine.deadlines import Deadlines
from raftcoord.machine.events import Request
from raftcoord.machine.ledger import Ledger, Record, Table
from raftcoord.machine.sessions import Sessions


class Holder(Record, frozen=True):
    """(session, owner), or (identity, owner) where `session` is None; else `identity` is ""."""

    session: int | None
    identity: str
    owner: str


class Lock(Record, frozen=True):
    """A lock that is held or waited for; others have no record.

    Args:
        token: of the present grant; 0 while there is none, within an entry only.
        head, tail: sequence numbers of the first and last place; 0 where nobody waits.
        waiting: how many places there are.
    """

    token: int
    head: int
    tail: int
    waiting: int


class Asked(Record, frozen=True):
    """A request that waits, until `ends` (cluster time)."""

    request: Request
    ends: int


class Waiter(Record, frozen=True):
    """A place in the queue of lock `name`; `previous` and `next` are 0 at the ends."""

    name: str
    holder: Holder
    ttl: int | None
    meta: Meta | None
    asked: tuple[Asked, ...]
    previous: int
    next: int

    def requests(self) -> tuple[Request, ...]:
        """Everybody who waits here."""
        return tuple([asked.request for asked in self.asked])

    def with_asked(self, asked: tuple[Asked, ...]) -> "Waiter":
        """The same place, waited at by these."""
        return Waiter(self.name, self.holder, self.ttl, self.meta, asked, self.previous, self.next)

    def linked(self, previous: int, following: int) -> "Waiter":
        """The same place between others."""
        return Waiter(self.name, self.holder, self.ttl, self.meta, self.asked, previous, following)


class Queues:
    """The table of places, and the index (lock, holder) → sequence number."""

    def __init__(self, ledger: Ledger, deadlines: Deadlines, sessions: Sessions) -> None:
        self._ledger = ledger
        self._deadlines = deadlines
        self._sessions = sessions
        self.waiters: Table[int, Waiter] = Table("waiters", int, Waiter)
        self._places: dict[tuple[str, Holder], int] = {}

    def place(self, name: str, holder: Holder) -> tuple[int, Waiter] | None:
        """The holder's place in the queue of a lock, over or not."""
        sequence = self._places.get((name, holder))
        if sequence is None:
            return None
        return sequence, self.waiters.rows[sequence]

    def lives(self, waiter: Waiter) -> bool:
        """Whether somebody still waits there who may hold the lock."""
        session, clock = waiter.holder.session, self._ledger.clock
        if session is not None and self._sessions.live(session) is None:
            return False
        return any(asked.ends > clock for asked in waiter.asked)

    def anybody(self, lock: Lock) -> bool:
        """Whether a living waiter is in the queue.

        Looks at one place, unless more waits are over than an entry may collect.
        """
        sequence = lock.head
        while sequence:
            waiter = self.waiters.rows[sequence]
            if self.lives(waiter):
                return True
            sequence = waiter.next
        return False

    def append(
        self,
        name: str,
        lock: Lock,
        holder: Holder,
        ttl: int | None,
        meta: Meta | None,
        asked: Asked,
    ) -> Lock:
        """Put a holder at the end of the queue. Gives the lock's new record, not yet put."""
        ledger, waiters = self._ledger, self.waiters
        sequence = ledger.next("sequence")
        waiter = Waiter(name, holder, ttl, meta, (asked,), lock.tail, 0)
        ledger.put(waiters, sequence, waiter)
        if lock.tail:
            last = waiters.rows[lock.tail]
            ledger.put(waiters, lock.tail, last.linked(last.previous, sequence))
        ledger.set(self._places, (name, holder), sequence)
        if holder.session is not None:
            self._sessions.hold(holder.session, ("wait", sequence))
        self._deadlines.arm(("wait", sequence), asked.ends)
        return Lock(lock.token, lock.head or sequence, sequence, lock.waiting + 1)

    def remove(self, lock: Lock, sequence: int) -> Lock:
        """Take a place out of the queue. Gives the lock's new record, not yet put."""
        ledger, waiters = self._ledger, self.waiters
        waiter = waiters.rows[sequence]
        ledger.delete(waiters, sequence)
        ledger.unset(self._places, (waiter.name, waiter.holder))
        self._deadlines.disarm(("wait", sequence))
        if waiter.holder.session is not None:
            self._sessions.let_go(waiter.holder.session, ("wait", sequence))
        if waiter.previous:
            before = waiters.rows[waiter.previous]
            ledger.put(waiters, waiter.previous, before.linked(before.previous, waiter.next))
        if waiter.next:
            behind = waiters.rows[waiter.next]
            ledger.put(waiters, waiter.next, behind.linked(waiter.previous, behind.next))
        head = waiter.next if lock.head == sequence else lock.head
        tail = waiter.previous if lock.tail == sequence else lock.tail
        return Lock(lock.token, head, tail, lock.waiting - 1)

    def set_asked(self, sequence: int, waiter: Waiter, asked: tuple[Asked, ...]) -> None:
        """Let these requests wait at the place."""
        self._ledger.put(self.waiters, sequence, waiter.with_asked(asked))
        self._deadlines.arm(("wait", sequence), min(item.ends for item in asked))

    def rebuild(self) -> None:
        """Make the index, and what the sessions hold, from the table."""
        self._places = {}
        for sequence, waiter in self.waiters.rows.items():
            self._places[waiter.name, waiter.holder] = sequence
            if waiter.holder.session is not None:
                holding = ("wait", sequence)
                self._sessions.holdings[waiter.holder.session][holding] = True
