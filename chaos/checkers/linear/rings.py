"""The model of a ring: members with weights, and a version that each change raises by one.

What happens by itself: when a session ends, its members leave in one entry, each a change.
A ring without a version was not made yet; the first member to join makes it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from chaos.checkers.facts import ring_members, session_of, version_of
from chaos.checkers.linear.ring_points import owners
from chaos.checkers.linear.sessions import SessionEnds, session_ends
from chaos.checkers.linear.steps import Model, Step
from chaos.history import FOREVER, History, Operation

VIRTUAL_NODES = 128
"""The default; a ring that was made otherwise shows it in its reads."""


class Member(NamedTuple):
    """A member as a read shows it."""

    id: str
    weight: float
    session: int | None


class Ring(NamedTuple):
    """A ring; version 0: it is not there."""

    version: int
    members: frozenset[Member] = frozenset()


States = tuple[Ring, ...]
NOTHING: States = ()
ABSENT = Ring(0)
May = Callable[[Ring], States]


def version(ring: Ring) -> int:
    """The level of a ring: versions never fall."""
    return ring.version


def alone(sessions: SessionEnds, ring: Ring) -> Iterable[tuple[int, Ring]]:
    """A session ends, and its members leave."""
    for session in {member.session for member in ring.members if member.session is not None}:
        rest = frozenset(member for member in ring.members if member.session != session)
        left = len(ring.members) - len(rest)
        yield sessions.earliest(session), Ring(ring.version + left, rest)


def words(ring: Ring) -> str:
    """For people."""
    if ring.version == 0:
        return "not there"
    members = ", ".join(
        f"{member.id} ({member.weight:g})" for member in sorted(ring.members, key=lambda it: it.id)
    )
    return f"at version {ring.version} with {members or 'no members'}"


def _joined(member: Member, ring: Ring) -> Ring:
    others = (other for other in ring.members if other.id != member.id)
    return Ring(ring.version + 1, frozenset((member, *others)))


def _left(name: str, ring: Ring) -> Ring:
    return Ring(ring.version + 1, frozenset(other for other in ring.members if other.id != name))


def _is_in(name: str, ring: Ring) -> bool:
    return any(member.id == name for member in ring.members)


def join(member: Member, said: int, changed: bool | None, ring: Ring) -> States:
    """A member was put in, or was there as it is; `said` is the version in the answer."""
    if member in ring.members:
        return (ring,) if changed is not True and ring.version == said else NOTHING
    after = _joined(member, ring)
    return (after,) if changed is not False and after.version == said else NOTHING


def leave(name: str, said: int, changed: bool | None, ring: Ring) -> States:
    """A member was taken out, or was not there."""
    if ring.version == 0:
        return NOTHING
    if not _is_in(name, ring):
        return (ring,) if changed is not True and ring.version == said else NOTHING
    after = _left(name, ring)
    return (after,) if changed is not False and after.version == said else NOTHING


def may_join(member: Member, ring: Ring) -> States:
    """A join of which nobody heard."""
    return NOTHING if member in ring.members else (_joined(member, ring),)


def may_leave(name: str, ring: Ring) -> States:
    """A leave of which nobody heard."""
    return (_left(name, ring),) if _is_in(name, ring) else NOTHING


def shown(said: int, members: frozenset[Member], ring: Ring) -> States:
    """The ring was read."""
    return (ring,) if (ring.version, ring.members) == (said, members) else NOTHING


def leads_to(said: int, members: frozenset[Member], ring: Ring) -> bool:
    """Whether there are versions enough for all that differs: each changes one member."""
    if ring.version > said:
        return False
    different = ring.members ^ members
    if len(different) <= said - ring.version:
        return True
    return len({member.id for member in different}) <= said - ring.version


def at_version(said: int, ring: Ring) -> States:
    """The ring was listed with this version."""
    return (ring,) if ring.version == said else NOTHING


def looked_up(
    said: int, nodes: int, key: str, count: int, found: tuple[str, ...], ring: Ring
) -> States:
    """A key was looked up."""
    if ring.version != said:
        return NOTHING
    content = ((member.id, member.weight) for member in ring.members)
    return (ring,) if owners(content, nodes, key, count) == list(found) else NOTHING


def absent(ring: Ring) -> States:
    """Somebody was told that there is no such ring."""
    return (ring,) if ring.version == 0 else NOTHING


def never(ring: Ring) -> States:
    """No ring can have been answered like this."""
    return NOTHING


# Reading the history.


def objects_of(history: History) -> Iterator[tuple[str, Model[Ring], list[Step[Ring]]]]:
    """(name, model, steps) of each ring."""
    reader = _Reader(history)
    steps: dict[str, list[Step[Ring]]] = defaultdict(list)
    for item in history.operations:
        if item.kind == "rings.list" and item.ok:
            for listed in item.answer.get("rings") or ():
                said = int(listed["version"])
                step = Step(item, partial(at_version, said), read=True, limit=said)
                steps[str(listed["name"])].append(step)
        read = _READERS.get(item.kind)
        if read is not None and item.outcome != "never-sent":
            made = read(reader, item)
            if made is not None:
                steps[str(item.arguments["ring"])].append(made)
    model = Model(ABSENT, partial(alone, reader.sessions), version, words)
    remade = _remade(history)
    for name, of_ring in steps.items():
        if name in remade or (remade and name not in reader.from_the_first):
            continue
        yield f"ring {name}", model, of_ring


def _remade(history: History) -> frozenset[str]:
    """Rings that were made or deleted by name: `chaos.checkers.remade` is their judge. A ring that
    is first made behind one that was deleted does not begin at version 1."""
    named = history.of("ring.put", "ring.delete")
    return frozenset(str(item.arguments["ring"]) for item in named if item.sent)


class _Reader:
    """Makes a step of an operation; None where it says nothing about the ring."""

    def __init__(self, history: History) -> None:
        self.sessions = session_ends(history)
        self._nodes: dict[str, int] = {}
        self.from_the_first = {
            str(item.arguments["ring"])
            for item in history.of("ring.join", "ring.read", "ring.lookup")
            if item.ok and version_of(item) == 1
        }
        for item in history.of("ring.read"):
            if item.ok and "virtual_nodes" in item.answer:
                self._nodes[str(item.arguments["ring"])] = int(item.answer["virtual_nodes"])

    def join(self, item: Operation) -> Step[Ring] | None:
        """A join."""
        session = session_of(item)
        weight = float(item.arguments.get("weight", 1))
        member = Member(str(item.arguments["member"]), weight, session)
        if item.outcome == "unknown":
            return Step(item, partial(may_join, member), optional=True, alike=member)
        said = version_of(item)
        if not item.ok or said is None:
            return None
        late = self.sessions.gone(session) < item.begin
        may: May = never if late else partial(join, member, said, item.answer.get("changed"))
        return Step(item, may, limit=said)

    def leave(self, item: Operation) -> Step[Ring] | None:
        """A leave."""
        name, said = str(item.arguments["member"]), version_of(item)
        if item.outcome == "unknown":
            return Step(item, partial(may_leave, name), optional=True, alike=name)
        if item.slug == "unknown-ring":
            return Step(item, absent)
        if not item.ok or said is None:
            return None
        return Step(item, partial(leave, name, said, item.answer.get("changed")), limit=said)

    def read(self, item: Operation) -> Step[Ring] | None:
        """A read."""
        if item.slug == "unknown-ring":
            return Step(item, absent, read=True)
        content, said = ring_members(item.answer), version_of(item)
        if not item.ok or content is None or said is None:
            return None
        sessions = {
            str(entry["id"]): entry.get("session")
            for entry in item.answer["members"]
            if isinstance(entry, dict) and "id" in entry
        }
        closed = min(map(self.sessions.closed, sessions.values()), default=FOREVER)
        if closed < item.begin:
            # What a session holds ends with it, in the entry that closes it.
            return Step(item, never, read=True, limit=said)
        members = frozenset(
            Member(name, weight, sessions.get(name)) for name, weight in content.items()
        )
        leads = partial(leads_to, said, members)
        return Step(item, partial(shown, said, members), read=True, limit=said, leads=leads)

    def lookup(self, item: Operation) -> Step[Ring] | None:
        """A lookup of one key."""
        if item.slug == "unknown-ring":
            return Step(item, absent, read=True)
        said, found = version_of(item), item.answer.get("members")
        if not item.ok or said is None or not isinstance(found, list):
            return None
        nodes = self._nodes.get(str(item.arguments["ring"]), VIRTUAL_NODES)
        key, count = str(item.arguments["key"]), int(item.arguments.get("n", 1))
        may: May = partial(looked_up, said, nodes, key, count, tuple(found))
        return Step(item, may, read=True, limit=said)


_READERS: dict[str, Callable[[_Reader, Operation], Step[Ring] | None]] = {
    "ring.join": _Reader.join,
    "ring.leave": _Reader.leave,
    "ring.read": _Reader.read,
    "ring.lookup": _Reader.lookup,
}
