"""Rings: a version names one content, versions never fall, an acknowledged change stays.

What a member is in some version follows from the last change of it with a version up to that one;
or from a change of unknown outcome, at any time after it was sent.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from chaos.checkers.facts import ring_members, session_of, version_of
from chaos.checkers.linear.ring_points import owners
from chaos.checkers.lives import Life, lost
from chaos.checkers.order import Seen, falls, repeats
from chaos.checkers.sessions import session_lives
from chaos.checkers.violation import Violation, shown
from chaos.history import History, Operation

VIRTUAL_NODES = 128
"""The default; reads show another one."""
_KINDS = ("ring.put", "ring.delete", "ring.join", "ring.leave", "ring.read", "ring.lookup")
Content = dict[str, float]
"""Member → weight."""
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
    """All that is known of a ring: changes by member, reads, sights of its version, lookups;
    `remade`: it was deleted, perhaps, and what was in it was lost."""

    name: str
    changes: dict[str, Changes] = field(default_factory=dict)
    reads: list[tuple[Operation, int, Content]] = field(default_factory=list)
    versions: list[Seen] = field(default_factory=list)
    lookups: list[tuple[Operation, int, list[str]]] = field(default_factory=list)
    remade: bool = False


def rings_of(history: History) -> dict[str, Ring]:
    """Ring → what is known of it."""
    rings: dict[str, Ring] = {}
    for item in history.of(*_KINDS):
        ring = rings.setdefault(str(item.arguments["ring"]), Ring(str(item.arguments["ring"])))
        version = version_of(item) if item.ok else None
        if version is not None:
            made = item.answer.get("changed") is True
            ring.versions.append(Seen(item, version, made))
        if item.kind == "ring.delete":
            ring.remade |= item.sent
        elif item.kind in ("ring.join", "ring.leave"):
            _changed(ring, item, version)
        elif version is not None and item.kind == "ring.read":
            content = ring_members(item.answer)
            if content is not None:
                ring.reads.append((item, version, content))
        elif version is not None and item.kind == "ring.lookup":
            ring.lookups.append((item, version, list(item.answer.get("members") or ())))
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
        if ring.remade:
            continue
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
    for item, version, members in ring.lookups:
        if version not in contents:
            continue
        first, content = contents[version]
        key, count = str(item.arguments["key"]), int(item.arguments.get("n", 1))
        nodes = int(first.answer.get("virtual_nodes", VIRTUAL_NODES))
        expected_members = owners(content.items(), nodes, key, count)
        if members != expected_members:
            text = (
                f"key {key} of ring {ring.name} belongs to {members} in version {version};"
                f" by its members to {expected_members}"
            )
            yield Violation("wrong lookup", text, shown(first, item))


def _changes_stay(ring: Ring) -> Iterator[Violation]:
    """In the order of versions, each read shows what the acknowledged changes up to it made."""
    claims = sorted(
        (
            (version, member, into, item)
            for member, changes in ring.changes.items()
            for version, into, item in changes.claims
        ),
        key=lambda claim: claim[0],
    )
    expected: Content = {}
    last: dict[str, Operation] = {}
    told: set[str] = set()
    at = 0
    for item, version, content in sorted(ring.reads, key=lambda read: read[1]):
        while at < len(claims) and claims[at][0] <= version:
            _, member, into, claim = claims[at]
            last[member] = claim
            if into is OUT:
                expected.pop(member, None)
            else:
                expected[member] = into
            at += 1
        if content == expected:
            continue
        for member in sorted(dict(content.items() ^ expected.items())):
            shows, should = content.get(member, OUT), expected.get(member, OUT)
            changes = ring.changes.get(member)
            if changes is not None and shows is OUT and changes.sessions:
                # It left with its session, and does not come back by itself.
                del expected[member]
            elif member not in told and not _explained(changes, shows, item):
                told.add(member)
                yield _lost_change(ring, version, member, shows, should, last.get(member), item)


def _explained(changes: Changes | None, shows: float | None, item: Operation) -> bool:
    """Whether a change of which nobody heard can have made it so."""
    if changes is None:
        return False
    return any(sent.begin <= item.end and shows == into for sent, into in changes.floating)


def _lost_change(
    ring: Ring,
    version: int,
    member: str,
    shows: float | None,
    should: float | None,
    claim: Operation | None,
    item: Operation,
) -> Violation:
    if member not in ring.changes:
        text = f"version {version} of ring {ring.name} has {member}, which nobody put in"
        return Violation("member from nowhere", text, shown(item))
    text = (
        f"version {version} of ring {ring.name} shows {member} {_said(shows)}, it should be"
        f" {_said(should)}"
    )
    return Violation("ring change lost", text, shown(claim, item))


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
    showing: dict[str, list[Operation]] = defaultdict(list)
    for item, _, content in ring.reads:
        for member in content:
            showing[member].append(item)
    begins = [item.begin for item, _, _ in ring.reads]
    for member, changes in ring.changes.items():
        joins = [claim for claim in changes.claims if claim[1] is not OUT]
        if len(joins) != 1 or len(changes.sessions) != 1 or changes.floating:
            continue
        session = sessions.get(changes.sessions[0])
        if session is None:
            continue
        join = joins[0][2]
        leaves = [claim[2] for claim in changes.claims if claim[1] is OUT]
        alive = [join, *showing[member]]
        life = Life(f"member {member} of ring {ring.name}", alive, leaves[:], leaves[:])
        life.parent = session
        # One whose session ran out stays until that is collected; a closed one takes it along.
        life.gone += [item for item in session.gone if item.kind == "session.close" and item.ok]
        first, behind = bisect_left(begins, life.first()), bisect_right(begins, life.last())
        life.gone += [
            item for item, _, content in ring.reads[first:behind] if member not in content
        ]
        for item in lost(life):
            before, last = life.witness()
            text = f"{life.name} with session {changes.sessions[0]} came or went without it"
            yield Violation("member and session apart", text, shown(before, item, last))
            break
