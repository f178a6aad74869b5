"""Histories that a correct cluster may leave, made by playing one: any length, any seed.

Clients ask one thing after the other. Each request takes effect at one moment between its begin and
its end; of some nobody hears the outcome, and of those some take effect late, some never. What the
cluster does is written down here a second time, as plainly as can be, apart from the judges.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Any

from chaos.checkers.counters import FRESH
from chaos.checkers.facts import READS
from chaos.history import FOREVER, SECOND, History, Operation, Outcome
from tests.chaos.played import Answered, Cluster

MS = SECOND // 1000
NODES = ("n1", "n2", "n3")


def generate(seed: int, operations: int, *, clients: int = 8, unknown: float = 0.01) -> History:
    """A history of so many operations. `unknown`: the share of which nobody hears."""
    return _Play(seed, operations, clients, unknown).run()


class _Play:
    def __init__(self, seed: int, operations: int, clients: int, unknown: float) -> None:
        self.random = Random(seed)
        self.cluster = Cluster(self.at)
        self._wanted = operations
        self._clients = clients
        self._unknown = unknown
        self._order = count()
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._operations: list[Operation] = []
        self._begun = 0

    def at(self, moment: int, do: Callable[[], None]) -> None:
        """Do it then."""
        heapq.heappush(self._events, (moment, next(self._order), do))

    def run(self) -> History:
        for number in range(self._clients):
            self._next(_Caller(f"c{number}", self.random), 0)
        while self._events:
            moment, _, do = heapq.heappop(self._events)
            self.cluster.now = moment
            do()
        ordered = sorted(self._operations, key=lambda item: (item.begin, item.id))
        return History(tuple(ordered), (), NODES, {FRESH: False})

    def _next(self, caller: _Caller, moment: int) -> None:
        if self._begun < self._wanted:
            self._begun += 1
            rest = self.random.randrange(20 * MS)
            self.at(moment + rest, lambda: self._ask(caller))

    def _ask(self, caller: _Caller) -> None:
        kind, arguments = caller.choose()
        begin, identity = self.cluster.now, f"{caller.name}-{self._begun}-{next(self._order)}"
        head = (identity, caller.name, self.random.choice(NODES), kind, arguments, begin)
        way = self.random.randrange(1, 5 * MS)
        if self.random.random() < self._unknown:
            if self.random.random() < 0.7:
                late = self.random.choice((way, self.random.randrange(3 * SECOND)))
                self.at(begin + late, lambda: self.cluster.do(kind, arguments, _ignore))
            self._operations.append(Operation(*head, FOREVER, "unknown"))
            self._next(caller, begin + 100 * MS)
            return

        def answered(said: Answered) -> None:
            end = self.cluster.now + self.random.randrange(1, 5 * MS)
            outcome: Outcome = "ok" if said.slug is None else "refused"
            status = 200 if said.slug is None else 409
            told = Operation(*head, end, outcome, status, said.slug, said.revision, said.answer)
            self._operations.append(told)
            caller.heard(told)
            self._next(caller, end)

        self.at(begin + way, lambda: self.cluster.do(kind, arguments, answered))


def _ignore(said: Answered) -> None:
    """Nobody hears it."""


class _Caller:
    """Chooses what to ask; names it makes begin with its own."""

    def __init__(self, name: str, random: Random) -> None:
        self.name = name
        self._random = random
        self._made = count()
        self._tokens: list[tuple[str, int]] = []
        self._members: list[tuple[str, str]] = []
        self._transactions: list[tuple[int, list[str]]] = []
        self._values: list[tuple[str, str]] = []

    def choose(self) -> tuple[str, dict[str, Any]]:
        return self._random.choice((self._lock, self._lock, self._ring, self._deal, self._case))()

    def heard(self, item: Operation) -> None:
        asked = item.arguments
        if item.kind == "lock.acquire" and item.ok:
            self._tokens.append((asked["name"], item.answer["token"]))
        elif item.kind == "ring.join":
            self._members.append((asked["ring"], asked["member"]))
        elif item.kind == "transaction.begin":
            self._transactions.append((item.answer["id"], list(asked["participants"])))
        elif item.kind == "simple.prepare" and item.ok:
            self._values.append((asked["key"], asked["value"]))
        for kept in (self._tokens, self._members, self._transactions, self._values):
            del kept[:-4]

    def _lock(self) -> tuple[str, dict[str, Any]]:
        random, draw = self._random, self._random.random()
        name = random.choice(("l1", "l2", "l3"))
        if draw < 0.25 or not self._tokens:
            wait = random.choice((None, None, 0.2))
            ttl = random.choice((0.05, 0.3, 3.0))
            asked = {"name": name, "owner": self.name, "ttl": ttl, "wait": wait}
            return "lock.acquire", {key: value for key, value in asked.items() if value is not None}
        if draw < 0.45:
            return "lock.read", {"name": name}
        held, token = random.choice(self._tokens)
        if draw < 0.6:
            return "lock.check", {"name": held, "token": token}
        mine = {"name": held, "owner": self.name, "token": token}
        return ("lock.refresh" if draw < 0.7 else "lock.release"), mine

    def _ring(self) -> tuple[str, dict[str, Any]]:
        random, draw = self._random, self._random.random()
        ring = random.choice(("r1", "r2"))
        if draw < 0.4:
            return "ring.read", {"ring": ring}
        if draw < 0.42:  # few: the reckoning of one takes as long as a hundred other requests
            return "ring.lookup", {"ring": ring, "key": f"k{random.randrange(99)}", "n": 2}
        if draw < 0.75 or not self._members:
            member = f"{self.name}-{random.randrange(3)}"
            return "ring.join", {"ring": ring, "member": member, "weight": random.choice((0.5, 1))}
        ring, member = self._members.pop()
        return "ring.leave", {"ring": ring, "member": member}

    def _deal(self) -> tuple[str, dict[str, Any]]:
        random, draw = self._random, self._random.random()
        if draw < 0.4 or not self._values:
            key, value = random.choice(("d1", "d2")), f"{self.name}-{next(self._made)}"
            return "simple.prepare", {"key": key, "value": value, "expire": 0.5}
        key, value = random.choice(self._values)
        if draw < 0.75:
            return "simple.commit", {"key": key, "value": value}
        return "simple.rollback", {"key": key, "prepared": value}

    def _case(self) -> tuple[str, dict[str, Any]]:
        random, draw = self._random, self._random.random()
        if draw < 0.2 or not self._transactions:
            names = ["p", "q"][: random.randint(1, 2)]
            decide = random.choice(("auto", "on_request", "on_request"))
            return "transaction.begin", {"participants": names, "timeout": 0.5, "decide": decide}
        number, names = random.choice(self._transactions)
        if draw < 0.55:
            vote = "commit" if random.random() < 0.9 else "abort"
            asked = {"id": number, "participant": random.choice(names), "vote": vote}
            return "transaction.vote", asked
        if draw < 0.7:
            return "transaction.read", {"id": number}
        if draw < 0.8:
            return "transaction.ack", {"id": number, "participant": random.choice(names)}
        return ("transaction.commit" if draw < 0.95 else "transaction.rollback"), {"id": number}


def is_read(item: Operation) -> bool:
    """Whether it only looks."""
    return item.kind in READS
