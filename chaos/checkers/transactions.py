"""Transactions: one decision, by its rule, seen by everybody and never lost; so are the votes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from chaos.checkers.clocks import Clocks, clocks_of
from chaos.checkers.facts import (
    TransactionSeen,
    remembered_for,
    transaction_id,
    transactions_seen,
)
from chaos.checkers.once import once
from chaos.checkers.order import Seen, falls, repeats
from chaos.checkers.violation import Violation, first_of, shown
from chaos.history import History, Operation


@dataclass(slots=True)
class Asked:
    """All that was asked and seen of one transaction.

    Args:
        begun: its begin, where that was acknowledged.
        votes: participant → requests with a vote of theirs, and the vote.
        lost: operations that were told it is unknown or forgotten.
    """

    id: int
    begun: Operation | None = None
    votes: dict[str, list[tuple[Operation, str]]] = field(default_factory=dict)
    commits: list[Operation] = field(default_factory=list)
    rollbacks: list[Operation] = field(default_factory=list)
    acks: list[Operation] = field(default_factory=list)
    seen: list[TransactionSeen] = field(default_factory=list)
    lost: list[Operation] = field(default_factory=list)

    def decided(self) -> list[TransactionSeen]:
        """Sights of a decision."""
        return [sight for sight in self.seen if sight.decision is not None]

    def sent_votes(self, vote: str) -> dict[str, list[Operation]]:
        """Participant → requests with this vote that may have been executed."""
        found: dict[str, list[Operation]] = {}
        for name, requests in self.votes.items():
            sent = [item for item, what in requests if what == vote and item.sent]
            if sent:
                found[name] = sent
        return found


@once
def transactions_of(history: History) -> dict[int, Asked]:
    """Transaction → what was asked and seen of it."""
    found: dict[int, Asked] = {}
    for item in history.operations:
        for sight in transactions_seen(item):
            found.setdefault(sight.id, Asked(sight.id)).seen.append(sight)
        number = transaction_id(item) if item.kind.startswith("transaction.") else None
        if number is None:
            continue
        asked = found.setdefault(number, Asked(number))
        if item.slug in ("unknown-transaction", "forgotten", "unknown-participant"):
            asked.lost.append(item)
        match item.kind:
            case "transaction.begin" if item.ok:
                asked.begun = asked.begun or item
            case "transaction.vote":
                name, vote = str(item.arguments["participant"]), str(item.arguments["vote"])
                asked.votes.setdefault(name, []).append((item, vote))
            case "transaction.commit":
                asked.commits.append(item)
            case "transaction.rollback":
                asked.rollbacks.append(item)
            case "transaction.ack":
                asked.acks.append(item)
    return found


def judge(history: History) -> Iterator[Violation]:
    """All rules about transactions."""
    begun = [
        Seen(item, number, made=True)
        for item in history.of("transaction.begin")
        if item.ok and (number := transaction_id(item)) is not None
    ]
    for first, second in repeats(begun):
        text = f"transaction id {first.number} was given twice"
        yield Violation("transaction id repeated", text, shown(first.operation, second.operation))
    for earlier, later in falls(begun):
        text = f"transaction id {later.number} was given after {earlier.number}"
        yield Violation("transaction ids fall", text, shown(earlier.operation, later.operation))
    clocks = clocks_of(history)
    for asked in transactions_of(history).values():
        yield from _one_decision(asked)
        yield from _by_its_rule(asked, clocks)
        yield from _votes_kept(asked)
        yield from _acks_kept(asked)
        yield from _remembered(asked, remembered_for(history))


def _one_decision(asked: Asked) -> Iterator[Violation]:
    decided = sorted(asked.decided(), key=lambda sight: sight.operation.end)
    if not decided:
        return
    first = decided[0]
    for sight in decided:
        if sight.decision != first.decision:
            text = f"transaction {asked.id} was decided {first.decision} and {sight.decision}"
            yield Violation("two decisions", text, shown(first.operation, sight.operation))
            return
    for sight in asked.seen:
        if sight.state == "open" and first.operation.end < sight.operation.begin:
            text = f"transaction {asked.id} was open again after its decision ({first.decision})"
            yield Violation("decision lost", text, shown(first.operation, sight.operation))
            return


def _by_its_rule(asked: Asked, clocks: Clocks) -> Iterator[Violation]:
    """Commit with every vote for it and asked for; abort with a cause."""
    first = min(asked.decided(), key=lambda sight: sight.operation.end, default=None)
    if first is None or asked.begun is None:
        return
    if first.decision == "commit":
        yield from _rightly_committed(asked, asked.begun, first)
    else:
        yield from _rightly_aborted(asked, asked.begun, first, clocks)


def _rightly_committed(
    asked: Asked, begun: Operation, first: TransactionSeen
) -> Iterator[Violation]:
    at = first.operation.end
    for_it = asked.sent_votes("commit")
    for name in begun.arguments["participants"]:
        if not any(item.begin <= at for item in for_it.get(name, ())):
            text = f"transaction {asked.id} was committed without a vote of {name}"
            yield Violation("commit without all votes", text, shown(begun, first.operation))
    against = [
        item for requests in asked.sent_votes("abort").values() for item in requests if item.ok
    ]
    for item in against[:1]:
        text = f"transaction {asked.id} was committed against an acknowledged vote to abort"
        yield Violation("commit without all votes", text, shown(begun, item, first.operation))
    on_request = begun.arguments.get("decide") != "auto"
    if on_request and not any(item.sent and item.begin <= at for item in asked.commits):
        text = f"transaction {asked.id} was committed though nobody asked for it"
        yield Violation("commit unasked", text, shown(begun, first.operation))


def _rightly_aborted(
    asked: Asked, begun: Operation, first: TransactionSeen, clocks: Clocks
) -> Iterator[Violation]:
    at = first.operation.end
    asks = [item for requests in asked.sent_votes("abort").values() for item in requests]
    asks += [item for item in asked.rollbacks if item.sent]
    timeout = clocks.surely_until(begun.begin, float(begun.arguments["timeout"]))
    own_session = begun.arguments.get("session") is not None
    if not own_session and at <= timeout and not any(item.begin <= at for item in asks):
        text = f"transaction {asked.id} was aborted ({first.reason}) though nothing asked for it"
        yield Violation("abort without a cause", text, shown(begun, first.operation))


def _votes_kept(asked: Asked) -> Iterator[Violation]:
    for name, requests in asked.votes.items():
        kept = [(item, vote) for item, vote in requests if item.ok]
        first = first_of(item for item, _ in kept)
        if len({vote for _, vote in kept}) > 1:
            text = f"{name} voted commit and abort in transaction {asked.id}, both acknowledged"
            yield Violation("vote changed", text, shown(*(item for item, _ in kept[:4])))
        elif first is not None:
            yield from _vote_seen(asked, name, kept[0][1], first)
    for sight in asked.seen:
        for name, vote in (sight.votes or {}).items():
            requests = asked.votes.get(name, [])
            given = any(
                what == vote and item.sent and item.begin <= sight.operation.end
                for item, what in requests
            )
            if vote is not None and not given:
                text = f"{name} never voted {vote} in transaction {asked.id}, but it shows so"
                yield Violation("vote from nowhere", text, shown(sight.operation))


def _vote_seen(asked: Asked, name: str, vote: str, first: Operation) -> Iterator[Violation]:
    for sight in asked.seen:
        if sight.operation.begin <= first.end:
            continue
        shows = (sight.votes or {}).get(name, vote)
        if name in sight.missing or shows != vote:
            text = f"transaction {asked.id} shows {name}'s vote as {shows}, {vote} was acknowledged"
            if name in sight.missing:
                text = f"transaction {asked.id} misses {name}'s vote, {vote} was acknowledged"
            yield Violation("vote lost", text, shown(first, sight.operation))
            return
    begun = asked.begun
    if begun is None or begun.arguments.get("decide") != "auto":
        return
    last = _all_voted_commit(asked, begun)
    for sight in asked.seen:
        if last is not None and sight.state == "open" and last.end < sight.operation.begin:
            text = f"transaction {asked.id} is open, though all votes to commit were acknowledged"
            yield Violation("decision lost", text, shown(begun, last, sight.operation))
            return


def _all_voted_commit(asked: Asked, begun: Operation) -> Operation | None:
    """The acknowledgement that made the votes to commit complete."""
    firsts = []
    for name in begun.arguments["participants"]:
        requests = asked.votes.get(name, [])
        first = first_of(item for item, vote in requests if vote == "commit" and item.ok)
        if first is None:
            return None
        firsts.append(first)
    return max(firsts, key=lambda item: item.end)


def _acks_kept(asked: Asked) -> Iterator[Violation]:
    for item in asked.acks:
        name = str(item.arguments["participant"])
        for sight in asked.seen:
            shows = sight.votes is not None and name not in sight.acked
            if item.ok and shows and item.end < sight.operation.begin:
                text = f"transaction {asked.id} lost the acknowledgement of {name}"
                yield Violation("acknowledgement lost", text, shown(item, sight.operation))
                break


def _remembered(asked: Asked, retention: int) -> Iterator[Violation]:
    begun = asked.begun
    for item in asked.lost:
        if begun is None or item.begin <= begun.end:
            continue
        if item.slug == "unknown-participant":
            names = begun.arguments["participants"]
            lost = item.arguments["participant"] in names
        else:
            lost = item.end < begun.begin + retention
        if lost:
            text = f"transaction {asked.id} was begun, but the answer is {item.slug}"
            yield Violation("transaction lost", text, shown(begun, item))
            return
