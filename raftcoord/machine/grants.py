"""Who holds what: one record for each grant, by its token.

A grant lives while its own lease (`expires`, where it has one) and its session (where it has one)
live. Tokens come from one counter of the whole cluster.
"""

from msgspec import Struct

from raftcoord.commands import Granted, Meta
from raftcoord.machine.deadlines import Deadlines
from raftcoord.machine.events import LockGranted, LockReleased, Request
from raftcoord.machine.ledger import Ledger, Record, Table
from raftcoord.machine.queue import Holder
from raftcoord.machine.sessions import Sessions


class Grant(Record, frozen=True):
    """A grant of lock `name`.

    Args:
        ttl, expires: the length of its own lease in ms and its end in cluster time; None where
            it lives with its session alone.
        requests: whom it was answered to; a cancel must name one of them.
        simple: taken by the simple protocol, with the owner as its value.
    """

    name: str
    holder: Holder
    ttl: int | None
    expires: int | None
    meta: Meta | None
    requests: tuple[Request, ...]
    simple: bool


class HolderView(Struct, frozen=True, gc=False):
    """A holder as callers see it; `expires_in` in ms."""

    session: int | None
    owner: str
    token: int
    mode: str
    expires_in: int
    meta: Meta | None


class Grants:
    """The table of grants."""

    def __init__(self, ledger: Ledger, deadlines: Deadlines, sessions: Sessions) -> None:
        self._ledger = ledger
        self._deadlines = deadlines
        self._sessions = sessions
        self.table: Table[int, Grant] = Table("grants", int, Grant)

    def live(self, token: int) -> Grant | None:
        """The grant; None when it is over, collected or not."""
        grant = self.table.get(token)
        if grant is None:
            return None
        if grant.expires is not None and grant.expires <= self._ledger.clock:
            return None
        session = grant.holder.session
        if session is not None and self._sessions.live(session) is None:
            return None
        return grant

    def why_over(self, token: int) -> str:
        """Why a grant that is not collected yet does not live."""
        session = self.table.rows[token].holder.session
        gone = session is not None and self._sessions.live(session) is None
        return "session-gone" if gone else "expired"

    def expires_in(self, grant: Grant) -> int:
        """Milliseconds a living grant has left if nothing is refreshed or kept alive."""
        ends = [] if grant.expires is None else [grant.expires]
        if grant.holder.session is not None:
            ends.append(self._sessions.get(grant.holder.session).expires)
        return max(min(ends) - self._ledger.time, 0)

    def view(self, token: int, grant: Grant) -> HolderView:
        """The holder as callers see it. A value of the simple protocol frees the lock, so it is
        shown to nobody."""
        holder = grant.holder
        shown = "simple protocol" if grant.simple else holder.owner
        return HolderView(
            holder.session, shown, token, "exclusive", self.expires_in(grant), grant.meta
        )

    def give(
        self,
        name: str,
        holder: Holder,
        ttl: int | None,
        meta: Meta | None,
        requests: tuple[Request, ...],
        *,
        simple: bool = False,
    ) -> Granted:
        """Make a grant; the lock's record is the caller's business."""
        ledger = self._ledger
        token = ledger.next("token")
        expires = None if ttl is None else ledger.time + ttl
        grant = Grant(name, holder, ttl, expires, meta, requests, simple)
        ledger.put(self.table, token, grant)
        if expires is not None:
            self._deadlines.arm(("grant", token), expires)
        if holder.session is not None:
            self._sessions.hold(holder.session, ("grant", token))
        reply = Granted(name, token, holder.owner, holder.session, self.expires_in(grant))
        ledger.emit("lock.granted", name, LockGranted(requests, reply))
        return reply

    def end(self, token: int, reason: str) -> None:
        """End a grant; the lock's record is the caller's business."""
        grant = self.table.rows[token]
        self._ledger.delete(self.table, token)
        if grant.expires is not None:
            self._deadlines.disarm(("grant", token))
        holder = grant.holder
        if holder.session is not None:
            self._sessions.let_go(holder.session, ("grant", token))
        released = LockReleased(token, holder.session, holder.owner, reason)
        self._ledger.emit("lock.released", grant.name, released)

    def extend(self, token: int, grant: Grant, ttl: int) -> Grant:
        """Let the grant's own lease start anew, with this length."""
        expires = self._ledger.time + ttl
        extended = Grant(
            grant.name, grant.holder, ttl, expires, grant.meta, grant.requests, grant.simple
        )
        self._ledger.put(self.table, token, extended)
        self._deadlines.arm(("grant", token), expires)
        return extended

    def set_requests(self, token: int, grant: Grant, requests: tuple[Request, ...]) -> None:
        """The grant is answered to these from now on."""
        kept = Grant(
            grant.name,
            grant.holder,
            grant.ttl,
            grant.expires,
            grant.meta,
            requests,
            grant.simple,
        )
        self._ledger.put(self.table, token, kept)

    def rebuild(self) -> None:
        """Note in the index of sessions what they hold."""
        for token, grant in self.table.rows.items():
            if grant.holder.session is not None:
                self._sessions.holdings[grant.holder.session]["grant", token] = True
