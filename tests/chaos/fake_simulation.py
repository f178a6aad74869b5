"""Runs that are not played: each seed is one way in which a run can end."""

import os
import signal
import time

from chaos.simulation.campaign import Job
from chaos.simulation.outcome import Broken, Outcome, Step

BROKEN, DIES, KILLED, RAISES, HANGS, STUCK = 13, 14, 15, 16, 17, 18


def outcome(seed: int, profile: str = "three", broken: Broken | None = None) -> Outcome:
    """What a run of this seed came to."""
    return Outcome(
        seed=seed,
        profile=profile,
        trace=f"{seed:08x}",
        broken=broken,
        steps=(Step(1.5, "kill", seed),),
        done={"kill": 2},
        counts={"ok": 10, "unknown": 1},
        seconds=20.0,
        took=0.25,
    )


def play(job: Job) -> Outcome:
    """Good, but for the seeds above."""
    if job.seed == BROKEN:
        return outcome(job.seed, job.profile.name, Broken("leases", "a lease ended early", 3.25))
    if job.seed == DIES:
        os._exit(3)
    if job.seed == KILLED:
        os.kill(os.getpid(), signal.SIGKILL)
    if job.seed == RAISES:
        raise ZeroDivisionError("nothing left")
    if job.seed == HANGS:
        while True:
            time.monotonic()
    if job.seed == STUCK:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        os.kill(os.getpid(), signal.SIGSTOP)
    return outcome(job.seed, job.profile.name)


def process(number: int) -> int:
    """The process that works on it."""
    return os.getpid()
