"""The simple protocol: one holder of a lock, one prepared value of a key, one decision for each.

A prepare is a transaction under /v1 too, and may be decided there by its id.

Values are no identities there, so only a value that was used in one request says who did what;
the workload uses each once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from chaos.checkers.clocks import clocks_of
from chaos.checkers.facts import SIMPLE_OWNER, lock_states, token_of
from chaos.checkers.lives import Life, lost, overlaps
from chaos.checkers.once import once
from chaos.checkers.violation import Violation, first_of, shown
from chaos.history import History, Operation

KEPT = 600
"""Seconds for which a decision is kept."""

Named = tuple[str, str]
"""(key, value)."""


@dataclass(slots=True)
class Prepare:
    """What is known of one prepared value.

    Args:
        decisions: who saw which decision.
        unknown: who was told that it was never prepared.
    """

    life: Life
    decisions: list[tuple[Operation, str]] = field(default_factory=list)
    unknown: list[Operation] = field(default_factory=list)


def judge(history: History) -> Iterator[Violation]:
    """All rules about the simple protocol."""
    yield from _locks(history)
    yield from _transactions(history)


def _used_once(history: History, kind: str) -> dict[Named, Operation]:
    requests = [item for item in history.of(kind) if item.outcome != "never-sent"]
    uses = Counter(map(_named, requests))
    return {_named(item): item for item in requests if uses[_named(item)] == 1}


def _named(item: Operation) -> Named:
    return str(item.arguments["key"]), str(item.arguments["value"])


def _locks(history: History) -> Iterator[Violation]:
    lives = _lock_lives(history)
    yield from _refused_but_held(history, lives)
    by_key: dict[str, list[Life]] = defaultdict(list)
    for (key, _), life in lives.items():
        by_key[key].append(life)
        before, behind = life.witness()
        for item in lost(life):
            text = f"{life.name} was free, though it was surely held before and after"
            yield Violation("grant lost or release undone", text, shown(before, item, behind))
    for excluding in by_key.values():
        for first, second in overlaps(excluding):
            text = f"two held a lock at the same moment: {first.name}; {second.name}"
            yield Violation("two holders", text, shown(*first.witness(), *second.witness()))


def _refused_but_held(history: History, lives: dict[Named, Life]) -> Iterator[Violation]:
    """Who is refused does not hold it: least of all because it had got it."""
    for (key, value), item in _used_once(history, "simple.lock").items():
        if item.outcome == "refused" and lives[key, value].alive:
            text = f"lock {key} was refused to value {value}, which is seen to hold it"
            seen = first_of(lives[key, value].alive)
            yield Violation("granted though refused", text, shown(item, seen))


def _lock_lives(history: History) -> dict[Named, Life]:
    lives: dict[Named, Life] = {}
    clocks = clocks_of(history)
    for (key, value), item in _used_once(history, "simple.lock").items():
        life = lives[key, value] = Life(f"lock {key} with value {value}", clocks=clocks)
        if item.ok:
            life.alive.append(item)
            life.leases.append((item, float(item.arguments["expire"])))
    for item in history.of("simple.unlock"):
        found = lives.get(_named(item))
        if found is None:
            continue
        if item.ok:
            found.alive.append(item)
        if item.ok or item.slug == "not-holder":
            found.gone.append(item)
        if item.sent:
            found.enders.append(item)
    # Values are shown to nobody; the token tells whose grant is seen.
    granted = {
        (key, token_of(item)): value
        for (key, value), item in _used_once(history, "simple.lock").items()
        if item.ok
    }
    for item in history.operations:
        for key, holders in lock_states(item):
            for holder in holders:
                its_value = granted.get((key, holder.token))
                if holder.owner == SIMPLE_OWNER and its_value is not None:
                    lives[key, its_value].alive.append(item)
    return lives


def _transactions(history: History) -> Iterator[Violation]:
    prepares = prepares_of(history)
    by_key: dict[str, list[Life]] = defaultdict(list)
    for (key, _), prepare in prepares.items():
        by_key[key].append(prepare.life)
        yield from _decided_once(prepare)
        before, behind = prepare.life.witness()
        for item in lost(prepare.life):
            text = f"{prepare.life.name} was not there, though nothing can have ended it"
            yield Violation("prepare lost", text, shown(before, item, behind))
    for excluding in by_key.values():
        for first, second in overlaps(excluding):
            text = f"two values were prepared at the same moment: {first.name}; {second.name}"
            yield Violation("two prepared", text, shown(*first.witness(), *second.witness()))


@once
def prepares_of(history: History) -> dict[Named, Prepare]:
    """(key, value) → what is known of it, for values that were used once."""
    prepares: dict[Named, Prepare] = {}
    by_id: dict[int, Prepare] = {}
    by_key: dict[str, list[Life]] = defaultdict(list)
    clocks = clocks_of(history)
    for (key, value), item in _used_once(history, "simple.prepare").items():
        life = Life(f"{key} prepared with value {value}", clocks=clocks)
        prepares[key, value] = Prepare(life)
        by_key[key].append(life)
        if item.ok and isinstance(item.answer.get("transaction"), int):
            by_id[item.answer["transaction"]] = prepares[key, value]
        if item.ok:
            life.alive.append(item)
            life.leases.append((item, float(item.arguments["expire"])))
    for item in history.of("transaction.commit", "transaction.rollback"):
        if item.arguments["id"] in by_id:
            _hear(by_id[item.arguments["id"]], item)
    for item in history.of("simple.commit", "simple.rollback"):
        key = str(item.arguments["key"])
        meant = item.arguments.get("value" if item.kind == "simple.commit" else "prepared")
        if meant is None:
            # It meant whatever was prepared then.
            for life in by_key[key] if item.sent else ():
                life.enders.append(item)
            continue
        prepare = prepares.get((key, str(meant)))
        if prepare is not None:
            _hear(prepare, item)
    return prepares


def _hear(prepare: Prepare, item: Operation) -> None:
    if item.sent:
        prepare.life.enders.append(item)
    mine, contrary = ("commit", "abort") if item.kind.endswith(".commit") else ("abort", "commit")
    if item.ok:
        prepare.decisions.append((item, mine))
    elif item.slug == "transaction-decided":
        prepare.decisions.append((item, contrary))
        prepare.life.gone.append(item)
    elif item.slug == "not-prepared":
        prepare.unknown.append(item)
        prepare.life.gone.append(item)


def _decided_once(prepare: Prepare) -> Iterator[Violation]:
    if not prepare.decisions:
        return
    first = first_of(item for item, _ in prepare.decisions)
    for (item, decision), (other, contrary) in zip(
        prepare.decisions, prepare.decisions[1:], strict=False
    ):
        if decision != contrary:
            text = f"{prepare.life.name} was decided {decision} and {contrary}"
            yield Violation("two decisions", text, shown(item, other))
    assert first is not None
    for item in prepare.unknown:
        kept_until = prepare.life.clocks.surely_until(first.begin, KEPT)
        if first.end < item.begin and item.end < kept_until:
            text = f"the decision about {prepare.life.name} was not there any more"
            yield Violation("decision lost", text, shown(first, item))
