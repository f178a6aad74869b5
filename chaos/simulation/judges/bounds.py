"""Nothing grows without a bound, and nothing is left behind.

The figures are of a simulated load: some tens of operations a second of virtual time. What a table
may hold while the run lasts is far above what it was ever seen to hold; once all callers are
answered it must be empty.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from chaos.simulation.observer import Observer
from chaos.simulation.profiles import Profile
from chaos.simulation.violation import Violation

BOUNDS = "bounds"
USUAL = Profile("usual")

LIMITS = {
    "queued": 400,
    "appended": 400,
    "forwarded": 400,
    "held": 1_500,
    "submissions": 600,
    "acquires": 300,
    "decisions": 100,
    "reads": 300,
    "unsent": 1 << 20,
    "journal": 1 << 18,
    "answers": 1_000,
    "timers": 500,
    "tasks": 400,
}
"""What a member may hold at any time under the usual load: entries, but for `unsent` and `journal`,
which are bytes. Ten times what it was seen to hold in some hundred seeds."""

EMPTY = (
    "queued",
    "appended",
    "forwarded",
    "submissions",
    "acquires",
    "decisions",
    "reads",
)
"""What must be empty in the end."""

AT_REST = {"held": 16, "timers": 40, "tasks": 40, "answers": 200}
"""What a member may still have in the end: answers to heartbeats behind a slow sync, chores, its
connections, and the answers that no later request has let go of: they pile up behind a request that
waits, for some seconds of the load."""


class Bounds(Observer):
    """Looks at everything that can grow. `most`: the largest figure seen of each, for people."""

    def __init__(self) -> None:
        self._scale = 1.0
        self.most: dict[str, int] = dict.fromkeys(LIMITS, 0)

    def began(self, world: Any) -> None:
        profile = world.profile
        self._scale = max(1.0, profile.clients / USUAL.clients, profile.load / USUAL.load)

    def looked(self, time: float, world: Any) -> None:
        for name, sizes in sizes_of(world).items():
            for what, size in sizes.items():
                if size > self.most[what]:
                    self.most[what] = size
                    limit = round(LIMITS[what] * self._scale)
                    if size > limit:
                        text = f"{name} has {size} {what}, and may have {limit}"
                        raise Violation(BOUNDS, text)

    def ended(self, time: float, world: Any) -> None:
        for name, sizes in sizes_of(world).items():
            left = {what: sizes[what] for what in EMPTY if sizes[what]}
            left |= {
                what: sizes[what]
                for what, most in AT_REST.items()
                if sizes[what] > most * self._scale
            }
            if left:
                text = f"{name} is at rest, and has still {left}"
                raise Violation(BOUNDS, text)


def sizes_of(world: Any) -> dict[str, dict[str, int]]:
    """Member → what → how much of it."""
    timers = Counter(
        timer.host.name
        for *_, timer in world.loop._timers
        if timer.host.alive and not timer.cancelled()
    )
    tasks = Counter(task.host.name for task in world.loop.tasks())
    return {
        name: {**_sizes(member), "timers": timers[name], "tasks": tasks[name]}
        for name, member in world.members.items()
        if member.node is not None
    }


def _sizes(member: Any) -> dict[str, int]:
    raft, gateway = member.node.raft, member.gateway
    journal, net = raft.log, member.node._net
    reading = gateway.reading if gateway.is_open else None
    return {
        **raft.backlog(),
        "submissions": len(gateway.submissions) if gateway.is_open else 0,
        "acquires": len(gateway.acquires) if gateway.is_open else 0,
        "decisions": sum(map(len, gateway.decisions._waits.values())),
        "reads": (
            len(raft._read_waits)
            + sum(len(begun.reads) for begun in raft.reads._begun)
            + len(raft.reads._fresh)
            + sum(map(len, raft._asked_reads._asked.values()))
            + len(raft._asked_reads._fresh)
            + (0 if reading is None else reading._waiting + len(reading._reaching))
        ),
        "unsent": sum(link.unsent + link.writer.size for link in net._links.values()),
        "journal": sum(len(chunk) for batch in journal._batches for chunk in batch.chunks),
        "answers": len(member.machine.answers.answers),
    }
