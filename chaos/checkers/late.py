"""What lives too long: grants, sessions and open transactions are not met behind their end.

When something ends at the latest no clock of the callers says: cluster time stands still while
nobody leads. But where writes were accepted without a gap it did not (`passing`), and who is met
alive long behind the end of all that was given to it has outlived it. So has what is committed
then. And nothing has more time left than it was given.

A request of unknown outcome may have given more time at any moment behind its begin, while there
was something to give it to.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from chaos.checkers.facts import SIMPLE_OWNER, session_of, token_of
from chaos.checkers.locks import ROUNDING, Asked, acquires_of
from chaos.checkers.passing import Passing, cluster_time
from chaos.checkers.sessions import session_lives
from chaos.checkers.simple import prepares_of
from chaos.checkers.transactions import Asked as Transaction
from chaos.checkers.transactions import transactions_of
from chaos.checkers.violation import Violation, shown
from chaos.history import FOREVER, History, Operation

TOO_LONG = "lives too long"
TOO_MUCH = "more left than was given"
TOO_LATE = "committed too late"


@dataclass(slots=True)
class Term:
    """Something that ends by itself.

    Args:
        name: for people.
        sights: who met it alive, and the seconds it had left, where that was said.
        given: who gave it time, or may have, and how many seconds; None: as many as before.
        others: seconds that somebody else may have given it, at its beginning.
    """

    name: str
    sights: list[tuple[Operation, float | None]] = field(default_factory=list)
    given: list[tuple[Operation, float | None]] = field(default_factory=list)
    others: list[float] = field(default_factory=list)


def judge(history: History) -> Iterator[Violation]:
    """Nothing lives too long, or has too much time left."""
    passing = cluster_time(history)
    terms = chain(_grants(history), _sessions(history), _transactions(history), _deals(history))
    for term in terms:
        found = _too_much(term) or _too_long(term, passing)
        if found is not None:
            yield found
    yield from _committed_late(history, passing)
    yield from _deals_committed_late(history, passing)


def _most(term: Term) -> float | None:
    """The longest time that somebody gave it; None where that is not known."""
    known = [seconds for _, seconds in term.given if seconds is not None]
    return max(chain(known, term.others), default=None)


def _too_much(term: Term) -> Violation | None:
    most = _most(term)
    if most is None:
        return None
    for item, left in term.sights:
        if left is not None and left > most + ROUNDING:
            text = f"{term.name} had {left:g} s left, and was given {most:g} s at most"
            return Violation(TOO_MUCH, text, shown(*_givers(term, item), item))
    return None


def _too_long(term: Term, passing: Passing) -> Violation | None:
    most = _most(term)
    if most is None or len(term.sights) < 2:
        return None  # who met it first says only that it had begun
    heard = sorted(item.end for item, _ in term.given if item.ok)
    known = [seconds for item, seconds in term.given if item.ok and seconds is not None]
    heard_of = max(chain(known, term.others), default=most)
    givers = {item.id for item, _ in term.given}
    first = min(item.end for item, _ in term.sights)
    for item, shows in term.sights:
        # By then it had begun, and its time may have begun anew.
        at = bisect_left(heard, item.begin)
        since = max(first, heard[at - 1]) if at else first
        # Who gives it time shows what is left with that.
        left = 0.0 if shows is None or item.id in givers else shows
        if not passing.over(since, heard_of, item.begin, left) or _may_be_renewed(term, item):
            continue
        seconds = heard_of + _unheard(term, item, (since, heard_of, most), passing)
        if passing.over(since, seconds, item.begin, left):
            text = (
                f"{term.name} was there {(item.begin - since) / 1e9:.1f} s after it was given"
                f" {seconds:g} s at most, while writes were accepted"
            )
            if left:
                text += f"; it had {left:g} s left"
            return Violation(TOO_LONG, text, shown(*_givers(term, item), item))
    return None


def _may_be_renewed(term: Term, item: Operation) -> bool:
    """Whether somebody gave it time while the operation was on its way."""
    return any(
        other is not item and other.ok and other.begin <= item.end and other.end >= item.begin
        for other, _ in term.given
    )


def _unheard(
    term: Term, item: Operation, given: tuple[int, float, float], passing: Passing
) -> float:
    """Seconds that requests of which nobody heard may have given it, on top of each other.

    Args:
        given: when it was given time last, how much at most, and by those of unknown outcome.
    """
    since, heard_of, most = given
    more = 0.0
    for other, seconds in sorted(term.given, key=lambda entry: entry[0].begin):
        alive = other.begin <= item.end and not passing.over(since, heard_of + more, other.begin)
        if not other.ok and alive:
            more += most if seconds is None else seconds
    return more


def _givers(term: Term, item: Operation) -> list[Operation]:
    """The first and the last that gave it time before."""
    before = [other for other, _ in term.given if other.ok and other.end < item.begin]
    return before[:1] + before[-1:]


# Grants.


def _grants(history: History) -> Iterator[Term]:
    terms: dict[tuple[str, int], Term] = {}
    holders: dict[tuple[str, int], tuple[str, int | None]] = {}
    for item in history.operations:
        for name, holder in _holders(item):
            token = holder.get("token")
            if isinstance(token, int):
                key = name, token
                _term(terms, key).sights.append((item, holder.get("expires_in")))
                if "owner" in holder:
                    holders[key] = str(holder["owner"]), holder.get("session")
        if item.kind in ("lock.acquire", "simple.lock", "lock.refresh", "lock.release"):
            _take(terms, holders, item)
    asked = acquires_of(history)
    for (name, token), (owner, session) in holders.items():
        acquires, term = asked.get((name, owner, session)), terms[name, token]
        if acquires is not None and _is_leased(acquires, session):
            term.others += _may_have_begun(acquires, term)
            yield term


def _term(terms: dict[tuple[str, int], Term], key: tuple[str, int]) -> Term:
    """That of a grant, made where it is new."""
    term = terms.get(key)
    if term is None:
        term = terms[key] = Term(f"lock {key[0]}, token {key[1]}")
    return term


def _take(
    terms: dict[tuple[str, int], Term],
    holders: dict[tuple[str, int], tuple[str, int | None]],
    item: Operation,
) -> None:
    token = token_of(item)
    if token is None or not item.sent:
        return
    simple = item.kind == "simple.lock"
    name = str(item.arguments["key" if simple else "name"])
    term = _term(terms, (name, token))
    if item.ok:
        term.sights.append((item, item.answer.get("expires_in")))
    if item.kind == "lock.refresh" or (item.ok and item.kind != "lock.release"):
        seconds = item.arguments.get("expire" if simple else "ttl")
        if seconds is not None or item.kind == "lock.refresh":
            term.given.append((item, seconds))
    if item.ok:
        owner = SIMPLE_OWNER if simple else str(item.arguments["owner"])
        holders[name, token] = owner, session_of(item)


def _holders(item: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    """The holders that an answer shows, each with its lock."""
    if not item.kind.startswith("lock") or "consistency" in item.arguments:
        return
    answer = item.answer
    if item.kind == "lock.read" and item.ok:
        for holder in answer.get("holders") or ():
            yield str(item.arguments["name"]), holder
    elif item.kind == "lock.check" and item.ok and answer.get("holds") is True:
        yield (
            str(item.arguments["name"]),
            {**(answer.get("holder") or {}), "token": item.arguments["token"]},
        )
    elif item.kind == "locks.list" and item.ok:
        for lock in answer.get("locks") or ():
            for holder in lock.get("holders") or ():
                yield str(lock.get("name")), holder
    elif item.slug == "already-held" and isinstance(answer.get("grant"), dict):
        yield str(item.arguments["name"]), answer["grant"]


def _is_leased(acquires: Asked, session: int | None) -> bool:
    """Whether the grant surely has a lease of its own."""
    return session is None or all(
        item.arguments.get("ttl") is not None
        for item in chain(acquires.requests, acquires.refused_waits)
    )


def _may_have_begun(acquires: Asked, term: Term) -> list[float]:
    """Leases that others of the same holder asked for: who waits may join the place of one that
    nobody heard of, or that was refused later."""
    first = min((item.end for item, _ in term.sights), default=FOREVER)
    since = min((item.begin for item, _ in term.sights), default=0)
    found = [seconds for begin, seconds in acquires.unheard_leases if begin <= first]
    found += [
        float(item.arguments["ttl"])
        for item in acquires.refused_waits
        if item.begin <= first and item.end >= since and "ttl" in item.arguments
    ]
    return found


# Sessions.


def _sessions(history: History) -> Iterator[Term]:
    terms: dict[int, Term] = {}
    for number, life in session_lives(history).items():
        term = terms[number] = Term(f"session {number}", given=list(life.leases))
        for item in life.alive:
            says = item.kind != "session.open" and "consistency" not in item.arguments
            term.sights.append((item, item.answer.get("expires_in") if says else None))
    for item in history.operations:
        for _, holder in _holders(item):
            held = terms.get(holder.get("session", 0))
            if held is not None:
                held.sights.append((item, holder.get("expires_in")))
        if item.kind == "sessions.list" and item.ok and "consistency" not in item.arguments:
            for session in item.answer.get("sessions") or ():
                listed = terms.get(session.get("id", 0))
                if listed is not None:
                    listed.sights.append((item, session.get("expires_in")))
    yield from terms.values()


# Transactions.


def _transactions(history: History) -> Iterator[Term]:
    terms: dict[int, Term] = {}
    for number, asked in transactions_of(history).items():
        begun = asked.begun
        if begun is None:
            continue
        term = terms[number] = Term(f"transaction {number}, undecided,")
        term.given.append((begun, float(begun.arguments["timeout"])))
        for sight in asked.seen:
            item = sight.operation
            if sight.state == "open" and "consistency" not in item.arguments:
                listed = item.kind == "transactions.list"
                left = None if listed else item.answer.get("expires_in")
                term.sights.append((item, left))
    for item in history.of("transactions.list"):
        for view in item.answer.get("transactions") or () if item.ok else ():
            found = terms.get(view.get("id", 0))
            if found is not None and view.get("state") == "open":
                found.sights.append((item, view.get("expires_in")))
    yield from terms.values()


def _committed_late(history: History, passing: Passing) -> Iterator[Violation]:
    for number, asked in transactions_of(history).items():
        begun, decided = asked.begun, asked.decided()
        if begun is None or not any(sight.decision == "commit" for sight in decided):
            continue
        last = _last_needed(asked, begun)
        if last is not None and passing.over(
            begun.end, float(begun.arguments["timeout"]), last.begin
        ):
            text = (
                f"transaction {number} with a timeout of {begun.arguments['timeout']:g} s was"
                f" committed {(last.begin - begun.end) / 1e9:.1f} s after its begin"
            )
            sight = next(sight for sight in decided if sight.decision == "commit")
            yield Violation(TOO_LATE, text, shown(begun, last, sight.operation))


def _last_needed(asked: Transaction, begun: Operation) -> Operation | None:
    """Of the requests without which it cannot be committed the one that began last."""
    votes = asked.sent_votes("commit")
    needed = [votes.get(str(name), []) for name in begun.arguments["participants"]]
    if begun.arguments.get("decide") != "auto":
        needed.append([item for item in asked.commits if item.sent])
    firsts = [min(items, key=_begin) for items in needed if items]
    return max(firsts, key=_begin, default=None)


def _begin(item: Operation) -> int:
    return item.begin


# Prepared values of the simple protocol.


def _deals(history: History) -> Iterator[Term]:
    by_number: dict[int, Term] = {}
    for (key, value), prepare in prepares_of(history).items():
        for item, seconds in prepare.life.leases:
            number = item.answer.get("transaction")
            if isinstance(number, int):
                name = f"{key} prepared with value {value}"
                by_number[number] = Term(name, [(item, None)], [(item, seconds)])
    for item in history.of("simple.prepare"):
        if item.slug == "already-prepared":
            term = by_number.get(item.answer.get("transaction", 0))
            if term is not None:
                term.sights.append((item, item.answer.get("expires_in")))
    yield from by_number.values()


def _deals_committed_late(history: History, passing: Passing) -> Iterator[Violation]:
    for prepare in prepares_of(history).values():
        sight = next((item for item, what in prepare.decisions if what == "commit"), None)
        commits = [item for item in prepare.life.enders if item.kind.endswith(".commit")]
        first = min(commits, key=_begin, default=None)
        for begun, seconds in prepare.life.leases:
            if sight is None or first is None or not passing.over(begun.end, seconds, first.begin):
                continue
            text = (
                f"{prepare.life.name} for {seconds:g} s was committed"
                f" {(first.begin - begun.end) / 1e9:.1f} s after it was prepared"
            )
            yield Violation(TOO_LATE, text, shown(begun, first, sight))


__all__ = ["Term", "judge"]
