"""`python3 -m chaos simulate`: seeds in, a verdict out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from chaos import workloads
from chaos.inputs import reading
from chaos.simulation.outcome import Outcome, Step
from chaos.simulation.pool import cores
from chaos.simulation.profiles import PROFILES, Profile, replace
from chaos.simulation.seeds import parse

if TYPE_CHECKING:
    from chaos.simulation.campaign import Play, Run, Summary

USAGE = 64
INTERRUPTED = 130
Say = Callable[[str], None]
NOT_TOLD = {
    "results": "a story plays runs that differ from their seed, and keeps none; leave it out",
    "jobs": "a story plays one run after the other, in one process; leave it out",
    "trace": "for the trace hash of one seed give --seeds SEED",
    "schedule": "a story is told of the seed's own faults; for those of a file give --seeds SEED",
}
"""Options that mean nothing to a story, and what to do instead."""


class Explain(Protocol):
    """Writes the story of a seed; the exit code."""

    def __call__(self, seed: int, profile: Profile, out: Path, say: Say) -> int: ...


def register(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    explain: Explain,
    play: Play | None = None,
) -> None:
    """Add `simulate` to the commands.

    Args:
        play: plays one job, for tests; a function at the top of a module.
    """
    from chaos.simulation import campaign

    parser = commands.add_parser(
        "simulate",
        help="play whole clusters in virtual time; a seed is always the same run",
        description="Whole clusters of the product in virtual time. One seed decides everything.",
        epilog="exit status: 0 no rule was broken, 1 one was, 64 usage, 65 unreadable,"
        " 130 Ctrl-C or SIGTERM",
    )
    parser.add_argument("--seeds", metavar="RANGE", help="7, 1..200, or 1..10,17,30..40")
    parser.add_argument(
        "--profile",
        choices=campaign.CHOICES,
        default="mixed",
        help="three or five nodes, both for each seed, or (mixed) five for each fourth seed",
    )
    parser.add_argument("--jobs", type=int, help=f"processes (default {cores()})")
    parser.add_argument(
        "--results", type=Path, help="keep each run there, and play none again that it holds"
    )
    parser.add_argument("--explain", metavar="SEED", help="write the story of a seed as a page")
    parser.add_argument("--out", type=Path, help="where the story goes (default: seed-SEED.html)")
    parser.add_argument("--schedule", type=Path, help="faults from this file, not the seed's own")
    parser.add_argument("--trace", action="store_true", help="print the trace hash of every run")
    parser.add_argument("--seconds", type=float, help="virtual seconds under faults")
    parser.add_argument("--clients", type=int, help="how many callers there are")
    parser.add_argument("--workloads", help="what they do, with commas between")
    parser.set_defaults(
        go=lambda options: _go(options, explain, campaign.play if play is None else play)
    )


def _go(options: argparse.Namespace, explain: Explain, play: Play) -> int:
    """Raises OSError, Unreadable, CannotRead, and KeyboardInterrupt where nothing is known yet."""
    problem = _problem(options)
    if problem is not None:
        return _refuse(problem)
    try:
        seeds = parse(options.explain if options.explain is not None else options.seeds)
        profiles = {name: _profile(name, options) for name in PROFILES}
    except ValueError as error:
        return _refuse(str(error))
    if options.explain is None:
        return _simulate(options, seeds, profiles, play)
    if len(seeds) != 1:
        return _refuse(f"--explain takes one seed, not {options.explain!r}")
    return _explain(options, seeds[0], profiles, explain)


def _problem(options: argparse.Namespace) -> str | None:
    if (options.seeds is None) == (options.explain is None):
        return "give either --seeds RANGE or --explain SEED"
    if options.explain is not None:
        for name, instead in NOT_TOLD.items():
            value = getattr(options, name)
            if value is not None and value is not False:
                return f"--{name} goes with --seeds, not with --explain: {instead}"
    if options.jobs is not None and options.jobs < 1:
        return f"--jobs {options.jobs} is below 1"
    if options.seconds is not None and not 0 < options.seconds <= 3600:
        return f"--seconds {options.seconds:g} is not between 0 and 3600"
    if options.clients is not None and not 1 <= options.clients <= 1000:
        return f"--clients {options.clients} is not between 1 and 1000"
    if options.out is not None and options.explain is None:
        return "--out goes with --explain"
    return None


def _refuse(sentence: str) -> int:
    print(f"chaos: {sentence}", file=sys.stderr)
    return USAGE


def _profile(name: str, options: argparse.Namespace) -> Profile:
    """Raises ValueError for a workload that there is not."""
    values: dict[str, Any] = {}
    if options.seconds is not None:
        values["seconds"] = options.seconds
    if options.clients is not None:
        values["clients"] = options.clients
    if options.workloads is not None:
        values["workloads"] = tuple(options.workloads.split(","))
        for workload in values["workloads"]:
            workloads.workload(workload)
    return replace(PROFILES[name], **values)


def _again(options: argparse.Namespace) -> str:
    """What has to be said again to see the same."""
    given = ""
    if options.seconds is not None:
        given += f" --seconds {options.seconds:g}"
    if options.clients is not None:
        given += f" --clients {options.clients}"
    if options.workloads is not None:
        given += f" --workloads {options.workloads}"
    if options.schedule is not None:
        given += f" --schedule {options.schedule}"
    return given


def _explain(
    options: argparse.Namespace, seed: int, profiles: dict[str, Profile], explain: Explain
) -> int:
    from chaos.simulation.campaign import profile_of

    names = profile_of(seed, options.profile)
    if len(names) > 1:
        return _refuse("--explain tells one run: give --profile three or --profile five")
    out = options.out or Path(f"seed-{seed}.html")
    return explain(seed, profiles[names[0]], out, _say)


def _simulate(
    options: argparse.Namespace, seeds: list[int], profiles: dict[str, Profile], play: Play
) -> int:
    from chaos.simulation.campaign import Campaign, Job, Progress, Summary, describe, profile_of

    steps = _steps(options.schedule)
    jobs = [
        Job(seed, profiles[name], steps)
        for seed in seeds
        for name in profile_of(seed, options.profile)
    ]
    progress = Progress(len(jobs), _write, live=sys.stderr.isatty())
    summary = Summary()
    traced = options.trace or len(jobs) <= len(PROFILES)

    def told(run: Run, so_far: Summary) -> None:
        if run.bad or traced:
            progress.clear()
        if traced:
            _say(_trace(run))
        if run.bad:
            for line in describe(run, _again(options)):
                _say(line)
        progress.tick(so_far)

    interrupted = False
    try:
        processes = min(options.jobs or cores(), len(jobs))
        Campaign(jobs, processes, options.results, play).go(told, summary)
    except KeyboardInterrupt:
        progress.clear()
        _say(f"interrupted after {summary.runs} of {len(jobs)} runs")
        interrupted = True
    progress.clear()
    for line in summary.lines(progress.wall):
        _say(line)
    if summary.bad:
        return 1
    return INTERRUPTED if interrupted else 0


def _steps(file: Path | None) -> tuple[Step, ...] | None:
    if file is None:
        return None
    from chaos.simulation import schedule

    with reading(file):
        return schedule.read(file)


def _trace(run: Run) -> str:
    name = f"seed {run.job.seed} ({run.job.profile.name})"
    if not isinstance(run.outcome, Outcome):
        return f"{name}: no trace"
    over = ", over HTTP" if run.outcome.http else ""
    return f"{name}: trace {run.outcome.trace}, {run.outcome.seconds:.1f} virtual seconds{over}"


def _say(line: str) -> None:
    print(line, flush=True)


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
