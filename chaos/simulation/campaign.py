"""Many seeds over all cores, and what came of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import Struct

from chaos.simulation.outcome import Outcome, Step
from chaos.simulation.pool import Lost, Pool
from chaos.simulation.profiles import PROFILES, Profile
from chaos.simulation.results import Results, kind_hash

BOUND = 120.0
"""Processor seconds of one seed; the longest seen took a tenth of it."""
FIVE_EVERY = 4
"""With the profile `mixed`, of so many seeds one is played with five members."""
PROGRESS = 0.5
CHOICES = ("mixed", *PROFILES, "both")


class Job(Struct, frozen=True):
    """One run: a seed in a kind of world, with its own schedule where `steps` is None."""

    seed: int
    profile: Profile
    steps: tuple[Step, ...] | None = None


@dataclass(frozen=True)
class Run:
    """A job and what came of it. `known`: it was not played, a results file told."""

    job: Job
    outcome: Outcome | Lost
    known: bool = False

    @property
    def bad(self) -> bool:
        """Whether a rule was broken, or nobody can say whether."""
        return isinstance(self.outcome, Lost) or self.outcome.broken is not None


Play = Callable[[Job], Outcome]


def play(job: Job) -> Outcome:
    """One run, here and now."""
    from chaos.simulation.simulate import simulate

    return simulate(job.seed, job.profile, steps=job.steps)


PRELOAD = ("chaos.simulation.simulate",)


def profile_of(seed: int, choice: str) -> tuple[str, ...]:
    """The names of the profiles that a seed is played in."""
    if choice == "both":
        return tuple(PROFILES)
    if choice == "mixed":
        return ("five",) if seed % FIVE_EVERY == 0 else ("three",)
    return (choice,)


@dataclass
class Summary:
    """What a campaign comes to."""

    runs: int = 0
    known: int = 0
    lost: int = 0
    violations: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    took: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    traces: Counter[str] = field(default_factory=Counter)
    http: int = 0
    undecided: Counter[str] = field(default_factory=Counter)

    def add(self, run: Run) -> None:
        """One run more."""
        self.runs += 1
        outcome = run.outcome
        if isinstance(outcome, Lost):
            self.lost += 1
            return
        self.known += run.known
        self.http += outcome.http
        self.seconds += outcome.seconds
        self.took += outcome.took
        self.undecided.update(outcome.undecided)
        self.counts.update(outcome.counts)
        self.faults.update(outcome.done)
        self.traces[outcome.trace] += 1
        if outcome.broken is not None:
            self.violations[outcome.broken.judge] += 1

    @property
    def bad(self) -> int:
        """Runs in which a rule was broken, or of which nobody can say whether."""
        return self.lost + self.violations.total()

    def lines(self, wall: float) -> Iterator[str]:
        """For the terminal. `wall`: real seconds that the campaign took."""
        from_file = f" ({self.known} from the results file)" if self.known else ""
        yield f"{self.runs} runs{from_file} in {wall:.0f} s, {self.http} of them over HTTP"
        yield f"virtual seconds: {self.seconds:.0f}, {self._speed():.1f} per second and core"
        yield f"operations: {_counted(self.counts)}"
        yield f"faults: {_counted(self.faults)}"
        same = self.traces.total() - len(self.traces)
        yield f"traces: {len(self.traces)} different ones" + (
            f", {same} seen before" if same else ""
        )
        if self.undecided:
            yield f"objects that no judge could tell of: {_counted(self.undecided)}"
        if self.bad == 0:
            yield "no rule was broken"
            return
        lost = [f"{self.lost} lost"] if self.lost else []
        found = [f"{judge} {count}" for judge, count in sorted(self.violations.items())]
        yield f"VIOLATIONS in {self.bad} runs: {', '.join(found + lost)}"

    def _speed(self) -> float:
        return self.seconds / self.took if self.took else 0.0


def _counted(counter: Counter[str]) -> str:
    each = [f"{name} {count}" for name, count in sorted(counter.items())]
    return f"{counter.total()} ({', '.join(each)})" if each else "none"


@dataclass(frozen=True)
class Campaign:
    """Seeds, worlds, and how to play them.

    Args:
        jobs: what to play, in this order. processes: how many at a time.
        results: where the runs are kept, None for nowhere.
        play: plays one job; a function at the top of a module.
        bound: processor seconds one job may take.
    """

    jobs: Sequence[Job]
    processes: int
    results: Path | None = None
    play: Play = play
    bound: float = BOUND

    def go(self, told: Callable[[Run, Summary], None], summary: Summary) -> None:
        """Play them all; `told` hears of each run as it ends, and what there is so far.

        Raises CannotRead and Unreadable where the results cannot be read, OSError where they cannot
        be kept; KeyboardInterrupt passes through, with all processes ended and the summary as far
        as it came.
        """
        results = Results(self.results)
        try:
            waiting = []
            for job in self.jobs:
                outcome = results.known(kind_hash(job.profile, job.steps), job.seed)
                if outcome is None:
                    waiting.append(job)
                    continue
                run = Run(job, outcome, known=True)
                summary.add(run)
                told(run, summary)
            for job, ended in self._played(waiting):
                run = Run(job, ended)
                if isinstance(ended, Outcome):
                    results.add(kind_hash(job.profile, job.steps), ended)
                summary.add(run)
                told(run, summary)
        finally:
            results.close()

    def _played(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcome | Lost]]:
        pool: Pool[Job, Outcome] = Pool(
            self.play, jobs=self.processes, bound=self.bound, preload=PRELOAD
        )
        with closing(pool.run(jobs)) as ended:
            yield from ended


def describe(run: Run, options: str = "") -> Iterator[str]:
    """What a bad run comes to, for the terminal, and how to see it again.

    Args:
        options: what the campaign was given besides, with a space before it.
    """
    job, outcome = run.job, run.outcome
    if isinstance(outcome, Lost):
        yield f"seed {job.seed} ({job.profile.name}): LOST: {outcome.why}"
    elif outcome.broken is not None:
        broken = outcome.broken
        where = f"seed {job.seed} ({job.profile.name}), at {broken.at:.3f} s"
        yield f"{where}: {broken.judge}: {broken.text}"
    same = f"--profile {job.profile.name}{options}"
    yield f"    see it again: python3 -m chaos simulate --seeds {job.seed}..{job.seed} {same}"
    if job.steps is None:
        yield f"    its story:    python3 -m chaos simulate --explain {job.seed} {same}"


class Progress:
    """The line that says how far it is, rewritten where there is a terminal.

    Args:
        total: how many runs there will be. write: puts text on the terminal.
        live: whether it is one; else a line comes every half a minute.
    """

    def __init__(self, total: int, write: Callable[[str], None], *, live: bool) -> None:
        self._total = total
        self._write = write
        self._live = live
        self._began = time.monotonic()
        self._last = self._began
        self._shown = False

    def tick(self, summary: Summary) -> None:
        """One more has ended."""
        now = time.monotonic()
        if now - self._last < (PROGRESS if self._live else 30.0):
            return
        self._last = now
        played = summary.runs - summary.known
        left = (self._total - summary.runs) * (now - self._began) / max(played, 1)
        text = (
            f"{summary.runs}/{self._total} runs, {summary.bad} violations,"
            f" {summary.seconds:.0f} virtual seconds, {left:.0f} s to go"
        )
        if self._live:
            self._write(f"\r\x1b[K{text}")
            self._shown = True
        else:
            self._write(f"{text}\n")

    def clear(self) -> None:
        """Make room for a line."""
        if self._shown:
            self._write("\r\x1b[K")
            self._shown = False

    @property
    def wall(self) -> float:
        """Real seconds since it began."""
        return time.monotonic() - self._began
