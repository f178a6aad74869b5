"""The generator seen from the runner: a process for each measurement, bounded in time."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from bench.generator import CONNECT, DRAIN, Job, Outcome
from bench.processes import BenchError, die_with_parent

ROOT = Path(__file__).resolve().parent.parent
_START = 10.0
"""Seconds a Python process may take to start and to end on a busy machine."""


def generate(job: Job) -> Outcome:
    """Run the generator and wait for it.

    Raises BenchError with its last words when it fails or does not end in time; it is gone then.
    """
    bound = job.warmup + job.seconds + CONNECT + DRAIN + _START
    # subprocess.run kills the process before it passes on an interrupt or the end of the time.
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bench.generator"],
            input=json.dumps(asdict(job)),
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=bound,
            start_new_session=True,
            preexec_fn=die_with_parent,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"the generator did not end within {bound:g} s") from error
    if done.returncode != 0:
        raise BenchError(f"the generator failed: {done.stderr.strip()[-600:]}")
    return Outcome(**json.loads(done.stdout))
