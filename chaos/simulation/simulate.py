"""One run: a seed, played to its end and judged."""

from __future__ import annotations

import time
from collections.abc import Sequence

from chaos.checkers import judge
from chaos.simulation.judges import all_judges
from chaos.simulation.observer import Observer
from chaos.simulation.outcome import Broken, Outcome, Step
from chaos.simulation.profiles import Profile
from chaos.simulation.schedule import Trouble, draw
from chaos.simulation.settling import settle
from chaos.simulation.stillness import no_collections, stillness
from chaos.simulation.trace import Trace
from chaos.simulation.violation import Violation
from chaos.simulation.world import World

NOT_OF_A_PART = frozenset(("coverage",))
"""Judges over histories that have nothing to say of a run that was cut off."""


def simulate(
    seed: int,
    profile: Profile,
    *,
    steps: Sequence[Step] | None = None,
    observers: Sequence[Observer] = (),
    until: float | None = None,
) -> Outcome:
    """Play a seed.

    Args:
        steps: the schedule of faults; the seed's own where it is None.
        observers: further ones, in front of all judges: they see the call that breaks a rule.
        until: virtual seconds after which the run is cut off, and does not settle.

    Returns:
        What it came to; a violation is in it. What else is raised is a fault of the simulation.
    """
    schedule = tuple(draw(seed, profile) if steps is None else steps)
    with no_collections():
        return _simulate(seed, profile, schedule, observers, until)


def _simulate(
    seed: int,
    profile: Profile,
    schedule: tuple[Step, ...],
    observers: Sequence[Observer],
    until: float | None,
) -> Outcome:
    http = speaks_http(seed, profile)
    trace, started = Trace(), time.monotonic()
    world = World(seed, profile=profile, observers=(trace, *observers, *all_judges()), http=http)
    with stillness(world.loop.time), world.sizes.in_force():
        world.begin()
        trouble = Trouble(world, schedule)
        undecided: dict[str, int] = {}
        broken = _play(world, trouble, until, undecided)
        world.loop.close()
    return Outcome(
        seed=seed,
        profile=profile.name,
        trace=trace.hex,
        broken=broken,
        steps=schedule,
        done=dict(trouble.done),
        counts=dict(world.clients.counts),
        seconds=world.loop.time() - world.began,
        took=time.monotonic() - started,
        http=http,
        undecided=undecided,
    )


def speaks_http(seed: int, profile: Profile) -> bool:
    """Whether the clients of this seed speak HTTP: even and odd seeds in turn, as campaigns may
    give one profile to seeds of one sort."""
    every = profile.http_every
    return every > 0 and seed % (2 * every) in (0, every + 1)


def _play(
    world: World, trouble: Trouble, until: float | None, undecided: dict[str, int]
) -> Broken | None:
    try:
        if until is not None and until <= world.profile.seconds:
            world.run(until)
        else:
            world.run(world.profile.seconds)
            trouble.end()
            settle(world)
        verdict = judge(world.history())
        undecided.update({name: len(said) for name, said in verdict.undecided.items()})
        for name, found in verdict.violations.items():
            if found and (until is None or name not in NOT_OF_A_PART):
                raise Violation(name, f"{found[0].rule}: {found[0].text}")
    except Violation as violation:
        return Broken(violation.judge, violation.text, world.loop.time() - world.began)
    return None
