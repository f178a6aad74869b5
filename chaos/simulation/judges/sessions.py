"""Sessions by the judges' own books: who lives, until when, and what ends with them.

Judges keep what they know of a session by its id and ask here whether it lives.
"""

from __future__ import annotations

from chaos.simulation.judges.chronicle import Entry
from chaos.simulation.judges.due import LEASES, Due
from chaos.simulation.violation import Violation
from raftcoord.commands import CloseSession, KeepAlive, KeptAlive, OpenSession, SessionOpened
from raftcoord.errors import SessionGone, UnknownSession


class Sessions:
    """The books. `ended`: the ids of sessions that ended in the last entry read."""

    def __init__(self, due: Due) -> None:
        self.ended: set[int] = set()
        self._due = due
        self._ttl: dict[int, int] = {}
        self._expires: dict[int, int] = {}
        self._newest = 0

    def lives(self, number: int, clock: int) -> bool:
        """Whether the session is open at this cluster time."""
        return self._expires.get(number, 0) > clock

    def expires(self, number: int) -> int:
        """When it ends by itself; 0 where it is over."""
        return self._expires.get(number, 0)

    def read(self, entry: Entry) -> None:
        """Take an entry into the books."""
        if self.ended:
            self.ended = set()
        for event in entry.events:
            if event.kind == "session.ended":
                self._end(entry, int(event.key), event.data.reason)
        if not entry.fresh or entry.envelope is None:
            return
        command, reply = entry.envelope.command, entry.reply
        if type(command) is KeepAlive:
            if isinstance(reply, KeptAlive):
                for number, left in zip(command.ids, reply.expires_in, strict=True):
                    self._kept(entry, number, left)
        elif type(command) is OpenSession:
            if isinstance(reply, SessionOpened):
                self._open(entry, reply.id, command.ttl)
        elif isinstance(reply, SessionGone | UnknownSession):
            gone = reply.fields.get("session", reply.fields.get("id"))
            if isinstance(gone, int) and self.lives(gone, entry.clock):
                text = f"entry {entry.number} takes session {gone} for gone, which ends at"
                raise Violation(LEASES, f"{text} {self._expires[gone]} ms: {entry.clock} ms now")

    def _open(self, entry: Entry, number: int, ttl: int) -> None:
        if number <= self._newest:
            raise Violation(LEASES, f"entry {entry.number} opens session {number} again")
        self._newest = number
        self._ttl[number] = ttl
        self._renew(number, entry.now + ttl)

    def _kept(self, entry: Entry, number: int | str, left: int | None) -> None:
        lives = isinstance(number, int) and self.lives(number, entry.clock)
        if lives != (left is not None):
            state = "lives" if lives else "is over"
            text = f"entry {entry.number} answers {left} for session {number}, which {state}"
            raise Violation(LEASES, text)
        if not lives or not isinstance(number, int):
            return
        if left != self._ttl[number]:
            text = f"entry {entry.number} renews session {number} for {left} ms of"
            raise Violation(LEASES, f"{text} {self._ttl[number]} ms")
        self._renew(number, max(self._expires[number], entry.now + self._ttl[number]))

    def _renew(self, number: int, expires: int) -> None:
        self._expires[number] = expires
        self._due.set(("session", number), expires)

    def _end(self, entry: Entry, number: int, reason: str) -> None:
        if number not in self._expires:
            raise Violation(LEASES, f"entry {entry.number} ends session {number}: there is none")
        if reason == "expired":
            self._due.over(entry, ("session", number))
        else:
            command = None if entry.envelope is None else entry.envelope.command
            asked = isinstance(command, CloseSession) and command.id == number
            if not asked or not entry.fresh:
                text = f"entry {entry.number} ends session {number} ({reason}), and nobody asked"
                raise Violation(LEASES, text)
            self._due.drop(("session", number))
        del self._expires[number]
        self.ended.add(number)
