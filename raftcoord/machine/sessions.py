"""Sessions, and what each of them holds.

The rule: what a session holds ends with it, in the same entry. First its waits are cancelled, so
that nothing is granted to the dead; then its undecided transactions abort, its locks are freed
and its ring members leave.

A session lives while the clock is below `expires`. One past that counts as gone, also where it
was not collected yet.

The index `holdings` says what each session holds: ("grant", token), ("wait", sequence),
("member", ring, id), ("transaction", id). It follows from the other tables; its order means
nothing, what ends is sorted.
"""

from collections.abc import Callable
from typing import Any

from raftcoord.commands import (
    CloseSession,
    Envelope,
    KeepAlive,
    KeptAlive,
    Meta,
    OpenSession,
    SessionClosed,
    SessionOpened,
    bounds,
)
from raftcoord.errors import LimitReached, Malformed, SessionGone, UnknownSession
from raftcoord.machine.deadlines import Deadlines
from raftcoord.machine.events import SessionEvent
from raftcoord.machine.ledger import Ledger, Record, Table

Holding = tuple[Any, ...]
ENDING = ("wait", "transaction", "grant", "member")


class Session(Record, frozen=True):
    """A session. `ttl` in ms; `expires` in cluster time."""

    id: int
    ttl: int
    expires: int
    meta: Meta | None


class Sessions:
    """The table of sessions."""

    def __init__(self, ledger: Ledger, deadlines: Deadlines) -> None:
        self._ledger = ledger
        self._deadlines = deadlines
        self.table: Table[int, Session] = Table("sessions", int, Session, ordered=True)
        self.holdings: dict[int, dict[Holding, bool]] = {}
        self._ends: dict[str, Callable[..., None]] = {}

    def on_end(self, kind: str, end: Callable[..., None]) -> None:
        """What to call for a holding of this kind when its session ends."""
        self._ends[kind] = end

    # Reads.

    def live(self, number: int) -> Session | None:
        """The session; None when it is unknown or over."""
        session = self.table.get(number)
        if session is None or session.expires <= self._ledger.clock:
            return None
        return session

    def get(self, number: int) -> Session:
        """The session.

        Raises:
            UnknownSession: it is unknown or over.
        """
        session = self.live(number)
        if session is None:
            raise UnknownSession(f"there is no session {number}, or it has ended", id=number)
        return session

    def expires_in(self, session: Session) -> int:
        """Milliseconds it has left."""
        return max(session.expires - self._ledger.time, 0)

    def page(self, after: int | None = None, limit: int = 100) -> list[Session]:
        """Sessions with ids above `after`, ascending."""
        found: list[Session] = []
        assert self.table.order is not None
        for number in self.table.order.after(after):
            if len(found) == limit:
                break
            session = self.live(number)
            if session is not None:
                found.append(session)
        return found

    # For the other tables.

    def require(self, number: int) -> Session:
        """The session that a command names.

        Raises:
            SessionGone: it is unknown or over.
        """
        session = self.live(number)
        if session is None:
            raise SessionGone(f"session {number} has ended; open a new one", session=number)
        return session

    def check_room(self, number: int) -> None:
        """Raise LimitReached when the session holds as much as it may."""
        held = self.holdings[number]
        if len(held) >= bounds.HOLDINGS and sum(map(bool, held.values())) >= bounds.HOLDINGS:
            raise LimitReached(
                f"session {number} holds {bounds.HOLDINGS} things, and may not hold more",
                field="holdings",
                limit=bounds.HOLDINGS,
            )

    def hold(self, number: int, holding: Holding) -> None:
        """Note that a living session holds something."""
        self._ledger.set(self.holdings[number], holding, True)

    def let_go(self, number: int, holding: Holding) -> None:
        """Note that it holds it no more; nothing to do where the session is ending."""
        held = self.holdings.get(number)
        if held is not None:
            self._ledger.unset(held, holding)

    # Commands.

    def open(self, command: OpenSession, envelope: Envelope) -> SessionOpened:
        """Open a session."""
        if not bounds.SESSION_TTL_MIN <= command.ttl <= bounds.SESSION_TTL:
            raise Malformed("the ttl of a session is 2 to 86400 seconds", field="ttl")
        ledger = self._ledger
        number = ledger.next("session")
        session = Session(number, command.ttl, ledger.time + command.ttl, command.meta)
        ledger.put(self.table, number, session)
        ledger.set(self.holdings, number, {})
        self._deadlines.arm(("session", number), session.expires)
        ledger.emit("session.opened", str(number), SessionEvent("opened"))
        return SessionOpened(number, command.ttl)

    def keep_alive(self, command: KeepAlive, envelope: Envelope) -> KeptAlive:
        """Extend those that live."""
        return KeptAlive(tuple([self._extend(number) for number in command.ids]))

    def _extend(self, number: int | str) -> int | None:
        session = self.live(number) if isinstance(number, int) else None
        if session is None:
            return None
        expires = self._ledger.time + session.ttl
        if expires > session.expires:
            kept = Session(session.id, session.ttl, expires, session.meta)
            self._ledger.put(self.table, session.id, kept)
            self._deadlines.arm(("session", session.id), expires)
        return session.ttl

    def close(self, command: CloseSession, envelope: Envelope) -> SessionClosed:
        """End a session because its client asks for it."""
        self._end(self.get(command.id), "closed")
        return SessionClosed(command.id)

    def expire(self, number: int) -> None:
        """End a session whose time is over."""
        self._end(self.table.rows[number], "expired")

    def _end(self, session: Session, reason: str) -> None:
        ledger, number = self._ledger, session.id
        ledger.delete(self.table, number)
        self._deadlines.disarm(("session", number))
        held = self.holdings[number]
        ledger.unset(self.holdings, number)
        ledger.emit("session.ended", str(number), SessionEvent(reason))
        for kind in ENDING:
            for holding in sorted(key for key, there in held.items() if there and key[0] == kind):
                self._ends[kind](*holding[1:])

    def rebuild(self) -> None:
        """Make the index for the sessions of the table; the holders add to it."""
        self.holdings = {number: {} for number in self.table.rows}
