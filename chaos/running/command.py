"""`chaos run`: its options, and what they come to."""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from chaos import history
from chaos.inputs import reading
from chaos.judging import verdict
from chaos.nemesis import schedule, wires
from chaos.nemesis.fault import Fault
from chaos.nemesis.schedule import Step
from chaos.nemesis.table import FAULTS, chosen, usual
from chaos.report import page
from chaos.report.live import Live
from chaos.running.foreign import Foreign, address_of, injected
from chaos.running.own import Own
from chaos.running.run import Run
from chaos.running.settings import CannotRun, Settings
from chaos.workloads import WORKLOADS, workload
from cluster.folder import held
from cluster.places import LAST_PORT, Places
from cluster.problem import Problem

USAGE = 64
UNAVAILABLE = 69
INTERRUPTED = 130
PROGRAM = "RAFTCOORD_NODE_PROGRAM"
REPORT, HISTORY, SCHEDULE = "report.html", "history.jsonl", "schedule.jsonl"
KEPT = frozenset((REPORT, HISTORY, SCHEDULE))
STEP = 3.5
"""Seconds that a fault takes, on the average of all kinds, with its recovery."""
AROUND = 15.0
"""Seconds that a cluster takes to start, to come to rest and to stop."""
LIST = "list"
CONSENT = "--yes-break-this-cluster"


def register(commands: Any) -> None:
    """Add the command to the sub-parsers of an argument parser."""
    run = commands.add_parser(
        "run",
        help="hurt the nodes of a real cluster under load, and judge what was seen",
        epilog="exit status: 0 no rule was broken, 1 one was, 64 usage, 65 unreadable,"
        " 69 it could not run, 130 Ctrl-C or SIGTERM",
    )
    run.add_argument("--minutes", type=_above(0.0), help="how long faults begin; all kinds once")
    run.add_argument("--rounds", type=_from(1), help="faults (default: each kind once)")
    run.add_argument("--seed", type=int, help="of the faults and the load (default: a random one)")
    run.add_argument("--schedule", type=Path, help="a file with the faults, instead of a seed's")
    run.add_argument(
        "--kinds",
        help="kinds of faults with commas; all: what this machine can do; list: say which there"
        " are (default: those that need no root)",
    )
    run.add_argument(
        "--namespaces",
        action="store_true",
        help="cut links by losing packets between network namespaces (needs root), not by a proxy",
    )
    run.add_argument("--clients", type=_from(1), default=6, help="client processes (default 6)")
    run.add_argument(
        "--workloads",
        default=",".join(WORKLOADS),
        help="what each client does: %(default)s, or package.module:Class of your own",
    )
    run.add_argument(
        "--rate",
        type=_above(0.0),
        default=300.0,
        help="operations a second of all clients (default 300)",
    )
    run.add_argument("--report", type=Path, help="where the report goes, one HTML page")
    run.add_argument("--history", type=Path, help="where to save the history")
    run.add_argument(
        "--port", type=_from(1, LAST_PORT), help="of the first node (default: free ones)"
    )
    run.add_argument("--data", type=Path, help="an empty folder for the cluster; it is kept")
    run.add_argument(
        "--keep", action="store_true", help="keep the nodes' data and logs also when all is well"
    )
    run.add_argument(
        "--seconds-max",
        type=_above(0.0),
        help="begin no fault so late that all takes longer than this",
    )
    run.add_argument(
        "--patience",
        type=_above(0.0),
        default=60.0,
        help="seconds to accept a write and be ready again; later is a violation (default 60)",
    )
    run.add_argument(
        "--cluster", metavar="URL,URL,…", help="the nodes of a running cluster, not one of its own"
    )
    run.add_argument(CONSENT, action="store_true", dest="consent", help="needed with --cluster")
    run.add_argument(
        "--inject",
        metavar="COMMAND",
        help="with --cluster: called as COMMAND start|stop NAME for kinds not known here",
    )
    run.set_defaults(go=go)


def go(options: argparse.Namespace) -> int:
    """Run it; the exit code."""
    if options.kinds == LIST:
        for name, kind in FAULTS.items():
            needs = "" if kind.needs == "nothing" else f" (needs {kind.needs})"
            _say(f"{name:<18}{kind.about}{needs}")
        return 0
    try:
        settings = _settings(options)
    except ValueError as error:
        return _failed(str(error), USAGE)
    return _Once(options, settings).go()


class _Once:
    """One run with its folder, its verdict and its report."""

    def __init__(self, options: argparse.Namespace, settings: Settings) -> None:
        self._options = options
        self._settings = settings
        self._code = UNAVAILABLE

    def go(self) -> int:
        settings = self._settings
        _say(f"seed {settings.seed}, {settings.clients} clients; data in {settings.folder}")
        try:
            with self._cluster() as cluster:
                live = Live(sys.stdout, _total(settings))
                ended = Run(settings, cluster, live).go()
            if ended.loaded:
                if ended.interrupted:
                    _say("all is stopped; judging what was seen")
                self._judge()
        except (CannotRun, Problem) as error:
            return _failed(str(error), UNAVAILABLE)
        finally:
            self._tidy()
        if not ended.loaded:
            return _failed("interrupted before the load had begun; nothing to judge", INTERRUPTED)
        _say(f"seed {settings.seed}, {len(ended.steps)} faults")
        return INTERRUPTED if ended.interrupted and self._code == 0 else self._code

    @contextlib.contextmanager
    def _cluster(self) -> Iterator[Own | Foreign]:
        if self._settings.addresses:
            yield Foreign(self._settings.addresses)
            return
        with held(Places(self._settings.folder), make=True) as data:
            yield Own(self._settings, data)

    def _judge(self) -> None:
        settings = self._settings
        found = history.load(settings.history)
        said = verdict(found, [settings.history])
        file = self._options.report or settings.folder / REPORT
        page.write(file, found, said, {"command": shlex.join(sys.argv[1:]), **found.run})
        _say(f"report: {file}")
        self._code = 0 if said.good else 1

    def _tidy(self) -> None:
        folder = self._settings.folder
        if self._code != 0 or self._options.keep or self._options.data is not None:
            _say(f"logs, history and schedule are in {folder}")
            return
        for entry in folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name not in KEPT:
                entry.unlink()
        _say(f"history and schedule are in {folder}")


def _total(settings: Settings) -> float | None:
    """Seconds that the run will take, where that is known."""
    if settings.minutes is not None:
        return max(settings.minutes * 60, settings.turn * STEP) + AROUND
    return settings.seconds


def _settings(options: argparse.Namespace) -> Settings:
    """What the options ask for. Raises ValueError, Unreadable, CannotRead, OSError."""
    addresses = _foreign(options)
    seed = secrets.randbelow(1 << 31) if options.seed is None else options.seed
    workloads = tuple(options.workloads.split(","))
    for name in workloads:
        workload(name)
    kinds = _kinds(options, bool(addresses))
    if options.schedule is not None:
        with reading(options.schedule):
            steps: Iterable[Step] = schedule.read(options.schedule, kinds)
        kinds = {step.fault: kinds[step.fault] for step in steps}
        turn = len(list(steps))
    else:
        turn = len(kinds)
        rounds = options.rounds or (turn if options.minutes is None else None)
        steps = islice(schedule.draw(seed, kinds), rounds)
    for file in filter(None, (options.report, options.history)):
        # Behind the run it would be too late.
        if file.is_dir() or not (file.parent.is_dir() or file.parent == options.data):
            raise ValueError(f"{file} cannot be written: name a file in a folder that there is")
    if options.data is not None and options.data.is_dir() and any(options.data.iterdir()):
        raise ValueError(f"{options.data} is not empty; give an empty folder")
    folder = options.data or Path(tempfile.mkdtemp(prefix="raftcoord-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    return Settings(
        steps=steps,
        kinds=kinds,
        seed=seed,
        folder=folder.resolve(),
        history=options.history or folder.resolve() / HISTORY,
        turn=turn,
        clients=options.clients,
        workloads=workloads,
        rate=options.rate,
        port=options.port,
        minutes=options.minutes,
        seconds=options.seconds_max,
        program=shlex.split(os.environ.get(PROGRAM, "")) or [sys.executable, "-m", "raftcoord"],
        patience=options.patience,
        namespaces=options.namespaces,
        realm=f"chaos-{secrets.token_hex(4)}/" if addresses else "",
        addresses=addresses,
    )


def _foreign(options: argparse.Namespace) -> tuple[str, ...]:
    if options.cluster is None:
        if options.consent or options.inject is not None:
            raise ValueError(f"{CONSENT} and --inject go with --cluster")
        return ()
    addresses = tuple(map(address_of, options.cluster.split(",")))
    if not options.consent:
        raise ValueError(
            f"{options.cluster} is not this run's own cluster: its load takes locks, joins rings"
            f" and opens transactions there, and its faults hurt; say {CONSENT} if that is meant"
        )
    return addresses


def _kinds(options: argparse.Namespace, foreign: bool) -> dict[str, type[Fault]]:
    """The faults that may be done; of a schedule, those it may name."""
    known: Mapping[str, type[Fault]] = FAULTS
    if options.namespaces:
        if foreign:
            raise ValueError("--namespaces goes with a cluster of the run's own only")
        if (reason := wires.missing()) is not None:
            raise ValueError(f"--namespaces: {reason}")
        known = {name: kind for name, kind in FAULTS.items() if not kind.proxied}
    if foreign:
        known = {name: kind for name, kind in FAULTS.items() if kind.foreign}
        if options.inject is not None:
            command = shlex.split(options.inject)
            own = set((options.kinds or "injected").split(",")) - set(FAULTS) - {"all"}
            known = {**known, **{name: injected(name, command) for name in sorted(own)}}
    if options.schedule is not None:
        for name in ("kinds", "rounds", "minutes"):
            named = name == "kinds" and options.inject is not None
            if getattr(options, name) is not None and not named:
                raise ValueError(f"--{name} and --schedule exclude each other")
        return dict(known)
    if options.kinds is not None:
        return chosen(options.kinds, known)
    return dict(known) if foreign else {n: kind for n, kind in usual().items() if n in known}


def _from(lowest: int, highest: int | None = None) -> Callable[[str], int]:
    def convert(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
        if number < lowest:
            raise argparse.ArgumentTypeError(f"{number} is below {lowest}")
        if highest is not None and number > highest:
            raise argparse.ArgumentTypeError(f"{number} is above {highest}")
        return number

    return convert


def _above(lowest: float) -> Callable[[str], float]:
    def convert(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
        if not lowest < number < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not above {lowest:g}")
        return number

    return convert


def _say(line: str) -> None:
    print(line, flush=True)


def _failed(sentence: str, code: int) -> int:
    print(f"chaos: {sentence}", file=sys.stderr)
    return code
