"""Rings: who is responsible for which key, and how that came to be.

The rules:

- Every change is a new version, +1; a command that changes nothing keeps it.
- 128 versions are kept, as changes: each says what stood before it. An older view is the present
  one with the changes taken back, newest first.
- A ring that is deleted and made again goes on above every version a deleted ring ever had, so a
  version never names two contents.
- A member with a session leaves when that session is collected. Until then it is in the ring, as
  the version says: one version has one content.
"""

from msgspec.msgpack import Encoder

from raftcoord.commands import (
    DeleteRing,
    Envelope,
    JoinRing,
    LeaveRing,
    PutRing,
    RingChanged,
    RingDeleted,
    bounds,
)
from raftcoord.errors import LimitReached, Malformed, UnknownRing, UnknownVersion, VersionForgotten
from raftcoord.hashring import DEFAULT_VIRTUAL_NODES, point_count
from raftcoord.machine.ledger import Ledger, Table
from raftcoord.machine.ring_points import RingPoints
from raftcoord.machine.ring_records import (
    Change,
    Found,
    Member,
    MemberView,
    Ring,
    RingView,
    Settings,
)
from raftcoord.machine.sessions import Sessions

_encode = Encoder().encode


class Rings:
    """The tables of rings, members and changes."""

    def __init__(self, ledger: Ledger, sessions: Sessions) -> None:
        self._ledger = ledger
        self._sessions = sessions
        self.table: Table[str, Ring] = Table("rings", str, Ring, ordered=True)
        self.members: Table[tuple[str, str], Member] = Table("members", tuple[str, str], Member)
        self.changes: Table[tuple[str, int], Change] = Table("changes", tuple[str, int], Change)
        self._inside: dict[str, dict[str, Member | None]] = {}
        self._points = RingPoints()
        sessions.on_end("member", self.session_ended)

    # Reads.

    def get(self, name: str, version: int | None = None) -> RingView:
        """A ring as it is, or as it was in a version.

        Raises:
            UnknownRing, UnknownVersion: no such ring; it never had this version.
            VersionForgotten: the version is no longer kept.
        """
        ring = self._require(name)
        settings, members = ring.settings, dict(self._present(name))
        if version is None:
            version = ring.version
        if version < ring.first:
            raise VersionForgotten(
                f"version {version} of ring {name} is not kept; the oldest is {ring.first}",
                ring=name,
                version=version,
                oldest=ring.first,
            )
        if version > ring.version:
            raise UnknownVersion(
                f"ring {name} is at version {ring.version}",
                ring=name,
                version=version,
                current=ring.version,
            )
        for number in range(ring.version, version, -1):
            change = self.changes.rows[name, number]
            settings = change.settings
            if change.id is not None and change.before is not None:
                members[change.id] = change.before
            elif change.id is not None:
                del members[change.id]
        return RingView(
            name,
            version,
            settings.virtual_nodes,
            settings.replicas,
            settings.hash,
            tuple(
                [
                    MemberView(
                        member_id, member.weight, member.address, member.meta, member.session
                    )
                    for member_id, member in sorted(members.items())
                ]
            ),
        )

    def lookup(self, name: str, keys: tuple[str, ...], count: int | None = None) -> list[Found]:
        """The first `count` (default: the ring's replicas) different members for each key.

        Raises:
            UnknownRing: there is no such ring. Malformed: so many keys times members are not
                looked up at once.
        """
        ring = self._require(name)
        wanted = ring.settings.replicas if count is None else count
        if len(keys) * wanted > bounds.LOOKUP_PLACES:
            most = bounds.LOOKUP_PLACES // wanted
            raise Malformed(
                f"{len(keys)} keys with {wanted} members each are too many for one lookup;"
                f" allowed: {most} keys",
                field="keys",
                limit=most,
                allowed=f"keys times n up to {bounds.LOOKUP_PLACES}",
            )
        points = self._points.of(name, ring, self._inside[name], self.changes)
        return [Found(tuple(points.lookup(key, wanted)), ring.version) for key in keys]

    def page(self, after: str | None = None, limit: int = 100) -> list[tuple[str, int]]:
        """Names behind `after`, ascending, each with its version."""
        found: list[tuple[str, int]] = []
        assert self.table.order is not None
        for name in self.table.order.after(after):
            if len(found) >= limit:
                break
            found.append((name, self.table.rows[name].version))
        return found

    def _require(self, name: str) -> Ring:
        ring = self.table.get(name)
        if ring is None:
            raise UnknownRing(f"there is no ring {name}", ring=name)
        return ring

    # Commands.

    def put(self, command: PutRing, envelope: Envelope) -> RingChanged:
        """Make a ring, or change its settings."""
        name = command.name
        self._check_settings(command)
        settings = Settings(command.virtual_nodes, command.replicas, command.hash)
        ring = self.table.get(name)
        if ring is None:
            return RingChanged(name, self._make(name, settings).version, True)
        if ring.settings == settings:
            return RingChanged(name, ring.version, False)
        points = sum(
            point_count(settings.virtual_nodes, member.weight) for _, member in self._present(name)
        )
        self._check_points(name, points)
        changed = self._next(name, Ring(settings, ring.version, ring.first, points), ring, None)
        return RingChanged(name, changed.version, True)

    def join(self, command: JoinRing, envelope: Envelope) -> RingChanged:
        """Put a member in, or change it."""
        name, member_id, session = command.ring, command.member, command.session
        if not bounds.WEIGHT_MIN <= command.weight <= bounds.WEIGHT:
            raise Malformed("the weight is 0.01 to 100", field="weight")
        if session is not None:
            self._sessions.require(session)
        ring = self.table.get(name)
        before = None if ring is None else self._inside[name].get(member_id)
        member = Member(float(command.weight), command.address, command.meta, session)
        if ring is not None and before is not None and _encode(before) == _encode(member):
            return RingChanged(name, ring.version, False)
        settings = Settings(DEFAULT_VIRTUAL_NODES, 1, "md5") if ring is None else ring.settings
        points = 0 if ring is None else ring.points
        points += point_count(settings.virtual_nodes, member.weight)
        if before is not None:
            points -= point_count(settings.virtual_nodes, before.weight)
        elif ring is not None and self._full(name):
            raise LimitReached(
                f"ring {name} has {bounds.MEMBERS} members, and may not have more",
                field="members",
                limit=bounds.MEMBERS,
            )
        self._check_points(name, points)
        if session is not None and (before is None or before.session != session):
            self._sessions.check_room(session)
        if ring is None:
            made = self._make(name, settings, points)
        else:
            made = self._next(
                name, Ring(settings, ring.version, ring.first, points), ring, member_id
            )
        self._place(name, member_id, before, member)
        return RingChanged(name, made.version, True)

    def leave(self, command: LeaveRing, envelope: Envelope) -> RingChanged:
        """Take a member out."""
        ring = self._require(command.ring)
        if self._inside[command.ring].get(command.member) is None:
            return RingChanged(command.ring, ring.version, False)
        return RingChanged(command.ring, self._remove(command.ring, command.member), True)

    def delete(self, command: DeleteRing, envelope: Envelope) -> RingDeleted:
        """Delete a ring."""
        name, ledger = command.name, self._ledger
        ring = self._require(name)
        self._points.drop(name)
        for member_id, member in self._present(name):
            self._place(name, member_id, member, None)
        for version in range(ring.first + 1, ring.version + 1):
            ledger.delete(self.changes, (name, version))
        ledger.delete(self.table, name)
        ledger.unset(self._inside, name)
        floor = max(ledger.counters.get("ring", 0), ring.version)
        ledger.set(ledger.counters, "ring", floor)
        ledger.emit("ring.deleted", name, ring.version)
        return RingDeleted(name, ring.version)

    def session_ended(self, name: str, member_id: str) -> None:
        """The session of a member has ended."""
        self._remove(name, member_id)

    # The parts.

    def _present(self, name: str) -> list[tuple[str, Member]]:
        # Members that left in this entry keep their place in the index until it is sealed.
        inside = self._inside[name]
        return sorted(
            (member_id, member) for member_id, member in inside.items() if member is not None
        )

    def _full(self, name: str) -> bool:
        inside = self._inside[name]
        return len(inside) >= bounds.MEMBERS and len(self._present(name)) >= bounds.MEMBERS

    def _make(self, name: str, settings: Settings, points: int = 0) -> Ring:
        version = self._ledger.counters.get("ring", 0) + 1
        ring = Ring(settings, version, version, points)
        self._ledger.put(self.table, name, ring)
        self._ledger.set(self._inside, name, {})
        self._ledger.emit("ring.changed", name, version)
        return ring

    def _next(self, name: str, ring: Ring, before: Ring, member_id: str | None) -> Ring:
        """Put the ring's next version: what `ring` says, where `before` stood."""
        ledger, version = self._ledger, before.version + 1
        first = max(before.first, version - bounds.RING_VERSIONS + 1)
        member = None if member_id is None else self._inside[name].get(member_id)
        ledger.put(self.changes, (name, version), Change(member_id, member, before.settings))
        if first > before.first:
            ledger.delete(self.changes, (name, first))
        made = Ring(ring.settings, version, first, ring.points)
        ledger.put(self.table, name, made)
        ledger.emit("ring.changed", name, version)
        return made

    def _remove(self, name: str, member_id: str) -> int:
        ring, member = self.table.rows[name], self.members.rows[name, member_id]
        points = ring.points - point_count(ring.settings.virtual_nodes, member.weight)
        made = self._next(
            name, Ring(ring.settings, ring.version, ring.first, points), ring, member_id
        )
        self._place(name, member_id, member, None)
        return made.version

    def _place(
        self, name: str, member_id: str, before: Member | None, member: Member | None
    ) -> None:
        ledger, inside, holding = self._ledger, self._inside[name], ("member", name, member_id)
        if before is not None and before.session is not None:
            self._sessions.let_go(before.session, holding)
        if member is None:
            ledger.delete(self.members, (name, member_id))
            ledger.unset(inside, member_id)
            return
        ledger.put(self.members, (name, member_id), member)
        ledger.set(inside, member_id, member)
        if member.session is not None:
            self._sessions.hold(member.session, holding)

    def _check_settings(self, command: PutRing) -> None:
        if not 1 <= command.virtual_nodes <= bounds.VIRTUAL_NODES:
            raise Malformed("virtual_nodes is 1 to 1024", field="virtual_nodes")
        if not 1 <= command.replicas <= bounds.MEMBERS:
            raise Malformed("replicas is 1 to 1000", field="replicas")

    def _check_points(self, name: str, points: int) -> None:
        if points > bounds.RING_POINTS:
            raise LimitReached(
                f"ring {name} would have {points} points: use fewer virtual_nodes or less weight",
                field="points",
                limit=bounds.RING_POINTS,
            )

    def rebuild(self) -> None:
        """Make the indexes from the tables."""
        self._inside = {name: {} for name in self.table.rows}
        for (name, member_id), member in self.members.rows.items():
            self._inside[name][member_id] = member
            if member.session is not None:
                self._sessions.holdings[member.session]["member", name, member_id] = True
