"""Rings: a version names one content, versions never fall, an acknowledged change stays.

What a member is in some version follows from the last change of it with a version up to that one;
or from a change of unknown outcome, at any time after it was sent.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from chaos.checkers.facts import ring_members, session_of, version_of
from chaos.checkers.lives import Life, lost
from chaos.checkers.order import Seen, falls, repeats
from chaos.checkers.sessions import session_lives
from chaos.checkers.violation import Violation, shown
from chaos.history import History, Operation
from raftcoord.hashring import HashRing

Content = dict[str, float]
"""Member → weight."""
RECKONED = 200
"""Versions of a ring whose lookups are reckoned again; each costs some milliseconds."""
OUT = None
"""What a member is that is not in the ring; else it is its weight."""


@dataclass(slots=True)
class Changes:
    """What was asked of one member of one ring.

    Args:
        claims: (version, what the member is in it, who was told so), acknowledged.
        floating: (request of unknown outcome, what the member would be).
        sessions: the sessions it was joined with: it leaves with them unasked.
    """

    claims: list[tuple[int, float | None, Operation]] = field(default_factory=list)
    floating: list[tuple[Operation, float | None]] = field(default_factory=list)
    sessions: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Ring:
    """All that is known of a ring: changes by member, reads, sights of its version, lookups."""

    name: str
    changes: dict[str, Changes] = field(default_factory=dict)
    reads: list[tuple[Operation, int, Content]] = field(default_factory=list)
    versions: list[Seen] = field(default_factory=list)
    lookups: list[tuple[Operation, int, list[str]]] = field(default_factory=list)


def rings_of(history: History) -> dict[str, Ring]:
    """Ring → what is known of it."""
    rings: dict[str, Ring] = {}
    for item in history.of("ring.put", "ring.join", "ring.leave", "ring.read", "ring.lookup"):
        ring = rings.setdefault(str(item.arguments["ring"]), Ring(str(item.arguments["ring"])))
        version = version_of(item) if item.ok else None
        if version is not None:
            made = item.answer.get("changed") is True
            ring.versions.append(Seen(item, version, made))
        if item.kind in ("ring.join", "ring.leave"):
            _changed(ring, item, version)
        elif version is not None and item.kind == "ring.read":
            content = ring_members(item.answer)
            if content is not None:
                ring.reads.append((item, version, content))
        elif version is not None and item.kind == "ring.lookup":
            ring.lookups.append((item, version, list(item.answer.get("members") or ())))
    for ring in rings.values():
        for changes in ring.changes.values():
            changes.claims.sort(key=lambda claim: claim[0])
    return rings


def _changed(ring: Ring, item: Operation, version: int | None) -> None:
    changes = ring.changes.setdefault(str(item.arguments["member"]), Changes())
    into = float(item.arguments.get("weight", 1)) if item.kind == "ring.join" else OUT
    if version is not None:
        changes.claims.append((version, into, item))
    elif item.outcome == "unknown":
        changes.floating.append((item, into))
    session = session_of(item)
    if item.kind == "ring.join" and item.sent and session is not None:
        changes.sessions.append(session)


def judge(history: History) -> Iterator[Violation]:
    """All rules about rings."""
    sessions = session_lives(history)
    for ring in rings_of(history).values():
        yield from _versions(ring)
        yield from _one_content(ring)
        yield from _changes_stay(ring)
        yield from _changes_once(ring)
        yield from _with_their_session(ring, sessions)


def _versions(ring: Ring) -> Iterator[Violation]:
    for first, second in repeats(ring.versions):
        text = f"two changes of ring {ring.name} made version {first.number}"
        yield Violation("version repeated", text, shown(first.operation, second.operation))
    for earlier, later in falls(ring.versions):
        if not (earlier.made and later.made and earlier.number == later.number):
            text = f"ring {ring.name} was at version {later.number} after {earlier.number}"
            yield Violation("versions fall", text, shown(earlier.operation, later.operation))


def _one_content(ring: Ring) -> Iterator[Violation]:
    contents: dict[int, tuple[Operation, Content]] = {}
    for item, version, content in ring.reads:
        first, expected = contents.setdefault(version, (item, content))
        if content != expected:
            differ = sorted(
                name for name in {*content, *expected} if content.get(name) != expected.get(name)
            )
            text = f"version {version} of ring {ring.name} has two contents: {', '.join(differ)}"
            yield Violation("two contents of a version", text, shown(first, item))
    rings: dict[int, HashRing] = {}
    for item, version, members in ring.lookups:
        if version not in contents or (version not in rings and len(rings) >= RECKONED):
            continue
        first, content = contents[version]
        if version not in rings:
            rings[version] = HashRing(content, int(first.answer.get("virtual_nodes", 128)))
        hash_ring = rings[version]
        expected_members = hash_ring.lookup(item.arguments["key"], int(item.arguments["n"]))
        if members != expected_members:
            text = (
                f"key {item.arguments['key']} of ring {ring.name} belongs to {members} in version"
                f" {version}; by its members to {expected_members}"
            )
            yield Violation("wrong lookup", text, shown(first, item))


def _changes_stay(ring: Ring) -> Iterator[Violation]:
    for member, changes in ring.changes.items():
        versions = [version for version, _, _ in changes.claims]
        for item, version, content in ring.reads:
            at = bisect_right(versions, version) - 1
            shows = content.get(member, OUT)
            expected = changes.claims[at][1] if at >= 0 else OUT
            if shows == expected:
                continue
            if shows is OUT and changes.sessions:
                continue
            if any(sent.begin <= item.end and shows == into for sent, into in changes.floating):
                continue
            text = (
                f"version {version} of ring {ring.name} shows {member} {_said(shows)}, it should"
                f" be {_said(expected)}"
            )
            claim = changes.claims[at][2] if at >= 0 else None
            yield Violation("ring change lost", text, shown(claim, item))
            break
    known = set(ring.changes)
    for item, version, content in ring.reads:
        strangers = sorted(set(content) - known)
        if strangers:
            text = f"version {version} of ring {ring.name} has {strangers[0]}, which nobody put in"
            yield Violation("member from nowhere", text, shown(item))
            break


def _changes_once(ring: Ring) -> Iterator[Violation]:
    """The first change of a member changes something: that it did not shows that it came twice."""
    for member, changes in ring.changes.items():
        requests = [item for _, _, item in changes.claims] + [item for item, _ in changes.floating]
        for _, into, item in changes.claims:
            if into is OUT or item.answer.get("changed") is not False:
                continue
            if not any(other is not item and other.begin <= item.end for other in requests):
                text = f"{member} was put into ring {ring.name} once, and that changed nothing"
                yield Violation("executed twice", text, shown(item))


def _said(weight: float | None) -> str:
    return "outside" if weight is OUT else f"inside with weight {weight:g}"


def _with_their_session(ring: Ring, sessions: dict[int, Life]) -> Iterator[Violation]:
    """A member is there while its session lives, and not after it."""
    for member, changes in ring.changes.items():
        joins = [claim for claim in changes.claims if claim[1] is not OUT]
        if len(joins) != 1 or len(changes.sessions) != 1 or changes.floating:
            continue
        session = sessions.get(changes.sessions[0])
        if session is None:
            continue
        join = joins[0][2]
        leaves = [claim[2] for claim in changes.claims if claim[1] is OUT]
        life = Life(f"member {member} of ring {ring.name}", [join], leaves[:], leaves[:])
        life.parent = session
        # One whose session ran out stays until that is collected; a closed one takes it along.
        life.gone += [item for item in session.gone if item.kind == "session.close" and item.ok]
        for item, _, content in ring.reads:
            (life.alive if member in content else life.gone).append(item)
        for item in lost(life):
            before, behind = life.witness()
            text = f"{life.name} with session {changes.sessions[0]} came or went without it"
            yield Violation("member and session apart", text, shown(before, item, behind))
            break
