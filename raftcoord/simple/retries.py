"""What the classes ask of a cluster, and what they ask again when they hear nothing.

Whom they ask is handed in, so the very same lines run over a socket and in a simulated world.
"""

from http.client import CONFLICT
from typing import Any

from raftcoord.errors import LockHeld, NotHolder, NotPrepared, OutcomeUnknown, RaftcoordError
from raftcoord.simple.patience import FIRST_PAUSE, PASSING, Patience, Peer, rest


class LockRetries:
    """One identity, `value`, and one lock. `timeout`: as for `Patience`."""

    def __init__(self, peer: Peer, key: str, value: str, timeout: float) -> None:
        self._peer = peer
        self._key = key
        self._value = value
        self._timeout = timeout

    async def acquire(self, expire: float) -> None:
        """Ask until the lock is held for `expire` seconds.

        Raises:
            NotReady, NoLeader, Overloaded: for longer than `timeout` nobody could answer.
            OutcomeUnknown: several requests went unanswered. Malformed: the key or a bound.
        """
        patience = Patience(self._peer, self._timeout)
        pause = FIRST_PAUSE
        while True:
            try:
                await self._ask(expire, LockHeld)
            except LockHeld:
                patience.renew()
                pause = await rest(self._peer, pause)
            except PASSING as error:
                await patience.bear(error)
            except OutcomeUnknown as error:
                await patience.bear(error)
                await self._take_back(patience, error)
            else:
                return

    async def release(self) -> None:
        """Ask until it is given back.

        Raises:
            NotHolder: this identity does not hold it. As `acquire` where nobody answers.
        """
        patience = Patience(self._peer, self._timeout)
        unknown: OutcomeUnknown | None = None
        while True:
            try:
                await self._ask(0, NotHolder)
            except NotHolder:
                if unknown is None:
                    raise
                return  # the one that was not answered has released it
            except PASSING as error:
                await patience.bear(unknown or error)
            except OutcomeUnknown as error:
                unknown = error
                await patience.bear(error)
            else:
                return

    async def _take_back(self, patience: Patience, unknown: OutcomeUnknown) -> None:
        """After an acquire without an answer: free what it may have taken. Its value is no
        identity, so another try would be refused by this very lock."""
        while True:
            try:
                await self._ask(0, NotHolder)
            except NotHolder:
                return
            except (*PASSING, OutcomeUnknown):
                await patience.bear(unknown)
            else:
                return

    async def _ask(self, expire: float, conflict: type[RaftcoordError]) -> dict[str, Any]:
        fields = {"key": self._key, "expire": f"{expire:.12g}", "value": self._value}
        return await self._peer.ask("GET", fields, conflict)


class TransactionRetries:
    """One key. `timeout`: as for `Patience`."""

    def __init__(self, peer: Peer, key: str, timeout: float) -> None:
        self._peer = peer
        self._key = key
        self._timeout = timeout

    async def prepare(self, expire: float) -> str | None:
        """Open a transaction, to be aborted after `expire` seconds; the value that is prepared.

        None while another one is open. Raises as `LockRetries.acquire`.
        """
        patience = Patience(self._peer, self._timeout)
        while True:
            # A value of its own for each try, so that what became of a lost one can be undone
            # without touching another.
            value = self._peer.value()
            try:
                await self._ask(expire, value)
            except PASSING as error:
                await patience.bear(error)
            except OutcomeUnknown as error:
                await patience.bear(error)
                await self._take_back(value, patience, error)
            except RaftcoordError as error:
                if error.status != CONFLICT:
                    raise
                return None
            else:
                return value

    async def commit(self, value: str) -> None:
        """Ask for the decision until it is there. Raises TransactionDecided: it is aborted."""
        await self._decide(value, None)

    async def rollback(self, value: str) -> None:
        """Ask for the abort until it is there. Raises TransactionDecided: it is committed."""
        await self._decide("0", value)

    async def _decide(self, value: str, prepared: str | None) -> None:
        """Asked again, it is answered again."""
        patience = Patience(self._peer, self._timeout)
        unknown: OutcomeUnknown | None = None
        while True:
            try:
                await self._ask(0, value, prepared)
            except PASSING as error:
                await patience.bear(unknown or error)
            except OutcomeUnknown as error:
                unknown = error
                await patience.bear(error)
            else:
                return

    async def _take_back(self, value: str, patience: Patience, unknown: OutcomeUnknown) -> None:
        while True:
            try:
                await self._ask(0, "0", value)
            except (*PASSING, OutcomeUnknown):
                await patience.bear(unknown)
            except RaftcoordError as error:
                if error.status != CONFLICT:
                    raise
                return  # it was not prepared
            else:
                return

    async def _ask(self, expire: float, value: str, prepared: str | None = None) -> dict[str, Any]:
        fields = {"key": self._key, "expire": expire, "value": value}
        if prepared is not None:
            fields["prepared"] = prepared
        return await self._peer.ask("POST", fields, NotPrepared)
