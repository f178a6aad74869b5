"""When which fault begins and how long it lasts: a function of the seed, or a file.

A schedule file is JSON lines, one for each fault:

    {"fault": "pause-leader", "before": 0.8, "lasts": 1.2, "pick": 0.3}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from random import Random

import msgspec
from msgspec import Struct

from chaos.history import Unreadable, read_checked
from chaos.nemesis.fault import Fault, Span

ALL_EVERY = 11
"""Of runs that only kill, the rounds in which all nodes are."""
BEFORE = (0.4, 1.2)
OVERLAPS = 0.25
"""Share of the faults that begin while the one before is going on, once all had their turn."""
LONGEST = 600.0


class Step(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One fault.

    Args:
        fault: its name.
        before: seconds of peace in front of it, from the recovery of the one before.
        lasts: seconds from its begin to its end.
        pick: from 0 to 1; all that is random in it follows from it.
        overlaps: it begins `before` seconds after the begin of the one before, which goes on.
    """

    fault: str
    before: float
    lasts: float
    pick: float = 0.0
    overlaps: bool = False


def draw(seed: int, kinds: Mapping[str, type[Fault]]) -> Iterator[Step]:
    """The schedule of a seed, without end: all kinds once in a random order, then any.

    Where only kills are asked for, every eleventh is of all nodes.
    """
    random = Random(f"{seed}/schedule")
    kills = all(name.startswith("kill-") for name in kinds) and "kill-all" in kinds
    if kills and len(kinds) > 1:
        yield from _kills(random, kinds)
    first = list(kinds)
    random.shuffle(first)
    for name in first:
        yield _step(random, name, kinds[name].spans[0])
    before, overlapped = kinds[first[-1]], False
    while True:
        name = random.choice(list(kinds))
        kind = kinds[name]
        step = _step(random, name, random.choice(kind.spans))
        apart = overlapped or kind.alone or before.alone or (kind.takes and before.takes)
        overlapped = random.random() < OVERLAPS and not apart
        yield msgspec.structs.replace(step, overlaps=overlapped)
        before = kind


def _kills(random: Random, kinds: Mapping[str, type[Fault]]) -> Iterator[Step]:
    others = [name for name in kinds if name != "kill-all"]
    number = 0
    while True:
        number += 1
        name = "kill-all" if number % ALL_EVERY == 0 else random.choice(others)
        yield _step(random, name, kinds[name].spans[0])


def _step(random: Random, name: str, span: Span) -> Step:
    before, lasts = random.uniform(*BEFORE), random.uniform(*span)
    return Step(name, round(before, 3), round(lasts, 3), round(random.random(), 3))


def read(file: Path, known: Mapping[str, type[Fault]]) -> list[Step]:
    """A schedule from a file, of faults that are known.

    Raises OSError, and Unreadable with the line that is wrong.
    """
    steps = read_checked(file, Step, lambda step, before: _problem(step, before, known))
    if not steps:
        raise Unreadable(str(file), 1, "the schedule is empty")
    return steps


def write(file: Path, steps: Iterable[Step]) -> None:
    """Save a schedule, to be replayed. Raises OSError."""
    with file.open("wb") as stream:
        stream.writelines(msgspec.json.encode(step) + b"\n" for step in steps)


def _problem(step: Step, before: list[Step], known: Mapping[str, type[Fault]]) -> str | None:
    kind = known.get(step.fault)
    if kind is None:
        return f"there is no fault `{step.fault}`; there are {', '.join(known)}"
    if (reason := kind.missing()) is not None:
        return f"`{step.fault}` cannot be done here: {reason}"
    for field in ("before", "lasts"):
        if not 0 <= getattr(step, field) <= LONGEST:
            return f"`{field}` is seconds, 0 to {LONGEST:g}"
    if not 0 <= step.pick <= 1:
        return "`pick` is 0 to 1"
    if step.overlaps and not before:
        return "`overlaps`: there is no fault before the first"
    if step.overlaps and before[-1].overlaps:
        return "`overlaps`: at most two faults at a time"
    return None
