"""Rings by the judges' own books: versions without a gap, no member whose session is gone."""

from __future__ import annotations

from chaos.simulation.judges.chronicle import Entry
from chaos.simulation.judges.sessions import Sessions
from chaos.simulation.violation import Violation
from raftcoord.commands import DeleteRing, JoinRing, LeaveRing, RingChanged, RingDeleted

RINGS = "one holder"
"""A member is its session's; see `chaos.simulation.violation.JUDGES`."""


class Rings:
    """Ring → version, and (ring, member) → session."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._versions: dict[str, int] = {}
        self._members: dict[tuple[str, str], int | None] = {}

    def read(self, entry: Entry) -> None:
        """Take an entry into the books."""
        ended = self._sessions.ended
        gone = [key for key, session in self._members.items() if session in ended] if ended else []
        for key in gone:
            del self._members[key]
        for event in entry.events:
            if event.kind == "ring.changed":
                before = self._versions.get(event.key)
                if before is not None and event.data != before + 1:
                    text = f"entry {entry.number} makes version {event.data} of ring {event.key}"
                    raise Violation(RINGS, f"{text} out of version {before}")
                self._versions[event.key] = event.data
            elif event.kind == "ring.deleted":
                self._versions.pop(event.key, None)
        if entry.envelope is not None and entry.fresh:
            self._command(entry)
        for key in gone:
            if key not in self._members and entry.machine.rings.members.get(key) is not None:
                text = f"after entry {entry.number} {key[1]} is on ring {key[0]}; its session is"
                raise Violation(RINGS, f"{text} gone")

    def _command(self, entry: Entry) -> None:
        assert entry.envelope is not None
        command, reply = entry.envelope.command, entry.reply
        if isinstance(reply, RingDeleted) and isinstance(command, DeleteRing):
            for key in [key for key in self._members if key[0] == command.name]:
                del self._members[key]
        if not isinstance(reply, RingChanged):
            return
        if reply.version != self._versions.get(reply.name):
            text = f"entry {entry.number} answers version {reply.version} of ring {reply.name}"
            raise Violation(RINGS, f"{text}; it is {self._versions.get(reply.name)}")
        if isinstance(command, JoinRing):
            self._members[command.ring, command.member] = command.session
            self._check_member(entry, command)
        elif isinstance(command, LeaveRing):
            self._members.pop((command.ring, command.member), None)

    def _check_member(self, entry: Entry, command: JoinRing) -> None:
        session = command.session
        if session is not None and not self._sessions.lives(session, entry.clock):
            text = f"entry {entry.number} puts {command.member} on ring {command.ring} for session"
            raise Violation(RINGS, f"{text} {session}, which is gone")
        row = entry.machine.rings.members.get((command.ring, command.member))
        if row is None or row.session != session:
            text = f"after entry {entry.number} {command.member} is not on ring {command.ring}"
            raise Violation(RINGS, text)
