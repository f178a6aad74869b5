"""Locks: no two holders at once, no acknowledged grant lost, every answer according to its token.

A grant is (lock, token). Its life is put together from everything that names or shows its token:
the acquire, refreshes, checks, releases, reads, and the refusals of others.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from chaos.checkers.clocks import TRUE_CLOCKS, Clocks, clocks_of
from chaos.checkers.facts import (
    SIMPLE_OWNER,
    Holder,
    check_says,
    lock_states,
    may_have_held,
    session_of,
    token_of,
)
from chaos.checkers.lives import Life, lost, overlaps
from chaos.checkers.once import once
from chaos.checkers.order import Seen, falls
from chaos.checkers.sessions import session_lives
from chaos.checkers.violation import Violation, shown
from chaos.history import FOREVER, SECOND, History, Operation

ROUNDING = 0.002
"""Seconds."""


@dataclass(slots=True)
class Grants:
    """All that is known of the grants of one lock.

    Args:
        lives: token → its life.
        holders: token → the holders it was shown with, each with the first operation to show it.
        tokens: every sight of a token, for their order.
        states: whole states of the lock that were seen: its holders.
        denied: who was told not to hold it with this token.
    """

    name: str
    clocks: Clocks = TRUE_CLOCKS
    lives: dict[int, Life] = field(default_factory=dict)
    holders: dict[int, dict[tuple[str, int | None], Operation]] = field(default_factory=dict)
    tokens: list[Seen] = field(default_factory=list)
    states: list[tuple[Operation, list[Holder]]] = field(default_factory=list)
    denied: list[tuple[Operation, int]] = field(default_factory=list)

    def life(self, token: int) -> Life:
        """The life of a grant, made where it is new."""
        life = self.lives.get(token)
        if life is None:
            life = Life(f"lock {self.name}, token {token}", clocks=self.clocks)
            self.lives[token] = life
        return life

    def met(self, item: Operation, token: int, holder: Holder | None, made: bool = False) -> None:
        """The operation met this grant alive."""
        self.life(token).alive.append(item)
        self.tokens.append(Seen(item, token, made))
        if holder is not None:
            self.holders.setdefault(token, {}).setdefault((holder.owner, holder.session), item)


def grants_of(history: History, asked: AskedBy) -> dict[str, Grants]:
    """Lock → its grants. Locks of the simple protocol stand in `chaos.checkers.simple`."""
    locks: dict[str, Grants] = {}
    clocks = clocks_of(history)

    def of(name: str) -> Grants:
        if name not in locks:
            locks[name] = Grants(name, clocks)
        return locks[name]

    for item in history.operations:
        if item.kind.startswith("lock."):
            _take(of(str(item.arguments["name"])), item)
        for name, holders in lock_states(item):
            grants = of(name)
            grants.states.append((item, holders))
            for holder in holders:
                if holder.token is not None:
                    grants.met(item, holder.token, holder)
    sessions = session_lives(history)
    for grants in locks.values():
        _settle(grants, sessions, asked)
    return locks


def _take(grants: Grants, item: Operation) -> None:
    token = token_of(item)
    if token is None:
        return
    if item.kind == "lock.acquire":
        if item.ok:
            grants.met(item, token, Holder(item.arguments["owner"], session_of(item), token), True)
            _lease(grants.life(token), item)
    elif item.kind == "lock.check":
        says = check_says(item)
        if says is True:
            grants.met(item, token, None)
        elif says is False:
            grants.life(token).gone.append(item)
    else:
        _take_of_holder(grants, item, token)


def _take_of_holder(grants: Grants, item: Operation, token: int) -> None:
    """A refresh or a release."""
    life = grants.life(token)
    if item.ok:
        grants.met(item, token, Holder(item.arguments["owner"], session_of(item), token))
    elif item.slug == "not-holder":
        grants.denied.append((item, token))
    if item.kind == "lock.refresh" and item.sent:
        _lease(life, item)
    if item.kind == "lock.release" and item.sent:
        life.enders.append(item)
        if item.ok:
            life.gone.append(item)


def _lease(life: Life, item: Operation) -> None:
    asked = item.arguments.get("ttl")
    if asked is not None:
        # Who joined a place of its own got the lease that was asked for first.
        life.leases.append((item, min(float(asked), float(item.answer.get("expires_in", asked)))))
    elif item.kind == "lock.refresh" and life.leases:
        life.leases.append((item, life.leases[0][1]))


def _inherited(name: str, life: Life, asked: AskedBy) -> None:
    """Who asked for no lease, and joined a place of its own, got the one asked for first."""
    for item in life.alive:
        left = item.answer.get("expires_in")
        if item.kind != "lock.acquire" or not item.ok or left is None or "ttl" in item.arguments:
            continue
        acquires = asked[name, str(item.arguments["owner"]), session_of(item)]
        if any(may_join <= item.end and left <= ttl for may_join, ttl in acquires.unheard_leases):
            life.leases.append((item, float(left)))


def _settle(grants: Grants, sessions: dict[int, Life], asked: AskedBy) -> None:
    """What can be said only when all is read."""
    for life in grants.lives.values():
        _inherited(grants.name, life, asked)
    for item, token in grants.denied:
        # A no to somebody else says nothing about the holder.
        if (item.arguments.get("owner"), session_of(item)) in grants.holders.get(token, {}):
            grants.life(token).gone.append(item)
    granted = {item.number for item in grants.tokens if item.made}
    for token, life in grants.lives.items():
        for _, session in grants.holders.get(token, {}):
            parent = sessions.get(session) if session is not None else None
            if parent is not None:
                # What a session holds ends with it: who met the session gone met this gone.
                life.parent = parent
                life.gone += parent.gone
        if token not in granted:
            # Nobody heard the answer: its gateway may take the grant back at any time.
            life.parent = None
            life.leases.clear()


def judge(history: History) -> Iterator[Violation]:
    """All rules about locks."""
    asked = acquires_of(history)
    for grants in grants_of(history, asked).values():
        yield from _tokens(grants)
        yield from _one_at_a_time(grants)
        yield from _not_lost(grants)
        yield from _asked_for(grants, asked)
    clocks = clocks_of(history)
    for acquires in asked.values():
        yield from _lease_as_asked(acquires, clocks)


def _tokens(grants: Grants) -> Iterator[Violation]:
    for token, holders in grants.holders.items():
        if len(holders) > 1:
            names = " and ".join(f"{owner} (session {session})" for owner, session in holders)
            text = f"token {token} of lock {grants.name} belongs to {names}"
            yield Violation("token repeated", text, shown(*holders.values()))
    made: dict[int, Operation] = {}
    for item in grants.tokens:
        if item.made:
            first = made.setdefault(item.number, item.operation)
            # Requests of one holder that wait at the same time get the same grant.
            if first is not item.operation and first.end < item.operation.begin:
                text = f"token {item.number} of lock {grants.name} was granted twice"
                yield Violation("token repeated", text, shown(first, item.operation))
    for earlier, later in falls(grants.tokens):
        if earlier.number == later.number:
            # Its maker had not begun when it was seen; a repeat of a grant is named above.
            if earlier.made:
                continue
            text = f"token {later.number} of lock {grants.name} was seen before it was granted"
        else:
            text = f"lock {grants.name} showed token {later.number} after {earlier.number}"
        yield Violation("tokens fall", text, shown(earlier.operation, later.operation))


def _one_at_a_time(grants: Grants) -> Iterator[Violation]:
    for first, second in overlaps(list(grants.lives.values())):
        text = f"two held lock {grants.name} at the same moment: {first.name}; {second.name}"
        yield Violation("two holders", text, shown(*first.witness(), *second.witness()))


def _not_lost(grants: Grants) -> Iterator[Violation]:
    for life in grants.lives.values():
        before, behind = life.witness()
        for item in lost(life):
            text = f"{life.name} was over, though it was surely held before and after"
            yield Violation("grant lost or release undone", text, shown(before, item, behind))
    lives = sorted(grants.lives.items(), key=lambda entry: entry[1].first())
    firsts = [life.first() for _, life in lives]
    for item, holders in grants.states:
        at = bisect_right(firsts, item.begin) - 1
        if at < 0:
            continue
        token, life = lives[at]
        if item.end <= life.last() and not _among(holders, token, grants.holders.get(token, {})):
            who = " and ".join(f"{holder.owner} (token {holder.token})" for holder in holders)
            text = (
                f"lock {grants.name} was held by {who or 'nobody'}, though token {token} surely"
                " held it before and after"
            )
            yield Violation("grant lost or release undone", text, shown(life.witness()[0], item))


def _among(holders: list[Holder], token: int, known: Iterable[tuple[str, int | None]]) -> bool:
    """Whether a grant can be among the holders that a state shows."""
    return any(
        holder.token == token or (holder.token is None and (holder.owner, holder.session) in known)
        for holder in holders
    )


@dataclass(slots=True)
class Asked:
    """The acquires of one holder that may have been granted.

    Args:
        tokens: those that were answered. nameless: whether an answer came without one.
        unheard: when the first began of which nobody heard.
        unheard_leases: when each of those began that asked for a lease, and its seconds.
        refused_waits: those that waited in vain; others may have joined their place.
    """

    requests: list[Operation] = field(default_factory=list)
    tokens: set[int] = field(default_factory=set)
    nameless: bool = False
    unheard: int = FOREVER
    unheard_leases: list[tuple[int, float]] = field(default_factory=list)
    refused_waits: list[Operation] = field(default_factory=list)

    def take(self, item: Operation) -> None:
        """One more."""
        self.requests.append(item)
        token = token_of(item)
        if not item.ok:
            self.unheard = min(self.unheard, item.begin)
            ttl = item.arguments.get("expire" if item.kind == "simple.lock" else "ttl")
            if ttl is not None:
                self.unheard_leases.append((item.begin, float(ttl)))
        elif token is None:
            self.nameless = True
        else:
            self.tokens.add(token)

    def may_have(self, token: int, by: int) -> bool:
        """Whether one of them can have been granted this token by then."""
        return self.nameless or token in self.tokens or self.unheard <= by


AskedBy = dict[tuple[str, str, int | None], Asked]


@once
def acquires_of(history: History) -> AskedBy:
    """(lock, owner, session) → the acquires that may have been granted."""
    asked: AskedBy = defaultdict(Asked)
    for item in history.of("lock.acquire", "simple.lock"):
        waited = item.outcome == "refused" and bool(item.arguments.get("wait"))
        if waited or may_have_held(item):
            name = item.arguments["name" if item.kind == "lock.acquire" else "key"]
            owner = item.arguments["owner"] if item.kind == "lock.acquire" else SIMPLE_OWNER
            acquires = asked[str(name), str(owner), session_of(item)]
            if may_have_held(item):
                acquires.take(item)
            else:
                acquires.refused_waits.append(item)
    return asked


def _asked_for(grants: Grants, asked: AskedBy) -> Iterator[Violation]:
    for token, holders in grants.holders.items():
        for (owner, session), item in holders.items():
            acquires = asked.get((grants.name, owner, session))
            if acquires is None or not acquires.may_have(token, item.end):
                text = (
                    f"{owner} (session {session}) holds lock {grants.name} with token {token},"
                    " but no request of theirs can have been granted it"
                )
                yield Violation("granted though refused", text, shown(item))


def _lease_as_asked(acquires: Asked, clocks: Clocks) -> Iterator[Violation]:
    """A grant's lease is as long as it was asked for; unless one whose answer nobody heard came
    first, and this one joined it.

    Who waits may be told of a grant in entries that its node was not shown (a snapshot took their
    place): then what is left of the lease is told, which ends no earlier for that.
    """
    for item in acquires.requests:
        asked, got = item.arguments.get("ttl"), item.answer.get("expires_in")
        if not item.ok or asked is None or got is None or session_of(item) is not None:
            continue
        if got >= asked - ROUNDING or acquires.unheard <= item.end:
            continue
        kept = got >= 0 and item.end + got * SECOND >= clocks.surely_until(item.begin, asked)
        if not (kept and item.arguments.get("wait")):
            text = f"a lease of {asked:g} s was asked for, {got:g} s were granted"
            yield Violation("lease too short", text, shown(item))
