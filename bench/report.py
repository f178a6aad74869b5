"""The figures as a table for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from bench.figures import median, ratio_of_pairs, spread
from bench.goals import goals
from bench.plan import Cell
from bench.results import Results, Run, cycles, is_noisy, others, p50, p99
from bench.surroundings import BUSY

_ERRORS = 12


def render(results: Results) -> str:
    """The whole report, lines without a trailing newline."""
    return "\n".join(_lines(results))


def _lines(results: Results) -> Iterator[str]:
    yield from _machine(results)
    if results.runs:
        yield ""
        yield from _cells(results)
    if results.kills:
        yield ""
        yield from _failover(results)
    yield ""
    yield from _goals(results)
    yield from _remarks(results)


def _machine(results: Results) -> Iterator[str]:
    here = results.surroundings
    yield (
        f"machine    {here['cpu']}, {here['cores']} cores, {here['memory_mib'] / 1024:.1f} GiB; "
        f"{here['kernel']}; {here['python']}, uvloop {here['uvloop']}, aiohttp {here['aiohttp']}"
    )
    versions = ", ".join(results.versions.values()) or "none"
    yield f"systems    {versions}; three nodes each, data on one {here['file_system']}, all syncing"
    if results.floor:
        floor = results.floor
        yield (
            f"disk       fdatasync of 256 bytes: {floor.in_place:.3f} ms in place "
            f"(p99 {floor.in_place_p99:.3f}), {floor.appended:.3f} ms appended "
            f"(p99 {floor.appended_p99:.3f})"
        )
    idle = ", ".join(f"{name} {share:.0%}" for name, share in results.idle.items())
    yield f"idle       {idle or 'none'} of one core without callers"
    yield f"sharing    the load generator and all nodes share the {here['cores']} cores"


def _cells(results: Results) -> Iterator[str]:
    plan = results.plan
    yield (
        f"lock+unlock over HTTP, each caller a name of its own: medians of {plan.repeat} × "
        f"{plan.seconds:g} s (± half the spread), latency per request"
    )
    yield (
        f"{'through':<9}{'callers':>7}  {'system':<10}{'cycles/s':>9}{'±':>6}"
        f"{'p50 ms':>9}{'p99 ms':>9}{'cpu ms/cycle':>14}{'generator':>11}   ratio of pairs"
    )
    for cell, systems in results.runs.items():
        for system, runs in systems.items():
            yield _row(results, cell, system, runs)


def _row(results: Results, cell: Cell, system: str, runs: list[Run]) -> str:
    rates = [cycles(run) for run in runs]
    marks = "~" if is_noisy(rates) else ""
    if any(run.outcome.errors for run in runs):
        marks += "!"
    rivals = [name for name in results.runs[cell] if name != system]
    ratio = results.ratio(cell, cycles, (system, rivals[0])) if rivals else None
    beside = f"{ratio.median:.2f} × ({ratio.low:.2f}-{ratio.high:.2f})" if ratio else ""
    return (
        f"{cell.where:<9}{cell.connections:>7}  {system:<10}{median(rates):>9.0f}"
        f"{spread(rates) / 2:>6.0%}{median([p50(run) for run in runs]):>9.2f}"
        f"{median([p99(run) for run in runs]):>9.2f}"
        f"{median([run.system_ms for run in runs]):>14.3f}"
        f"{median([run.outcome.processor for run in runs]):>11.0%}   {beside:<20} {marks}"
    ).rstrip()


def _failover(results: Results) -> Iterator[str]:
    yield "leader killed (SIGKILL) to next accepted write, seconds"
    yield f"{'system':<12}{'kills':>6}{'median':>9}{'min':>9}{'max':>9}   median ratio of pairs"
    seconds = {name: kills.seconds for name, kills in results.kills.items()}
    for name, kills in results.kills.items():
        times = kills.seconds
        if not times:
            yield f"{name:<12}{0:>6}  no kill was survived !"
            continue
        other = next((seconds[key] for key in seconds if key != name), [])
        ratio = ratio_of_pairs(times, other)
        beside = f"{ratio.median:.2f} ×" if ratio else ""
        mark = " !" if kills.errors else ""
        yield (
            f"{name:<12}{len(times):>6}{median(times):>9.3f}{min(times):>9.3f}{max(times):>9.3f}"
            f"   {beside}{mark}"
        ).rstrip()


def _goals(results: Results) -> Iterator[str]:
    for goal in goals(results):
        sign = "≥" if goal.at_least else "≤"
        wanted = f"{sign} {goal.bound:g}{goal.unit}"
        if goal.value is None:
            yield f"goal       {goal.text}: {wanted}: not measured"
            continue
        verdict = "reached" if goal.met else "NOT reached"
        yield f"goal       {goal.text}: {wanted}: {goal.value:.2f}{goal.unit}, {verdict}"


def _remarks(results: Results) -> Iterator[str]:
    busy = max(results.busy_before, others(results))
    if busy > BUSY:
        yield (
            f"loaded     {busy:.0%} of the processors went to other work: "
            "these figures are not to be trusted"
        )
    noisy = any(
        is_noisy([cycles(run) for run in runs])
        for systems in results.runs.values()
        for runs in systems.values()
    )
    if noisy:
        yield "noisy      ~ marks figures whose repetitions differ by more than a quarter"
    for reason in results.skipped.values():
        yield f"skipped    {reason}"
    errors = results.errors()
    if errors:
        yield "errors     ! marks figures with errors in them; they do not count:"
        for reason, times in list(errors.items())[:_ERRORS]:
            yield f"           {times} × {reason}"
        if len(errors) > _ERRORS:
            yield f"           and {len(errors) - _ERRORS} more kinds"
