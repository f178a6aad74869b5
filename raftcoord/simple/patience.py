"""Trying again: how long, and with what rests."""

from typing import Any, Protocol

from raftcoord.errors import NoLeader, NotReady, OutcomeUnknown, Overloaded, RaftcoordError

FIRST_PAUSE = 0.01
LONGEST_PAUSE = 0.5
SILENCES = 4
"""Requests in a row that may go unanswered."""
PASSING = (NoLeader, Overloaded, NotReady)
"""What a cluster says while it elects a leader or restarts a node; nothing was executed."""


class Peer(Protocol):
    """Whom the retries ask, and how they wait: nothing else of the world is theirs to touch.

    One that blocks where it waits never suspends (`raftcoord.simple.server`).
    """

    async def ask(
        self, method: str, fields: dict[str, Any], conflict: type[RaftcoordError]
    ) -> dict[str, Any]:
        """The answer's fields.

        Args:
            conflict: the error of a 409 that does not name its own.

        Raises:
            NotReady: nothing was executed. OutcomeUnknown: there was no answer. Else the error
                that the answer names.
        """

    async def rest(self, seconds: float) -> None:
        """Do nothing for a while."""

    def now(self) -> float:
        """Seconds on a clock that only goes forward."""

    def uniform(self, least: float, most: float) -> float:
        """A number drawn between the two."""

    def value(self) -> str:
        """A word that nobody has used before."""


class Patience:
    """How long a cluster may be unable to answer before its error is raised: for `seconds`, or
    `SILENCES` times that where it does not say a word and each request takes its whole time."""

    def __init__(self, peer: Peer, seconds: float) -> None:
        self._peer = peer
        self._seconds = seconds
        self._since: float | None = None
        self._pause = FIRST_PAUSE

    async def bear(self, error: RaftcoordError) -> None:
        """Rest a little, or raise the error where that went on for too long."""
        now = self._peer.now()
        limit = self._seconds * (SILENCES if isinstance(error, OutcomeUnknown) else 1)
        if self._since is None:
            self._since = now
        elif now - self._since > limit:
            raise error
        self._pause = await rest(self._peer, self._pause)

    def renew(self) -> None:
        """There was an answer."""
        self._since = None
        self._pause = FIRST_PAUSE


async def rest(peer: Peer, pause: float) -> float:
    """Rest for about `pause` seconds, each caller for another time; the next pause."""
    await peer.rest(pause * peer.uniform(0.5, 1.0))
    return min(pause * 1.6, LONGEST_PAUSE)
