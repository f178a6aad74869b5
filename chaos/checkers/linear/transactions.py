"""The model of a transaction: votes, one decision by the rule, acknowledgements.

What happens by itself: an open one aborts at its timeout, or with its session. Transactions whose
beginning nobody heard of are left out: their participants are not known. Prepares of the simple
protocol stand in `deals`.

Source of the rule: Mohan, Lindsay, Obermarck, Transaction Management in the R* Distributed Database
Management System (TODS 1986) §3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from chaos.checkers.clocks import clocks_of
from chaos.checkers.facts import remembered_for, session_of, transaction_id
from chaos.checkers.linear.sessions import session_ends
from chaos.checkers.linear.steps import Model, Step
from chaos.history import History, Operation

BY_ITSELF = frozenset(("timeout", "session-gone"))


class Case(NamedTuple):
    """A transaction that was begun.

    Args:
        votes, acked: of the participants, in their order.
        decision: commit, abort, or None where it is open.
    """

    votes: tuple[str | None, ...]
    acked: tuple[bool, ...]
    decision: str | None = None
    reason: str | None = None

    @property
    def state(self) -> str:
        """As answers name it."""
        if self.decision is None:
            return "open"
        if all(self.acked):
            return "finished"
        return "committed" if self.decision == "commit" else "aborted"


State = Case | None
"""None: not begun."""
States = tuple[State, ...]
NOTHING: States = ()
Done = tuple[State, str | None]
"""The state behind a command, and what it was refused with."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known of a transaction from its beginning.

    Args:
        places: participant → its place.
        timeout: when it may time out, at the earliest. session_ends: the same of its session.
        forgotten: when it may be forgotten, at the earliest.
    """

    places: Mapping[str, int]
    auto: bool
    timeout: int
    session_ends: int | None
    forgotten: int


def alone(kind: Kind, state: State) -> Iterable[tuple[int, State]]:
    """An open one aborts at its timeout, or with its session."""
    if state is None or state.decision is not None:
        return ()
    late = (kind.timeout, state._replace(decision="abort", reason="timeout"))
    if kind.session_ends is None:
        return (late,)
    return late, (kind.session_ends, state._replace(decision="abort", reason="session-gone"))


def words(kind: Kind, state: State) -> str:
    """For people."""
    if state is None:
        return "not begun"
    votes = ", ".join(f"{name}: {state.votes[place]}" for name, place in kind.places.items())
    reason = f" ({state.reason})" if state.reason else ""
    return f"{state.state}{reason} with votes {votes}"


def begin(kind: Kind, state: State) -> Done:
    """Begin it."""
    count = len(kind.places)
    return (Case((None,) * count, (False,) * count), None) if state is None else (state, "begun")


def vote(name: str, what: str, kind: Kind, state: State) -> Done:
    """Give a vote."""
    if state is None:
        return state, "unknown-transaction"
    place = kind.places.get(name)
    if place is None:
        return state, "unknown-participant"
    given = state.votes[place]
    if given == what:
        return state, None
    if state.decision is not None:
        return state, "transaction-decided"
    if given is not None:
        return state, "vote-conflict"
    votes = (*state.votes[:place], what, *state.votes[place + 1 :])
    voted = state._replace(votes=votes)
    if what == "abort":
        return voted._replace(decision="abort", reason="vote"), None
    if kind.auto and None not in votes:
        return voted._replace(decision="commit"), None
    return voted, None


def commit(kind: Kind, state: State) -> Done:
    """Ask for the commit."""
    if state is None:
        return state, "unknown-transaction"
    if state.decision is not None:
        return state, None if state.decision == "commit" else "transaction-decided"
    if None in state.votes:
        return state, "votes-missing"
    return state._replace(decision="commit"), None


def rollback(kind: Kind, state: State) -> Done:
    """Roll it back."""
    if state is None:
        return state, "unknown-transaction"
    if state.decision is not None:
        return state, None if state.decision == "abort" else "transaction-decided"
    return state._replace(decision="abort", reason="rollback"), None


def acknowledge(name: str, kind: Kind, state: State) -> Done:
    """Say that a participant carried the decision out."""
    if state is None:
        return state, "unknown-transaction"
    place = kind.places.get(name)
    if place is None:
        return state, "unknown-participant"
    if state.decision is None:
        return state, "transaction-open"
    acked = (*state.acked[:place], True, *state.acked[place + 1 :])
    return (state if state.acked[place] else state._replace(acked=acked)), None


def look(kind: Kind, state: State) -> Done:
    """Read it."""
    return state, "unknown-transaction" if state is None else None


Command = Callable[[Kind, State], Done]


def _command(item: Operation) -> Command | None:
    arguments = item.arguments
    match item.kind:
        case "transaction.vote":
            return partial(vote, str(arguments["participant"]), str(arguments["vote"]))
        case "transaction.ack":
            return partial(acknowledge, str(arguments["participant"]))
        case "transaction.commit":
            return commit
        case "transaction.rollback":
            return rollback
        case "transaction.read":
            return look
    return None


# What an answer says of the state.


def _fits(shown: Mapping[str, Any], kind: Kind, state: Case) -> bool:
    """Whether a transaction in this state is shown so; fields that are not shown say nothing."""
    if "state" in shown and shown["state"] != state.state:
        return False
    if "decision" in shown and shown["decision"] != state.decision:
        return False
    if "state" in shown and not _same_reason(shown.get("reason"), kind, state):
        return False
    if "missing" in shown:
        missing = {name for name, place in kind.places.items() if state.votes[place] is None}
        return set(shown["missing"]) == missing
    participants = shown.get("participants")
    return not isinstance(participants, dict) or _same_participants(participants, kind, state)


def _same_reason(reason: str | None, kind: Kind, state: Case) -> bool:
    if reason == state.reason:
        return True
    # Until it is collected, the reason of an end by itself is reckoned anew by each who looks.
    return kind.session_ends is not None and {reason, state.reason} == BY_ITSELF


def _same_participants(shown: Mapping[str, Any], kind: Kind, state: Case) -> bool:
    if set(shown) != set(kind.places):
        return False
    return all(
        (entry.get("vote"), bool(entry.get("acked")))
        == (state.votes[kind.places[name]], state.acked[kind.places[name]])
        for name, entry in shown.items()
    )


def _answered(
    command: Command, slug: str | None, shown: Mapping[str, Any], kind: Kind, state: State
) -> States:
    after, refused = command(kind, state)
    if refused != slug:
        return NOTHING
    if after is not None and slug not in _SILENT and not _fits(shown, kind, after):
        return NOTHING
    return (after,)


_SILENT = frozenset(("unknown-transaction", "unknown-participant", "vote-conflict"))
"""Refusals that show nothing of the state but what they are refused for."""


def _unheard(command: Command, kind: Kind, state: State) -> States:
    after, refused = command(kind, state)
    return NOTHING if refused is not None or after == state else (after,)


def _conflict(place: int | None, given: str | None, state: State) -> States:
    """A vote was refused because of another one of the same participant."""
    if state is None or place is None or state.decision is not None:
        return NOTHING
    return (state,) if state.votes[place] == given else NOTHING


def _forgotten(begin: bool, state: State) -> States:
    return (state,) if state is not None and state.decision is not None and begin else NOTHING


# Reading the history.


def objects_of(history: History) -> Iterator[tuple[str, Model[State], list[Step[State]]]]:
    """(name, model, steps) of each transaction whose beginning was acknowledged."""
    clocks, sessions = clocks_of(history), session_ends(history)
    kinds: dict[int, Kind] = {}
    steps: dict[int, list[Step[State]]] = {}
    remembered = remembered_for(history)
    for item in history.of("transaction.begin"):
        number = transaction_id(item)
        if not item.ok or number is None or number in kinds:
            continue
        session = session_of(item)
        kind = kinds[number] = Kind(
            {str(name): at for at, name in enumerate(item.arguments["participants"])},
            item.arguments.get("decide") == "auto",
            clocks.surely_until(item.begin, float(item.arguments["timeout"])),
            None if session is None else sessions.earliest(session),
            item.begin + remembered,
        )
        steps[number] = [Step(item, partial(_answered, begin, None, item.answer, kind))]
    for item in history.operations:
        if item.kind == "transactions.list" and item.ok:
            for shown in item.answer.get("transactions") or ():
                if isinstance(shown, dict) and shown.get("id") in kinds:
                    kind = kinds[shown["id"]]
                    may = partial(_answered, look, None, shown, kind)
                    steps[shown["id"]].append(Step(item, may, read=True))
            continue
        number = item.arguments.get("id")
        command = _command(item) if number in kinds else None
        if command is not None:
            step = _step(item, command, kinds[item.arguments["id"]])
            if step is not None:
                steps[item.arguments["id"]].append(step)
    for number, kind in kinds.items():
        model: Model[State] = Model(None, partial(alone, kind), words=partial(words, kind))
        yield f"transaction {number}", model, steps[number]


def _step(item: Operation, command: Command, kind: Kind) -> Step[State] | None:
    read = item.kind == "transaction.read"
    if item.outcome == "unknown":
        return None if read else Step(item, partial(_unheard, command, kind), optional=True)
    if item.ok:
        return Step(item, partial(_answered, command, None, item.answer, kind), read=read)
    if item.slug == "forgotten":
        late = item.end >= kind.forgotten
        return Step(item, partial(_forgotten, late), read=read)
    if item.slug == "vote-conflict":
        place = kind.places.get(str(item.answer.get("participant")))
        return Step(item, partial(_conflict, place, item.answer.get("vote")))
    if item.slug in _REFUSALS:
        return Step(item, partial(_answered, command, item.slug, item.answer, kind), read=read)
    return None


_REFUSALS = frozenset(
    (
        "unknown-transaction",
        "unknown-participant",
        "transaction-decided",
        "transaction-open",
        "votes-missing",
    )
)
"""Refusals by the state; others (no leader, overloaded) say nothing of it."""
