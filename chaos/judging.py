"""`chaos judge`: the verdict on saved histories, and on what a run has just saved."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from chaos import checkers, history
from chaos.checkers import Judge, Verdict
from chaos.history import History, Invoke, Operation, Result, Unreadable
from chaos.inputs import reading
from chaos.report import report

STRANGE = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
"""What a judge stumbles with over arguments or an answer that no node understands or gives."""


def register(commands: Any) -> None:
    """Add the command to the sub-parsers of an argument parser."""
    judge = commands.add_parser("judge", help="judge saved histories, together as one")
    judge.add_argument("file", type=Path, nargs="+")
    judge.add_argument("--report", type=Path, help="write the report as one HTML page, too")
    judge.set_defaults(go=_judge)


def verdict(found: History, files: Sequence[Path]) -> Verdict:
    """Ask all judges about what was read from these files, and print what they say.

    Raises Unreadable with the line of the first operation that a judge can make nothing of.
    """
    try:
        said = checkers.judge(found)
    except STRANGE as error:
        raise _blamed(found, files, error) from error
    for line in report(found, said):
        print(line, flush=True)
    return said


def _judge(options: argparse.Namespace) -> int:
    with reading(*options.file):
        found = history.load(*options.file)
    said = verdict(found, options.file)
    if options.report is not None:
        from chaos.report import page

        page.write(options.report, found, said, dict(found.run))
        print(f"report: {options.report}")
    return 0 if said.good else 1


def _blamed(found: History, files: Sequence[Path], error: Exception) -> Unreadable:
    """The line over which a judge stumbles first: the last one of the shortest part of the history
    over which it does."""
    for name, judge in checkers.JUDGES.items():
        if _stumbles(judge, found) is None:
            continue
        low, high = -1, len(found.operations)  # it stumbles over the first `high`
        while high - low > 1:
            middle = (low + high) // 2
            if _stumbles(judge, _part(found, middle)) is None:
                low = middle
            else:
                high = middle
        why = _stumbles(judge, _part(found, high)) or error
        said = f"the judge of {name} makes nothing of it ({type(why).__name__}: {why})"
        if high == 0:
            return Unreadable(str(files[0]), 1, said)
        item = found.operations[high - 1]
        file, line, answered = _place(files, item)
        where = f", answered in line {answered}" if answered is not None else ""
        return Unreadable(file, line, f"operation {item.id}, {item.kind}{where}: {said}")
    return Unreadable(str(files[0]), 1, f"{type(error).__name__}: {error}")


def _part(found: History, operations: int) -> History:
    return replace(found, operations=found.operations[:operations])


def _stumbles(judge: Judge, found: History) -> Exception | None:
    """With what, if it does."""
    try:
        for _ in judge(found):
            continue
    except STRANGE as error:
        return error
    return None


def _place(files: Sequence[Path], item: Operation) -> tuple[str, int, int | None]:
    """The file of an operation, and the lines of its begin and of its answer."""
    for file in files:
        lines: dict[type, int] = {}
        for number, line in enumerate(history.read_lines(file), 1):
            if isinstance(line, Invoke | Result) and line.id == item.id:
                lines[type(line)] = number
        if Invoke in lines:
            return str(file), lines[Invoke], lines.get(Result)
    return str(files[0]), 1, None
