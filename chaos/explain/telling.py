"""Playing a seed and telling its story."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from chaos.explain.focus import focus
from chaos.explain.page import Story, page
from chaos.explain.recording import Recording
from chaos.explain.shrinking import Trial, shrink
from chaos.simulation import schedule
from chaos.simulation.observer import Observer
from chaos.simulation.outcome import Outcome
from chaos.simulation.profiles import PROFILES, Profile
from chaos.simulation.simulate import simulate

Say = Callable[[str], None]


def explain(seed: int, profile: Profile, out: Path, say: Say) -> int:
    """Write the story of a seed as a page, and its schedule beside it (`….schedule.jsonl`).

    Where the seed breaks a rule, the shortest run that still does is looked for first.

    Returns:
        0 where no rule was broken, 1 where one was.

    Raises OSError, and what `simulate` raises.
    """
    say(f"playing seed {seed} ({profile.name})")
    with _place(out):
        return _tell(seed, profile, out, say)


@contextmanager
def _place(out: Path) -> Iterator[None]:
    """Refuse a page that cannot be written before the long search, and leave none without words."""
    made = not out.exists()
    with out.open("ab"):
        pass
    try:
        yield
    except BaseException:
        if made:
            out.unlink(missing_ok=True)
        raise


def _tell(seed: int, profile: Profile, out: Path, say: Say) -> int:
    play = partial(_play, seed)
    outcome = play(Trial(profile, schedule.draw(seed, profile)))
    trial, shrunk = Trial(profile, outcome.steps), None
    if outcome.broken is not None:
        say(f"{outcome.broken.judge}: {outcome.broken.text}")
        shrunk = shrink(trial, outcome.broken, play, say)
        trial = shrunk.trial
    recording = Recording()
    told = play(trial, (recording,))
    beside = out.with_suffix(".schedule.jsonl")
    schedule.write(beside, trial.schedule)
    story = Story(
        f"Seed {seed}, profile {profile.name}",
        told.broken,
        trial.steps,
        () if shrunk is None else (*shrunk.log, f"{shrunk.runs} runs were played for it"),
        _commands(seed, profile, trial, beside.name),
    )
    out.write_text(page(story, recording, focus(recording, told.broken)), encoding="utf-8")
    if outcome.broken is None:
        say("no rule was broken")
    say(f"the story is in {out}, the schedule in {beside}")
    return int(outcome.broken is not None)


def _play(seed: int, trial: Trial, observers: tuple[Observer, ...] = ()) -> Outcome:
    return simulate(
        seed, trial.profile, steps=trial.schedule, observers=observers, until=trial.until
    )


def _commands(seed: int, profile: Profile, trial: Trial, file: str) -> list[str]:
    """What plays the run that is shown again, and what tells its story anew."""
    play = f"python3 -m chaos simulate --profile {profile.name}"
    usual = PROFILES.get(profile.name, profile)
    seconds = "" if profile.seconds == usual.seconds else f" --seconds {profile.seconds:g}"
    more = seconds
    if trial.profile.clients != usual.clients:
        more += f" --clients {trial.profile.clients}"
    if trial.profile.workloads != usual.workloads:
        more += f" --workloads {','.join(trial.profile.workloads)}"
    return [
        f"{play} --seeds {seed}{more} --schedule {file}",
        f"{play} --explain {seed}{seconds}",
    ]
