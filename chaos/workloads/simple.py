"""The simple protocol, as a script with curl would use it."""

from __future__ import annotations

from chaos.workloads.workload import Workload

LOCKS = ("simple/1", "simple/2", "simple/3")
TRANSACTIONS = ("deal/1", "deal/2", "deal/3", "deal/4")
EXPIRES = (0.3, 1.0, 3.0)
LONGEST_HOLD = 0.03


class Simple(Workload):
    """`GET /lock` and `POST /transaction`; every value is used once."""

    name = "simple"

    def step(self) -> None:
        """A lock and its release, or a prepare and its decision."""
        if self.agent.chance(0.5):
            self._lock()
        else:
            self._transaction()

    def _lock(self) -> None:
        agent = self.agent
        key, value = agent.random.choice(LOCKS), agent.unique("v")
        expire = agent.random.choice(EXPIRES)
        taken = agent.ask("simple.lock", key=key, expire=expire, value=value)
        if taken.outcome == "unknown":
            agent.ask("simple.unlock", key=key, value=value)
        if not taken.ok:
            return
        if agent.chance(0.3):
            agent.ask("lock.read", name=key)
        agent.pause(agent.random.uniform(0, LONGEST_HOLD))
        if agent.chance(0.92):
            agent.ask("simple.unlock", key=key, value=value)
            if agent.chance(0.1):
                agent.ask("simple.unlock", key=key, value=value)

    def _transaction(self) -> None:
        agent = self.agent
        key, value = agent.random.choice(TRANSACTIONS), agent.unique("v")
        expire = agent.random.choice(EXPIRES)
        prepared = agent.ask("simple.prepare", key=key, expire=expire, value=value)
        if prepared.outcome == "unknown":
            agent.ask("simple.rollback", key=key, prepared=value)
        if not prepared.ok:
            if agent.chance(0.02):
                agent.ask("simple.rollback", key=key)
            return
        draw = agent.random.random()
        if draw < 0.6:
            self._decide("simple.commit", key, value)
        elif draw < 0.9:
            self._decide("simple.rollback", key, value)

    def _decide(self, kind: str, key: str, value: str) -> None:
        self._ask(kind, key, value)
        if self.agent.chance(0.2):
            self._ask(kind, key, value)
        if self.agent.chance(0.2):
            contrary = "simple.rollback" if kind == "simple.commit" else "simple.commit"
            self._ask(contrary, key, value)

    def _ask(self, kind: str, key: str, value: str) -> None:
        if kind == "simple.commit":
            self.agent.ask(kind, key=key, value=value)
        else:
            self.agent.ask(kind, key=key, prepared=value)
