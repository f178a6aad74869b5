"""Who waits for a lock at a node is in the cluster's queue, and who went away is in none.

The product promises: an acquire whose connection closes before its answer gives back its place, or
what it is granted. It is held of callers whose node lives on, has heard of it, and has nothing more
under way: nobody else would give it back then. A grant of before may have been answered.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from chaos.history import Invoke, Result
from chaos.simulation.judges.calm import is_reachable
from chaos.simulation.observer import Observer
from chaos.simulation.violation import Violation
from raftcoord.machine.events import Request
from raftcoord.machine.queue import Holder
from raftcoord.machine.state import Applied, Machine

ANSWERS = "answers"
HEARD = 2.0
"""Virtual seconds in which a node that can be reached hears that a connection was closed."""
ROOM_AGAIN = 5.0
"""Virtual seconds after a disk had no room in which a cancel may be refused for that: then lease
and wait end by themselves."""


@dataclass
class _Gone:
    """A caller that hung up: when, on which life of its node; since when that knows it surely."""

    time: float
    line: Invoke
    life: int
    known: float | None = None


class Waits(Observer):
    """Acquires of callers that hung up.

    Attributes:
        left: how many were looked after until nothing of them was left.
    """

    def __init__(self) -> None:
        self.left = 0
        self._open: dict[str, Invoke] = {}
        self._owners = Counter[str]()
        self._lives: dict[str, int] = {}
        self._gone: list[_Gone] = []
        self._full_at = float("-inf")
        self._granted: dict[tuple[str, str], float] = {}

    def started(self, time: float, member: str, life: int) -> None:
        self._lives[member] = life

    def fault(self, time: float, name: str, detail: str) -> None:
        if name == "late_bytes":
            self._gone.clear()  # the end of a connection is among them, perhaps
        elif name.startswith("full_disk"):
            self._no_room(time)

    def _no_room(self, time: float) -> None:
        self._full_at = time
        self._gone.clear()

    def invoked(self, time: float, line: Invoke) -> None:
        if line.kind == "lock.acquire":
            self._open[line.id] = line
            self._owners[str(line.arguments["owner"])] += 1

    def answered(self, time: float, line: Result) -> None:
        if line.slug == "storage-full":
            self._no_room(time)
        asked = self._open.pop(line.id, None)
        if time - self._full_at < ROOM_AGAIN:
            return
        if asked is not None and (line.why or "").startswith("no answer within"):
            self._gone.append(_Gone(time, asked, self._lives.get(asked.node, 0)))

    def applied(
        self,
        time: float,
        member: str,
        index: int,
        term: int,
        stamp: int,
        payload: bytes,
        applied: Applied,
        machine: Machine,
    ) -> None:
        for event in applied.events:
            if event.kind == "lock.granted":
                reply = event.data.reply
                owner = getattr(reply, "owner", None)
                if owner is not None:
                    self._granted.setdefault((reply.name, owner), time)

    def looked(self, time: float, world: Any) -> None:
        for name, member in world.members.items():
            if member.gateway is not None and member.gateway.is_open:
                self._check_queued(name, member)
        # In a crowded node the cancel may find no room: then lease and wait end by themselves.
        if not world.sizes.crowded:
            self._gone = [gone for gone in self._gone if not self._is_over(time, world, gone)]

    def ended(self, time: float, world: Any) -> None:
        self.looked(time, world)

    def _check_queued(self, name: str, member: Any) -> None:
        gateway, queues = member.gateway, member.machine.locks.queues
        for wait in gateway.acquires._waits.values():
            if not wait.queued or wait.taken_back or wait.ended is not None:
                continue
            command = wait.command
            request = Request(gateway.submissions.gateway, gateway.submissions.boot, wait.seq)
            place = queues.place(command.name, Holder(command.session, "", command.owner))
            if place is None or request not in place[1].requests():
                text = f"{name} lets {command.owner} wait for {command.name}, who is in no queue"
                raise Violation(ANSWERS, text)

    def _is_over(self, time: float, world: Any, gone: _Gone) -> bool:
        """Whether nothing more is to be looked after."""
        line, member = gone.line, world.members.get(gone.line.node)
        owner = str(line.arguments["owner"])
        if member is None or self._lives.get(line.node) != gone.life or self._owners[owner] > 1:
            return True
        if time - gone.time < HEARD or not is_reachable(world, line.node):
            return False
        gone.known = gone.known or time
        if not member.gateway.is_open or len(member.gateway.submissions):
            return False
        name, session = str(line.arguments["name"]), line.arguments.get("session")
        what = _has(member.machine, name, Holder(session, "", owner))
        if what == "holds" and self._granted.get((name, owner), 0.0) < gone.known:
            return True
        if what is not None:
            text = f"{owner} {what} {name} at {line.node}, and went away at {gone.time:.3f}"
            raise Violation(ANSWERS, text)
        self.left += 1
        return True


def _has(machine: Machine, name: str, holder: Holder) -> str | None:
    """Whether a caller holds the lock or waits for it, in the words of a violation."""
    locks = machine.locks
    if locks.queues.place(name, holder) is not None:
        return "waits for"
    lock = locks.table.get(name)
    grant = None if lock is None else locks.grants.live(lock.token)
    return "holds" if grant is not None and grant.holder == holder else None
