"""`python3 -m chaos mutate`: break the product on purpose, and see that it is noticed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.simulation.pool import cores

if TYPE_CHECKING:
    from chaos.mutation.hunt import Finding, Hunt, Play

USAGE = 64
INTERRUPTED = 130


def register(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], play: Play | None = None
) -> None:
    """Add `mutate` to the commands.

    Args:
        play: plays one run, for tests; a function at the top of a module.
    """
    parser = commands.add_parser(
        "mutate",
        help="put faults into the product's code, one at a time, and see each of them caught",
        description="Deliberate faults in the product's code: each has to be caught by a judge.",
        epilog="exit status: 0 all were caught, 1 one was not, 64 usage, 130 Ctrl-C or SIGTERM",
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these mutations")
    parser.add_argument("--list", action="store_true", help="say which there are")
    parser.add_argument("--seeds", type=int, metavar="N", help="give each mutation so many seeds")
    parser.add_argument("--jobs", type=int, default=cores(), help="processes (default %(default)s)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table to this page")
    parser.set_defaults(go=lambda options: _go(options, play))


def _go(options: argparse.Namespace, play: Play | None) -> int:
    """Raises OSError where the page cannot be written."""
    from chaos.mutation import hunt
    from chaos.mutation.catalogue import MUTATIONS

    unknown = [name for name in options.only or () if name not in MUTATIONS]
    if unknown:
        return _refuse(f"there is no mutation {unknown[0]!r}; --list says which there are")
    for name, number in (("--jobs", options.jobs), ("--seeds", options.seeds)):
        if number is not None and number < 1:
            return _refuse(f"{name} {number} is below 1")
    if options.write is not None and options.only:
        return _refuse("--write is for the table of all mutations; leave --only out")
    chosen = [MUTATIONS[name] for name in options.only or MUTATIONS]
    if options.list:
        for mutation in chosen:
            _say(f"{mutation.name:42} {mutation.room:14} {mutation.breaks}")
        return 0
    game = hunt.Hunt(chosen, options.jobs, most=options.seeds, play=play or hunt.play)
    return _hunt(game, options.write)


def _refuse(sentence: str) -> int:
    print(f"chaos: {sentence}", file=sys.stderr)
    return USAGE


def _hunt(hunt: Hunt, page: Path | None) -> int:
    from chaos.mutation import table

    told: list[Finding] = []

    def tell(finding: Finding) -> None:
        told.append(finding)
        _tell(finding)

    try:
        findings = hunt.go(tell)
        wrong = hunt.control(findings)
    except KeyboardInterrupt:
        caught = sum(finding.seed is not None for finding in told)
        _say(f"interrupted: {caught} mutations were caught, {len(told) - caught} were not, so far")
        return INTERRUPTED if caught == len(told) else 1
    missed = [finding for finding in findings if finding.seed is None]
    for attempt, broken in wrong:
        name, seed = attempt.name, attempt.seed
        _say(f"NOT MUTATED, and yet: {broken.judge}: {broken.text} (seed {seed}, as for {name})")
    _sum(findings, missed, bool(wrong))
    if page is not None and not missed:
        page.write_text(table.page([table.row_of(finding) for finding in findings]))
        _say(f"the table is in {page}")
    return int(bool(missed or wrong))


def _tell(finding: Finding) -> None:
    name = finding.mutation.name
    if finding.broken is None:
        _say(f"{name}: NOT CAUGHT by {finding.tried} seeds")
        return
    text = finding.broken.text.partition("\n")[0]
    _say(f"{name}: {finding.broken.judge}, seed {finding.seed}: {text[:160]}")


def _sum(findings: Sequence[Finding], missed: Sequence[Finding], wrong: bool) -> None:
    caught = len(findings) - len(missed)
    control = "breaks a rule without them, too" if wrong else "passes the same seeds as it is"
    _say(f"{caught} of {len(findings)} mutations were caught; the code {control}")


def _say(line: str) -> None:
    print(line, flush=True)
