"""When which node is killed: a function of the seed, or a file.

A schedule file is JSON lines, one for each round:

    {"victim": "leader", "before": 0.8, "down": 0.4}
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Literal

import msgspec
from msgspec import Struct

from chaos.history import Unreadable

Victim = Literal["leader", "follower", "all"]
ALL_EVERY = 10
BEFORE = (0.4, 1.2)
DOWN = (0.05, 1.0)
LONGEST = 600.0


class Round(Struct, frozen=True, forbid_unknown_fields=True):
    """One fault and its mending.

    Args:
        victim: what the node to be killed is at that moment; "all" are killed at once.
        before: seconds of peace before the kill.
        down: seconds from the kill to the start of the process anew.
        pick: which of the followers, from 0 to 1.
    """

    victim: Victim
    before: float
    down: float
    pick: float = 0.0


def draw(seed: int, rounds: int) -> list[Round]:
    """The schedule of a seed; every tenth round hits all nodes at once."""
    random = Random(f"{seed}/schedule")
    drawn = []
    for number in range(1, rounds + 1):
        victim: Victim = random.choice(("leader", "follower"))
        before, down = random.uniform(*BEFORE), random.uniform(*DOWN)
        pick = random.random()
        if number % ALL_EVERY == 0:
            victim = "all"
        drawn.append(Round(victim, round(before, 3), round(down, 3), round(pick, 3)))
    return drawn


def read(file: Path) -> list[Round]:
    """A schedule from a file. Raises OSError, and Unreadable with the line that is wrong."""
    decoder = msgspec.json.Decoder(Round)
    rounds = []
    with file.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                round_ = decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise Unreadable(str(file), number, str(error)) from error
            for field in ("before", "down"):
                if not 0 <= getattr(round_, field) <= LONGEST:
                    reason = f"`{field}` is seconds, 0 to {LONGEST:g}"
                    raise Unreadable(str(file), number, reason)
            if not 0 <= round_.pick <= 1:
                raise Unreadable(str(file), number, "`pick` is 0 to 1")
            rounds.append(round_)
    if not rounds:
        raise Unreadable(str(file), 1, "the schedule is empty")
    return rounds
