"""The judges: each is a function from a history to the violations of one set of rules.

Two things hold for every judge. It is sound: a history that a correct cluster can produce gets no
violation; a request of unknown outcome may take effect at any time after it was sent, or never.
And it is not empty: the verdict says how many requests of each kind were acknowledged, and a
history in which nothing was is a violation itself. What a judge could not tell within its bound it
says, too.

`judge(history)` asks all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from chaos.checkers import (
    counters,
    coverage,
    late,
    linear,
    locks,
    queues,
    reads,
    recovery,
    remade,
    rings,
    sessions,
    simple,
    transactions,
)
from chaos.checkers.recovery import Recovery, Window, windows
from chaos.checkers.violation import Undecided, Violation
from chaos.history import History, Outcome

Judge = Callable[[History], Iterable[Violation | Undecided]]

JUDGES: dict[str, Judge] = {
    "locks": locks.judge,
    "sessions": sessions.judge,
    "rings": rings.judge,
    "remade rings": remade.judge,
    "transactions": transactions.judge,
    "simple protocol": simple.judge,
    "lateness": late.judge,
    "queues": queues.judge,
    **linear.JUDGES,
    "counters": counters.judge,
    "reads": reads.judge,
    "recovery": recovery.judge,
    "answers": coverage.judge_answers,
    "coverage": coverage.judge_coverage,
}
SHOWN = 20
"""Violations that a judge names at most: what is broken once is often broken everywhere."""


@dataclass(frozen=True)
class Verdict:
    """What the judges say.

    Args:
        violations: judge → what it found.
        counts: kind → outcome → how many.
        recoveries: of each kill.
        undecided: judge → what it could not tell.
    """

    violations: dict[str, list[Violation]]
    counts: dict[str, Counter[Outcome]]
    recoveries: list[Recovery]
    undecided: dict[str, list[Undecided]] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether no rule was broken."""
        return not any(self.violations.values())


def judge(history: History) -> Verdict:
    """Ask all judges."""
    found: dict[str, list[Violation]] = {}
    undecided: dict[str, list[Undecided]] = {}
    for name, ask in JUDGES.items():
        found[name] = []
        for said in ask(history):
            if isinstance(said, Undecided):
                undecided.setdefault(name, []).append(said)
            else:
                found[name].append(said)
            if len(found[name]) >= SHOWN:
                break
    return Verdict(found, history.counts(), recovery.recoveries(history), undecided)


__all__ = [
    "JUDGES",
    "Judge",
    "Recovery",
    "Undecided",
    "Verdict",
    "Violation",
    "Window",
    "judge",
    "windows",
]
