"""A cluster that is left alone leads, commits and answers.

Whether it is left alone is looked up in the world: all members run and vote, no link and no disk is
hurt. After some seconds of that there must be a leader at every look, no request may wait for long,
and what is due must have ended within the second that is promised, in real time, too.
"""

from __future__ import annotations

from typing import Any

from chaos.history import Invoke, Result
from chaos.simulation.judges.chronicle import Chronicle
from chaos.simulation.judges.due import LEASES, Due
from chaos.simulation.observer import Observer
from chaos.simulation.violation import Violation

LIVENESS = "liveness"
SETTLED = 6.0
"""Virtual seconds of calm after which nothing of what was before excuses anything: the election,
five seconds for requests under way, and what a node does to come back."""
ANSWERED = 3.0
"""Virtual seconds in which a request is answered in a calm cluster, besides its own wait."""
PROMISED = 1.0
MARGIN = 0.3
"""Virtual seconds: a heartbeat, a commit, and the rate error of clocks over a second or two."""
RATE_ERROR = 0.01


class Calm(Observer):
    """Since when the cluster is left alone, and what is open."""

    def __init__(self, chronicle: Chronicle, due: Due) -> None:
        self._chronicle = chronicle
        self._due = due
        self._since: float | None = None
        self._open: dict[str, tuple[float, Invoke]] = {}
        self._entry: tuple[float, int] | None = None

    def read(self, entry: Any) -> None:
        """The newest entry, by real and by cluster time."""
        self._entry = (entry.time, entry.now)

    def invoked(self, time: float, line: Invoke) -> None:
        self._open[line.id] = (time, line)

    def answered(self, time: float, line: Result) -> None:
        self._open.pop(line.id, None)

    def started(self, time: float, member: str, life: int) -> None:
        self._since = None

    def stopped(self, time: float, member: str, life: int, why: str) -> None:
        self._since = None

    def fault(self, time: float, name: str, detail: str) -> None:
        self._since = None

    def looked(self, time: float, world: Any) -> None:
        if not is_calm(world):
            self._since = None
        elif self._since is None:
            self._since = time
        if self._since is None or time - self._since < SETTLED:
            return
        calm = f"the cluster is left alone since {self._since:.3f}"
        leader = world.leader()
        if leader is None:
            raise Violation(LIVENESS, f"{calm} and has no leader; {world.picture()}")
        for begun, line in self._open.values():
            waits = time - max(begun, self._since + SETTLED)
            if waits > ANSWERED + float(line.arguments.get("wait", 0)):
                text = f"{calm}, and {line.kind} of {line.client} at {line.node} waits since"
                raise Violation(LIVENESS, f"{text} {begun:.3f}")
        self._check_leases(time, self._since, world)

    def _check_leases(self, time: float, since: float, world: Any) -> None:
        """Cluster time keeps pace with real time while one leader leads."""
        if self._entry is None or self._entry[0] < since + SETTLED or not world.clocks_honest:
            return
        passed = (time - self._entry[0]) * (1 - RATE_ERROR) - PROMISED - MARGIN
        first = self._due.first()
        if first is not None and first[1] < self._entry[1] + passed * 1000:
            text = f"{first[0]} was due at {first[1]} ms, and no entry has carried the time"
            raise Violation(LEASES, f"{text} by {time:.3f}")


def is_calm(world: Any) -> bool:
    """Whether nothing is wrong with any member, link or disk now."""
    net = world.loop.net
    if net._cuts or net._slow or net._narrow or net._damage or net.loss or net.loss_reset:
        return False
    for member in world.members.values():
        disk, edges, node = member.disk, member.edges, member.node
        if node is None or member.paused or member.stopping or edges is None:
            return False
        if not node.raft.is_voter():
            return False
        if disk.capacity is not None or disk.hook is not None or disk.fail_next_sync:
            return False
        if disk.failing_reads or disk.fail_next or edges.sync != world.sync:
            return False
    return True


def is_reachable(world: Any, name: str) -> bool:
    """Whether a member runs and nothing is wrong with any link of its."""
    net = world.loop.net
    if net.loss or net.loss_reset:
        return False
    member = world.members.get(name)
    if member is None or member.node is None or member.paused or member.stopping:
        return False
    return not any(name in way for hurt in (net._cuts, net._slow, net._narrow) for way in hurt)
