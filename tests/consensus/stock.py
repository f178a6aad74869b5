"""The library's own class, unmodified, with its time and its messages in the test's hands.

The words are those of `lockstep.World`, so that a scenario reads alike on both. The library's
clock is a module global: it is replaced only inside `stock()`.
"""

import copy
import itertools
import logging
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pysyncobj.syncobj
import pytest
from pysyncobj import FAIL_REASON, SyncObj, SyncObjConf, replicated
from pysyncobj.node import Node
from pysyncobj.transport import Transport

__all__ = ["DISCARDED", "SUCCESS", "StockMember", "StockWorld", "stock"]

SUCCESS, DISCARDED = FAIL_REASON.SUCCESS, FAIL_REASON.DISCARDED
_NEVER = 1e9  # seconds: elections happen when the test says so


class StockWire(Transport):
    """Stands where the library's TCP transport stands."""

    def __init__(self, world: "StockWorld", me: str, others: str) -> None:
        super().__init__(None, None, [])
        self.world, self.me = world, me
        self.nodes = {other: Node(other) for other in others}

    def send(self, node: Node, message: dict[str, Any]) -> bool:
        """Into the link's queue."""
        if (self.me, node.id) not in self.world.cuts:
            self.world.links[self.me, node.id].append(copy.deepcopy(message))
        return True

    def addNode(self, node: Node) -> None:
        """A member came."""
        self.nodes[node.id] = node

    def dropNode(self, node: Node) -> None:
        """A member went."""
        self.nodes.pop(node.id, None)


class StockMember(SyncObj):
    """The library as it is, with one replicated method."""

    def __init__(self, wire: StockWire, conf: SyncObjConf) -> None:
        super().__init__(Node(wire.me), list(wire.nodes.values()), conf, transport=wire)
        self.seen: list[Any] = []

    @replicated
    def put(self, value: Any) -> Any:
        """Remember a value."""
        self.seen.append(value)
        return value


class StockWorld:
    """Members, links, and a time that only the test moves.

    Args:
        names: the members, one letter each.
        kind: their class.
        folder: where they keep journal and dump; in memory only where it is None.
        conf: of the library.
    """

    def __init__(
        self,
        names: str = "ABC",
        kind: type[StockMember] = StockMember,
        folder: Path | None = None,
        **conf: Any,
    ) -> None:
        self.now = 1000.0
        self.names, self.kind, self.folder = names, kind, folder
        self.conf = conf
        self.links: dict[tuple[str, str], deque[dict[str, Any]]] = defaultdict(deque)
        self.cuts: set[tuple[str, str]] = set()
        self.members: dict[str, StockMember] = {}

    def begin(self) -> None:
        """Start all of them."""
        for name in self.names:
            self.start(name)

    def start(self, name: str, *, others: str | None = None) -> StockMember:
        """Run a member, connected with everybody."""
        conf = dict(self.conf)
        if self.folder is not None:
            conf |= {
                "journalFile": str(self.folder / f"{name}.journal"),
                "fullDumpFile": str(self.folder / f"{name}.dump"),
                "useFork": False,
            }
        settings = SyncObjConf(
            autoTick=False,
            pollerType="select",
            raftMinTimeout=_NEVER,
            raftMaxTimeout=2 * _NEVER,
            connectionTimeout=2 * _NEVER,
            **conf,
        )
        others = (others or self.names).replace(name, "")
        self.members[name] = member = self.kind(StockWire(self, name, others), settings)
        for other in others:
            self.wire(name)._onNodeConnected(Node(other))
        return member

    def __getitem__(self, name: str) -> StockMember:
        return self.members[name]

    def wire(self, name: str) -> StockWire:
        """A member's transport."""
        return self.field(name, "transport")

    def field(self, name: str, field: str) -> Any:
        """A private field of the library's."""
        return getattr(self.members[name], f"_SyncObj__{field}")

    def set_field(self, name: str, field: str, value: Any) -> None:
        """Change one."""
        setattr(self.members[name], f"_SyncObj__{field}", value)

    # Connections.

    def cut(self, a: str, b: str) -> None:
        """Silence both ways."""
        for x, y in ((a, b), (b, a)):
            self.cuts.add((x, y))
            self.links[x, y].clear()

    def isolate(self, name: str) -> None:
        """Cut one from everybody."""
        for other in self.members:
            if other != name:
                self.cut(name, other)

    def heal(self, name: str) -> None:
        """End that silence."""
        self.cuts = {pair for pair in self.cuts if name not in pair}

    def drop(self, a: str, *others: str) -> None:
        """Lose what is under way from a to the others."""
        for b in others:
            self.links[a, b].clear()

    def kill(self, name: str) -> None:
        """End a member."""
        del self.members[name]
        for pair in list(self.links):
            if name in pair:
                self.links[pair].clear()

    # Time and messages.

    def tick(self, *names: str, dt: float = 0.0) -> None:
        """Let time pass, then give the members a turn."""
        self.now += dt
        for name in names or sorted(self.members):
            self.members[name].doTick(0)

    def deliver(self, a: str, b: str, count: int | None = None) -> int:
        """Hand over messages from a to b, in order."""
        queue, done = self.links[a, b], 0
        while queue and (count is None or done < count):
            done += 1
            self.hand(a, b, queue.popleft())
        return done

    def hand(self, a: str, b: str, message: dict[str, Any]) -> None:
        """Hand over one message."""
        if b in self.members:
            wire = self.wire(b)
            wire._onMessageReceived(wire.nodes.get(a) or Node(a), message)

    def pump(self, names: str | None = None, *, rounds: int = 10, dt: float = 0.11) -> None:
        """Run the named members as a healthy component for a while."""
        chosen = sorted(names or self.members)
        for _ in range(rounds):
            self.tick(*chosen, dt=dt)
            for a, b in itertools.permutations(chosen, 2):
                self.deliver(a, b)

    def campaign(self, name: str) -> None:
        """Let its election deadline be over."""
        self.set_field(name, "raftElectionDeadline", self.now - 1)
        self.tick(name)

    def elect(self, name: str, among: str | None = None) -> None:
        """Make it leader of the named component."""
        self.campaign(name)
        self.pump(among, rounds=4)
        assert self.leads(name), f"{name} was not elected"

    # What callers do and see.

    def put(self, name: str, *values: Any) -> list[tuple[Any, int]]:
        """Call the replicated method; (result, error) of each call appear in the list."""
        told: list[tuple[Any, int]] = []
        for value in values:
            self[name].put(value, callback=lambda *answer: told.append(answer))
        self.tick(name)
        return told

    def leads(self, name: str) -> bool:
        """Whether it thinks it does."""
        return self[name]._isLeader()

    def last(self, name: str) -> int:
        """The index of the last entry of its log."""
        return int(self.field(name, "raftLog")[-1][1])

    def log(self, name: str) -> list[tuple[bytes, int, int]]:
        """(command, index, term) of the entries of its log."""
        return list(self.field(name, "raftLog")[:])

    def holds(self, name: str, value: str) -> bool:
        """Whether its log has an entry with this value."""
        return any(value.encode() in command for command, _, _ in self.log(name))

    def compact(self, name: str) -> None:
        """Let it make a snapshot and cut its log."""
        self[name].forceLogCompaction()


@contextmanager
def stock(
    names: str = "ABC",
    kind: type[StockMember] = StockMember,
    folder: Path | None = None,
    **conf: Any,
) -> Iterator[StockWorld]:
    """A cluster of the library's own class, while the library's clock is the test's."""
    world = StockWorld(names, kind, folder, **conf)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pysyncobj.syncobj, "monotonicTime", lambda: world.now)
        for name in ("pysyncobj.syncobj", "pysyncobj.serializer", "pysyncobj.journal"):
            patch.setattr(logging.getLogger(name), "disabled", True)
        world.begin()
        yield world
