"""What a simulated run was and how it ended; plain values that travel between processes."""

from __future__ import annotations

from msgspec import Struct


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """One fault of a schedule.

    Args:
        at: virtual seconds since the begin of the run.
        fault: its name.
        seed: of whatever it draws (victims, durations), so that a step does the same kind of
            thing whichever others are left out.
    """

    at: float
    fault: str
    seed: int


class Broken(Struct, frozen=True):
    """The violation that ended a run. `at`: virtual seconds since the begin of the run."""

    judge: str
    text: str
    at: float


class Outcome(Struct, frozen=True):
    """One run.

    Args:
        trace: hash of all messages, disk operations, applied entries and replies, as hex.
        broken: None where no rule was broken.
        steps: the schedule.
        done: fault → how often it was done.
        counts: outcome of operations (ok, refused, unknown, never-sent) → how many.
        seconds: virtual seconds. took: real seconds.
        http: whether the clients spoke HTTP.
        undecided: judge → of how many objects it could not tell whether a rule was broken.
    """

    seed: int
    profile: str
    trace: str
    broken: Broken | None
    steps: tuple[Step, ...]
    done: dict[str, int]
    counts: dict[str, int]
    seconds: float
    took: float
    http: bool = False
    undecided: dict[str, int] = {}
