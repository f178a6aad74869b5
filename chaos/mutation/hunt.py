"""Playing mutated code until somebody catches it, and the same seeds with the code as it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field

from msgspec import Struct

from chaos.mutation.catalogue import MUTATIONS
from chaos.mutation.mutation import Mutation
from chaos.mutation.patching import patched
from chaos.simulation.outcome import Broken, Outcome
from chaos.simulation.pool import Lost, Pool

BOUND = 60.0
"""Processor seconds of one run."""
CRASH = "crash"
PRELOAD = ("chaos.simulation.simulate",)


class Try(Struct, frozen=True):
    """One run of a mutation's kind of world; with `control` the code is as it is."""

    name: str
    seed: int
    control: bool = False


Play = Callable[[Try], Outcome]


def play(attempt: Try) -> Outcome:
    """The run, here and now; the patch is undone afterwards."""
    from chaos.simulation.simulate import simulate

    mutation = MUTATIONS[attempt.name]
    if attempt.control:
        return simulate(attempt.seed, mutation.profile)
    with patched(mutation.changes):
        return simulate(attempt.seed, mutation.profile)


def verdict(ended: Outcome | Lost) -> Broken | None:
    """What was found. A run that raised was ended by an assertion of the product; one that took too
    long says nothing."""
    if isinstance(ended, Outcome):
        return ended.broken
    if ended.late:
        return None
    lines = ended.why.strip().splitlines()
    return Broken(CRASH, lines[-1] if lines else "it ended without a word", 0.0)


@dataclass
class Finding:
    """What became of a mutation.

    Args:
        first: the seed it was begun with. most: how many may be needed.
        tried: how many runs have ended. seed, broken: of the lowest seed that caught it.
    """

    mutation: Mutation
    first: int
    most: int
    tried: int = 0
    seed: int | None = None
    broken: Broken | None = None

    @property
    def needed(self) -> int | None:
        """How many seeds it took; None where nobody caught it."""
        return None if self.seed is None else self.seed - self.first + 1

    def heard(self, seed: int, broken: Broken | None) -> None:
        """A run of it has ended."""
        self.tried += 1
        if broken is not None and (self.seed is None or seed < self.seed):
            self.seed, self.broken = seed, broken


@dataclass
class Hunt:
    """Mutations, each from a seed on, until it is caught or has had its share of seeds.

    Args:
        processes: how many runs at a time.
        firsts: mutation → where to begin; 1 where it is not named.
        most: seeds for each, instead of what the mutation allows itself.
    """

    mutations: Iterable[Mutation]
    processes: int
    firsts: Mapping[str, int] = field(default_factory=dict)
    most: int | None = None
    play: Play = play

    def go(self, told: Callable[[Finding], None] = lambda finding: None) -> list[Finding]:
        """Play; `told` hears of a mutation as soon as it is caught, or given up."""
        findings = {
            mutation.name: Finding(
                mutation, self.firsts.get(mutation.name, 1), self.most or mutation.within
            )
            for mutation in self.mutations
        }
        for attempt, ended in self._ended(_attempts(findings)):
            finding = findings[attempt.name]
            before = finding.seed
            finding.heard(attempt.seed, verdict(ended))
            over = finding.seed is None and finding.tried == finding.most
            if over or (before is None and finding.seed is not None):
                told(finding)
        return list(findings.values())

    def control(self, findings: Iterable[Finding]) -> list[tuple[Try, Broken]]:
        """The code as it is, on the seeds that caught a mutation: what was found, which should be
        nothing."""
        seen: list[tuple[object, int]] = []
        attempts = []
        for finding in findings:
            if finding.seed is None:
                continue
            world = (finding.mutation.profile, finding.seed)
            if world not in seen:
                seen.append(world)
                attempts.append(Try(finding.mutation.name, finding.seed, True))
        found = []
        for attempt, ended in self._ended(attempts):
            broken = verdict(ended)
            if broken is not None:
                found.append((attempt, broken))
        return found

    def _ended(self, attempts: Iterable[Try]) -> Iterator[tuple[Try, Outcome | Lost]]:
        pool: Pool[Try, Outcome] = Pool(
            self.play, jobs=self.processes, bound=BOUND, fresh=True, preload=PRELOAD
        )
        with closing(pool.run(attempts)) as ended:
            yield from ended


def _attempts(findings: Mapping[str, Finding]) -> Iterator[Try]:
    """One seed of each in turn. Asked for the next one only when a process is free."""
    waiting = deque((finding, 0) for finding in findings.values())
    while waiting:
        finding, given = waiting.popleft()
        if finding.seed is None and given < finding.most:
            waiting.append((finding, given + 1))
            yield Try(finding.mutation.name, finding.first + given)
