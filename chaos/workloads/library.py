"""The simple protocol, as `raftcoord.simple` speaks it: the client's own retries."""

from __future__ import annotations

from typing import Any

from chaos.workloads.caller import Caller
from chaos.workloads.workload import Workload
from raftcoord.errors import (
    ERRORS,
    NotHolder,
    NotReady,
    OutcomeUnknown,
    RaftcoordError,
    TransactionDecided,
)
from raftcoord.simple.retries import LockRetries, TransactionRetries

LOCKS = ("library/1", "library/2")
TRANSACTIONS = ("library/3", "library/4")
EXPIRES = (0.3, 1.0, 3.0)
TIMEOUT = 3.0
LONGEST_HOLD = 0.03
CONFLICT = 409


class LoadOver(Exception):
    """The load ends while a client would rest."""


class AgentPeer:
    """An agent as `raftcoord.simple.patience.Peer`: each request is written into the history."""

    def __init__(self, agent: Caller) -> None:
        self._agent = agent

    async def ask(
        self, method: str, fields: dict[str, Any], conflict: type[RaftcoordError]
    ) -> dict[str, Any]:
        """The answer, or the error that it names."""
        kind, arguments = _operation(method, fields)
        heard = await self._agent.ask(kind, **arguments)
        if heard.ok:
            return heard.answer
        if heard.outcome == "unknown":
            raise OutcomeUnknown(heard.why or "no answer", reason="no-answer")
        if heard.outcome == "never-sent":
            raise NotReady(heard.why or "not sent", reason="unreachable")
        error = conflict if heard.status == CONFLICT else RaftcoordError
        raise ERRORS.get(heard.slug or "", error)(str(heard.slug))

    async def rest(self, seconds: float) -> None:
        """Raises LoadOver where the rest is cut short."""
        since = self.now()
        await self._agent.pause(seconds)
        if self.now() - since < seconds / 2:
            raise LoadOver

    def now(self) -> float:
        """Seconds on the history's clock."""
        return self._agent.seconds()

    def uniform(self, least: float, most: float) -> float:
        """A draw of the agent's."""
        return self._agent.random.uniform(least, most)

    def value(self) -> str:
        """Nobody has used it before."""
        return self._agent.unique("v")


class Library(Workload):
    """Locks and transactions with the retries that callers of the library get."""

    name = "library"

    async def step(self) -> None:
        """A lock and its release, or a prepare and its decision; given up where nobody answers."""
        try:
            if self.agent.chance(0.5):
                await self._lock()
            else:
                await self._transaction()
        except (RaftcoordError, LoadOver):
            return

    async def _lock(self) -> None:
        agent, peer = self.agent, AgentPeer(self.agent)
        lock = LockRetries(peer, agent.random.choice(LOCKS), peer.value(), TIMEOUT)
        await lock.acquire(agent.random.choice(EXPIRES))
        await agent.pause(agent.random.uniform(0, LONGEST_HOLD))
        try:
            await lock.release()
        except NotHolder:
            return

    async def _transaction(self) -> None:
        agent, peer = self.agent, AgentPeer(self.agent)
        transaction = TransactionRetries(peer, agent.random.choice(TRANSACTIONS), TIMEOUT)
        value = await transaction.prepare(agent.random.choice(EXPIRES))
        if value is None:
            return
        try:
            if agent.chance(0.7):
                await transaction.commit(value)
            else:
                await transaction.rollback(value)
        except TransactionDecided:
            return


def _operation(method: str, fields: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The kind of a request of the simple protocol, and its arguments."""
    key, value, expire = fields["key"], fields["value"], float(fields["expire"])
    if method == "GET":
        if expire:
            return "simple.lock", {"key": key, "expire": expire, "value": value}
        return "simple.unlock", {"key": key, "value": value}
    if expire:
        return "simple.prepare", {"key": key, "expire": expire, "value": value}
    if "prepared" in fields or value == "0":
        return "simple.rollback", {"key": key, "prepared": fields.get("prepared")}
    return "simple.commit", {"key": key, "value": value}
