"""The table of mutations: written as a page, and read from it again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from chaos.history import Unreadable
from chaos.mutation.hunt import CRASH, Finding

_HEAD = "| mutation | room | what it breaks | caught by | seeds | seed |"
_RULE = "|---|---|---|---|---|---|"
_INTRO = """# Mutations

A judge that never finds anything proves nothing. So faults are put into our own code on purpose,
one at a time, and the simulation has to find each of them:

    python3 -m chaos mutate                      # all of them; the code as it is on the same seeds
    python3 -m chaos mutate --only vote-twice    # one; --list says which there are
    python3 -m chaos mutate --write docs/mutations.md

A mutation is a small patch of the product's code, applied while a run lasts in a process of its
own (`chaos/mutation/catalogue` holds them as pieces of text and what takes their place). It is
played from seed 1 on, in a kind of world that has the faults which it needs to show. *Seeds* is how
many it took, *seed* the one that caught it, *caught by* the judge that ended that run; `crash`
means that an assertion of the product ended a node before any judge said a word. The code as it is
passes the same seeds in the same worlds. The default tests play each mutation from its seed on.
"""


class Row(NamedTuple):
    """A line of the table."""

    name: str
    room: str
    breaks: str
    judge: str
    needed: int
    seed: int


def row_of(finding: Finding) -> Row:
    """The line of a mutation that was caught."""
    mutation, broken = finding.mutation, finding.broken
    assert broken is not None
    assert finding.seed is not None
    assert finding.needed is not None
    return Row(
        mutation.name,
        mutation.room,
        mutation.breaks,
        broken.judge,
        finding.needed,
        finding.seed,
    )


def page(rows: Iterable[Row]) -> str:
    """The whole page."""
    rows = list(rows)
    judges = Counter(row.judge for row in rows)
    crashes = judges.pop(CRASH, 0)
    each = ", ".join(f"{judge} {count}" for judge, count in judges.most_common())
    caught = f"{judges.total()} by judges ({each}), {crashes} by assertions of the product"
    lines = [
        _INTRO,
        f"{len(rows)} mutations, all caught: {caught}.",
        "",
        _HEAD,
        _RULE,
        *(f"| {' | '.join(map(str, row))} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def read(file: Path) -> list[Row]:
    """The lines of the page's table. Raises OSError, and Unreadable with the line that is wrong."""
    rows: list[Row] = []
    inside = False
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if not line.startswith("|"):
            continue
        if line in (_HEAD, _RULE):
            inside = True
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not inside or len(cells) != len(Row._fields) or not all(map(str.isdigit, cells[4:])):
            raise Unreadable(str(file), number, "this is no line of the table of mutations")
        name, room, breaks, judge, needed, seed = cells
        rows.append(Row(name, room, breaks, judge, int(needed), int(seed)))
    return rows
