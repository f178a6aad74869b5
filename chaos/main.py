"""The command line of chaos: `run`, `judge`."""

from __future__ import annotations

import argparse
import os
import secrets
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from chaos import checkers, history
from chaos.history import Unreadable
from chaos.nemesis import schedule
from chaos.report import report
from chaos.workloads import WORKLOADS, workload

if TYPE_CHECKING:
    from chaos.run import Settings

USAGE = 64
UNREADABLE = 65
UNAVAILABLE = 69
INTERRUPTED = 130
PROGRAM = "RAFTCOORD_NODE_PROGRAM"


def main(argv: Sequence[str]) -> int:
    """0 when no rule was broken, 1 when one was; 64 and above where nothing can be said."""
    options = _parser().parse_args(list(argv))
    try:
        return int(options.go(options))
    except Unreadable as error:
        return _failed(str(error), UNREADABLE)
    except KeyboardInterrupt:
        return _failed("interrupted", INTERRUPTED)
    except OSError as error:
        return _failed(f"{error.filename or 'chaos'}: {error.strerror or error}", UNAVAILABLE)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m chaos", description=__doc__)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser(
        "run", help="kill nodes of a cluster under load and judge what was seen"
    )
    run.add_argument("--rounds", type=_at_least(1), default=10, help="kills (default 10)")
    run.add_argument("--seed", type=int, help="of the kills and the load (default: a random one)")
    run.add_argument("--schedule", type=Path, help="a file with the rounds, instead of a seed's")
    run.add_argument("--clients", type=_at_least(1), default=6, help="client processes (default 6)")
    run.add_argument(
        "--workloads",
        default=",".join(WORKLOADS),
        help="what each client does: %(default)s, or package.module:Class of your own",
    )
    run.add_argument(
        "--rate", type=float, default=300.0, help="operations a second of all clients (default 300)"
    )
    run.add_argument("--port", type=int, help="of the first node (default: free ones)")
    run.add_argument("--data", type=Path, help="an empty folder for the cluster; it is kept")
    run.add_argument("--history", type=Path, help="where to save the history")
    run.add_argument("--keep", action="store_true", help="keep the folder also when all is well")
    run.add_argument(
        "--seconds-max", type=float, help="begin no round so late that all takes longer than this"
    )
    run.add_argument(
        "--patience",
        type=float,
        default=60.0,
        help="seconds to accept a write and be ready again; later is a violation (default 60)",
    )
    run.set_defaults(go=_run)
    judge = commands.add_parser("judge", help="judge saved histories, together as one")
    judge.add_argument("file", type=Path, nargs="+")
    judge.set_defaults(go=_judge)
    return parser


def _at_least(lowest: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        number = int(text)
        if number < lowest:
            raise argparse.ArgumentTypeError(f"{number} is below {lowest}")
        return number

    return convert


def _judge(options: argparse.Namespace) -> int:
    return _verdict(history.load(*options.file))


def _verdict(found: history.History) -> int:
    verdict = checkers.judge(found)
    for line in report(found, verdict):
        print(line)
    return 0 if verdict.good else 1


def _run(options: argparse.Namespace) -> int:
    # Only `run` needs the cluster's processes; `judge` reads a file anywhere.
    from chaos.run import CannotRun, Run
    from cluster.folder import held
    from cluster.places import Places
    from cluster.problem import Problem

    try:
        settings = _settings(options)
    except ValueError as error:
        return _failed(str(error), USAGE)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    folder, rounds = settings.folder, len(settings.rounds)
    _say(f"seed {settings.seed}, {rounds} rounds, {settings.clients} clients; data in {folder}")
    code = UNAVAILABLE
    try:
        with held(Places(folder), make=True) as data:
            ended = Run(settings, data, _say).go()
        code = _verdict(history.load(settings.history))
    except (CannotRun, Problem) as error:
        return _failed(str(error), UNAVAILABLE)
    finally:
        if code == 0 and not options.keep and options.data is None:
            shutil.rmtree(folder)
        else:
            _say(f"logs and history are in {folder}")
    _say(f"seed {settings.seed}, {ended.rounds} of {rounds} rounds")
    return INTERRUPTED if ended.interrupted and code == 0 else code


def _settings(options: argparse.Namespace) -> Settings:
    """What the options ask for. Raises ValueError, Unreadable, OSError."""
    from chaos.run import Settings

    seed = secrets.randbelow(1 << 31) if options.seed is None else options.seed
    workloads = tuple(options.workloads.split(","))
    for name in workloads:
        workload(name)
    rounds = schedule.draw(seed, options.rounds)
    if options.schedule is not None:
        rounds = schedule.read(options.schedule)
    if options.data is not None and options.data.is_dir() and any(options.data.iterdir()):
        raise ValueError(f"{options.data} is not empty; give an empty folder")
    folder = options.data or Path(tempfile.mkdtemp(prefix="raftcoord-chaos-"))
    return Settings(
        rounds=rounds,
        seed=seed,
        folder=folder.resolve(),
        history=options.history or folder.resolve() / "history.jsonl",
        clients=options.clients,
        workloads=workloads,
        rate=options.rate,
        port=options.port,
        seconds=options.seconds_max,
        program=shlex.split(os.environ.get(PROGRAM, "")) or [sys.executable, "-m", "raftcoord"],
        patience=options.patience,
    )


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(line: str) -> None:
    print(line, flush=True)


def _failed(sentence: str, code: int) -> int:
    print(f"chaos: {sentence}", file=sys.stderr)
    return code
