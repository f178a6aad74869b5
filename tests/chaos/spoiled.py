"""Histories that no correct cluster leaves: a good one in which one thing was changed.

Each spoiler changes one operation, chosen at random among those it can change, and leaves times and
revisions as they are. Now and then what comes out is good again (two reads at the same moment may
each be true), so the share of those found broken is what counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

from chaos.checkers.facts import lock_states
from chaos.history import History, Operation

Spoiler = Callable[[History, Random], History | None]
OPPOSITE = {
    "commit": "abort",
    "abort": "commit",
    "committed": "aborted",
    "aborted": "committed",
    "finished": "finished",
}


def changed(history: History, item: Operation, **fields: Any) -> History:
    """The history with this operation changed."""
    altered = replace(item, **fields)
    return replace(
        history,
        operations=tuple(altered if other is item else other for other in history.operations),
    )


def answered(history: History, item: Operation, **fields: Any) -> History:
    """The history with these fields of one answer changed."""
    return changed(history, item, answer={**item.answer, **fields})


def _one(random: Random, found: Iterator[Operation]) -> Operation | None:
    every = list(found)
    return random.choice(every) if every else None


def _stale(kind: str, field: str, *named: str) -> Spoiler:
    """A read answers what another one of the same object answered a good while ago."""

    def spoil(history: History, random: Random) -> History | None:
        pairs: list[tuple[Operation, Operation]] = []
        last: dict[Any, list[Operation]] = {}
        for item in history.of(kind):
            if item.ok:
                before = last.setdefault(tuple(item.arguments[name] for name in named), [])
                old = [other for other in before[-9:-1] if other.end < item.begin]
                differ = [other for other in old if _what(other, field) != _what(item, field)]
                pairs += [(item, other) for other in differ[:1]]
                before.append(item)
        if not pairs:
            return None
        item, old_one = random.choice(pairs)
        return changed(history, item, answer=old_one.answer)

    return spoil


def _what(item: Operation, field: str) -> Any:
    if field == "holders":
        return [holder.get("token") for holder in item.answer["holders"]]
    return item.answer[field]


def _held(history: History) -> Iterator[Operation]:
    """Releases that were acknowledged."""
    return (item for item in history.of("lock.release") if item.ok)


def second_holder(history: History, random: Random) -> History | None:
    """Who was refused a lock because it is held gets it."""
    refused = (
        item
        for item in history.of("lock.acquire")
        if item.slug == "lock-held" and any(holders for _, holders in lock_states(item))
    )
    item = _one(random, refused)
    if item is None:
        return None
    tokens = [other.answer["token"] for other in history.of("lock.acquire") if other.ok]
    before = max((token for token in tokens), default=0)
    holder = {"owner": item.arguments["owner"], "session": item.arguments.get("session")}
    answer = {"token": before + 1, "holder": holder, "expires_in": item.arguments.get("ttl")}
    return changed(history, item, outcome="ok", slug=None, status=200, answer=answer)


def doubled_token(history: History, random: Random) -> History | None:
    """A grant has the token of the one before it."""
    granted = [item for item in history.of("lock.acquire") if item.ok]
    by_name: dict[Any, list[Operation]] = {}
    for item in granted:
        by_name.setdefault(item.arguments["name"], []).append(item)
    pairs = [pair for items in by_name.values() for pair in pairwise(items)]
    pairs = [pair for pair in pairs if pair[0].answer["token"] != pair[1].answer["token"]]
    if not pairs:
        return None
    first, second = random.choice(pairs)
    return answered(history, second, token=first.answer["token"])


def lost_grant(history: History, random: Random) -> History | None:
    """The holder is told not to be it."""
    item = _one(random, _held(history))
    if item is None:
        return None
    return changed(history, item, outcome="refused", slug="not-holder", status=409, answer={})


def kept_grant(history: History, random: Random) -> History | None:
    """A grant that was over is given back with success."""
    refused = (
        item
        for item in history.of("lock.release", "lock.refresh")
        if item.slug == "not-holder" and item.arguments["token"]
    )
    item = _one(random, refused)
    if item is None:
        return None
    answer = {"token": item.arguments["token"]}
    return changed(history, item, outcome="ok", slug=None, status=200, answer=answer)


def wrong_check(history: History, random: Random) -> History | None:
    """A check says the contrary."""
    item = _one(random, (item for item in history.of("lock.check") if item.ok))
    if item is None:
        return None
    answer = {key: value for key, value in item.answer.items() if key != "holder"}
    return changed(history, item, answer={**answer, "holds": not item.answer["holds"]})


def request_gone(kind: str) -> Spoiler:
    """A request that was acknowledged was never made: its effect is there without a cause."""

    def spoil(history: History, random: Random) -> History | None:
        item = _one(random, (item for item in history.of(kind) if item.ok and _did(item)))
        if item is None:
            return None
        others = tuple(other for other in history.operations if other is not item)
        return replace(history, operations=others)

    return spoil


def _did(item: Operation) -> bool:
    return item.answer.get("changed") is not False


def lost_write(kind: str, slug: str) -> Spoiler:
    """A request that was executed is told to be refused."""

    def spoil(history: History, random: Random) -> History | None:
        item = _one(random, (item for item in history.of(kind) if item.ok and _did(item)))
        if item is None:
            return None
        return changed(history, item, outcome="refused", slug=slug, status=503, answer={})

    return spoil


def version_off(history: History, random: Random) -> History | None:
    """A change of a ring names the version behind its own."""
    joins = (item for item in history.of("ring.join", "ring.leave") if item.ok and _did(item))
    item = _one(random, joins)
    return None if item is None else answered(history, item, version=item.answer["version"] + 1)


def member_missing(history: History, random: Random) -> History | None:
    """A read of a ring does not show one of its members."""
    reads = (item for item in history.of("ring.read") if item.ok and item.answer["members"])
    item = _one(random, reads)
    if item is None:
        return None
    members = list(item.answer["members"])
    del members[random.randrange(len(members))]
    return answered(history, item, members=members)


def wrong_owner(history: History, random: Random) -> History | None:
    """A key is said to belong to the second of its members."""
    found = (item for item in history.of("ring.lookup") if len(item.answer.get("members", ())) > 1)
    item = _one(random, found)
    if item is None:
        return None
    first, second, *rest = item.answer["members"]
    return answered(history, item, members=[second, first, *rest])


def changed_decision(history: History, random: Random) -> History | None:
    """A read shows the other decision."""
    reads = (item for item in history.of("transaction.read") if item.answer.get("decision"))
    item = _one(random, reads)
    if item is None:
        return None
    other = {key: OPPOSITE[item.answer[key]] for key in ("decision", "state")}
    return answered(history, item, **other)


def lost_vote(history: History, random: Random) -> History | None:
    """A read does not show a vote that was given."""
    reads = (
        item
        for item in history.of("transaction.read")
        if item.ok and any(entry["vote"] for entry in item.answer["participants"].values())
    )
    item = _one(random, reads)
    if item is None:
        return None
    participants = {name: dict(entry) for name, entry in item.answer["participants"].items()}
    name = random.choice([name for name, entry in participants.items() if entry["vote"]])
    participants[name]["vote"] = None
    return answered(history, item, participants=participants)


def undone_decision(kind: str, contrary: str) -> Spoiler:
    """What was decided is told to be decided the other way."""

    def spoil(history: History, random: Random) -> History | None:
        item = _one(random, (item for item in history.of(kind) if item.ok))
        if item is None:
            return None
        word = {"commit": "committed", "abort": "aborted"}[contrary]
        answer = {**item.answer, "decision": contrary, "state": word}
        fields = {"outcome": "refused", "slug": "transaction-decided", "status": 409}
        return changed(history, item, **fields, answer=answer)

    return spoil


SPOILERS: dict[str, Spoiler] = {
    "stale read of a lock": _stale("lock.read", "holders", "name"),
    "stale read of a ring": _stale("ring.read", "version", "ring"),
    "stale read of a transaction": _stale("transaction.read", "state", "id"),
    "second holder": second_holder,
    "doubled token": doubled_token,
    "lost grant": lost_grant,
    "kept grant": kept_grant,
    "wrong check": wrong_check,
    "acquire never made": request_gone("lock.acquire"),
    "release never made": request_gone("lock.release"),
    "join never made": request_gone("ring.join"),
    "leave never made": request_gone("ring.leave"),
    "vote never made": request_gone("transaction.vote"),
    "acquire executed though refused": lost_write("lock.acquire", "no-leader"),
    "release executed though refused": lost_write("lock.release", "no-leader"),
    "join executed though refused": lost_write("ring.join", "no-leader"),
    "vote executed though refused": lost_write("transaction.vote", "no-leader"),
    "prepare executed though refused": lost_write("simple.prepare", "no-leader"),
    "version off": version_off,
    "member missing": member_missing,
    "wrong owner": wrong_owner,
    "changed decision": changed_decision,
    "lost vote": lost_vote,
    "undone commit": undone_decision("transaction.commit", "abort"),
    "undone rollback": undone_decision("transaction.rollback", "commit"),
    "undone simple commit": undone_decision("simple.commit", "abort"),
    "undone simple rollback": undone_decision("simple.rollback", "commit"),
}
"""Name → spoiler; each gives None where a history has nothing that it could spoil."""
