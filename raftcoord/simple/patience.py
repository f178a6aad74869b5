"""Trying again: how long, and with what rests."""

import random
import time

from raftcoord.errors import NoLeader, NotReady, OutcomeUnknown, Overloaded, RaftcoordError

FIRST_PAUSE = 0.01
LONGEST_PAUSE = 0.5
SILENCES = 4
"""Requests in a row that may go unanswered."""
PASSING = (NoLeader, Overloaded, NotReady)
"""What a cluster says while it elects a leader or restarts a node; nothing was executed."""


class Patience:
    """How long a cluster may be unable to answer before its error is raised: for `seconds`, or
    `SILENCES` times that where it does not say a word and each request takes its whole time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: float | None = None
        self._pause = FIRST_PAUSE

    def bear(self, error: RaftcoordError) -> None:
        """Rest a little, or raise the error where that went on for too long."""
        now = time.monotonic()
        limit = self._seconds * (SILENCES if isinstance(error, OutcomeUnknown) else 1)
        if self._since is None:
            self._since = now
        elif now - self._since > limit:
            raise error
        self._pause = rest(self._pause)

    def renew(self) -> None:
        """There was an answer."""
        self._since = None
        self._pause = FIRST_PAUSE


def rest(pause: float) -> float:
    """Sleep for about `pause` seconds, each caller for another time; the next pause."""
    time.sleep(pause * random.uniform(0.5, 1.0))
    return min(pause * 1.6, LONGEST_PAUSE)
