"""`python3 -m bench`: our figures and a peer's, from one run on this machine."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from bench.plan import PARTS, SYSTEMS, make_plan
from bench.processes import BenchError
from bench.report import render
from bench.results import to_json
from bench.runner import data_folder, measure

DATA = Path(__file__).resolve().parent.parent / ".bench"


def main(argv: list[str]) -> int:
    """Run and report. 0: measured; 1: with errors, or not at all; 130: interrupted."""
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    plan = make_plan(
        arguments.only,
        quick=arguments.quick,
        seconds=arguments.seconds,
        repeat=arguments.repeat,
        kills=arguments.kills,
    )
    try:
        # Opened first: an hour's figures must not be lost to a path that cannot be written.
        if arguments.json:
            arguments.json.touch()
        with data_folder(arguments.data) as folder:
            results = measure(plan, folder, _say)
        if arguments.json:
            text = json.dumps(to_json(results), indent=1, ensure_ascii=False)
            arguments.json.write_text(text + "\n", encoding="utf-8")
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nbench: interrupted; everything it started is stopped", file=sys.stderr)
        return 130
    print(render(results))
    return 1 if results.errors() or not results.versions else 0


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m bench",
        description="Lock+unlock cycles per second, latency and failover time over HTTP, three "
        "nodes on this machine, beside etcd where it is installed.",
    )
    parser.add_argument("--quick", action="store_true", help="the short form, under a minute")
    parser.add_argument(
        "--only",
        action="append",
        choices=(*PARTS, *SYSTEMS),
        help="only this part or this system; can be given more than once",
    )
    parser.add_argument(
        "--seconds", type=_number(float, 0.1, 600), help="length of each measurement"
    )
    parser.add_argument("--repeat", type=_number(int, 1, 100), help="repetitions of each")
    parser.add_argument("--kills", type=_number(int, 1, 1000), help="kills of each leader")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there too")
    parser.add_argument(
        "--data", type=Path, default=DATA, help="folder for the data of all nodes, on a real disk"
    )
    return parser


def _number(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], float]:
    def convert(text: str) -> float:
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not from {low:g} to {high:g}")
        return value

    convert.__name__ = f"number from {low:g} to {high:g}"
    return convert
