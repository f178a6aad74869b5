"""Which part of a run its story shows in full."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from chaos import checkers
from chaos.checkers import Violation
from chaos.explain.recording import Recording
from chaos.history import FOREVER, SECOND, History
from chaos.simulation.outcome import Broken

LENGTH = 2.0
"""Virtual seconds that are shown in full."""
BEFORE = 0.3
"""Of those, before the fault that a story without a violation is told of."""
BEHIND = 0.02
"""Virtual seconds behind the moment of a violation; the run ends there, as a rule."""
MOST = 6000
"""Messages and marks that are shown in full, at most."""


@dataclass(frozen=True)
class Focus:
    """What is looked at.

    Args:
        begin, end: of what is shown in full, in virtual seconds of the run.
        moment: of the violation; None where there is none.
        history: of the clients.
        violation: what a judge of histories found; None where another judge did.
    """

    begin: float
    end: float
    moment: float | None
    history: History
    violation: Violation | None

    @property
    def named(self) -> frozenset[str]:
        """The operations that the violation names."""
        return (
            frozenset(item.id for item in self.violation.operations)
            if self.violation
            else (frozenset())
        )


def focus(recording: Recording, broken: Broken | None) -> Focus:
    """Where to look."""
    history = recording.history
    if broken is None:
        begin = _eventful(recording)
        return Focus(begin, min(begin + LENGTH, recording.end), None, history, None)
    violation = _violation(history, broken)
    moment = broken.at if violation is None else _shown_at(violation, recording, broken.at)
    end = min(moment + BEHIND, max(recording.end, moment))
    return Focus(_begin(recording, moment), end, moment, history, violation)


def _violation(history: History, broken: Broken) -> Violation | None:
    if broken.judge not in checkers.JUDGES:
        return None
    for said in checkers.JUDGES[broken.judge](history):
        if isinstance(said, Violation) and f"{said.rule}: {said.text}" == broken.text:
            return said
    return None


def _shown_at(violation: Violation, recording: Recording, at: float) -> float:
    """When the last of the operations that show it was answered."""
    known = [item.end for item in violation.operations if item.end != FOREVER]
    begun = [item.begin for item in violation.operations]
    last = max([*known, *begun], default=0) / SECOND - recording.begin
    return last if known or begun else at


def _begin(recording: Recording, moment: float) -> float:
    """Two seconds before, or less where more happened than can be shown."""
    times = sorted([mark.at for mark in recording.marks] + [m.at for m in recording.messages])
    last = bisect_right(times, moment)
    first = bisect_left(times, moment - LENGTH)
    return max(0.0, moment - LENGTH) if last - first <= MOST else times[last - MOST]


def _eventful(recording: Recording) -> float:
    """Just before the fault behind which most members changed what they are."""
    changes = [item.begin for item in recording.stretches()]

    def weight(at: float) -> int:
        return sum(at <= change <= at + LENGTH - BEFORE for change in changes)

    faults = [trouble.at for trouble in recording.troubles] or [BEFORE]
    return max(0.0, max(faults, key=weight) - BEFORE)
