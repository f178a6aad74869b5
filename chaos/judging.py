"""`chaos judge`: the verdict on saved histories, and on what a run has just saved."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from chaos import checkers, history
from chaos.checkers import Verdict
from chaos.history import History
from chaos.report import report


def register(commands: Any) -> None:
    """Add the command to the sub-parsers of an argument parser."""
    judge = commands.add_parser("judge", help="judge saved histories, together as one")
    judge.add_argument("file", type=Path, nargs="+")
    judge.add_argument("--report", type=Path, help="write the report as one HTML page, too")
    judge.set_defaults(go=_judge)


def verdict(found: History) -> Verdict:
    """Ask all judges, and print what they say."""
    said = checkers.judge(found)
    for line in report(found, said):
        print(line, flush=True)
    return said


def _judge(options: argparse.Namespace) -> int:
    found = history.load(*options.file)
    said = verdict(found)
    if options.report is not None:
        from chaos.report import page

        page.write(options.report, found, said, dict(found.run))
        print(f"report: {options.report}")
    return 0 if said.good else 1
