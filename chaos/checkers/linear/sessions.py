"""When the sessions of a history can have ended; what they hold ends with them."""

from __future__ import annotations

from chaos.checkers.once import once
from chaos.checkers.sessions import session_lives
from chaos.history import FOREVER, History


class SessionEnds:
    """Bounds for the end of each session, as the judge of sessions knows them."""

    def __init__(self, history: History) -> None:
        self._earliest: dict[int, int] = {}
        self._gone: dict[int, int] = {}
        self._closed: dict[int, int] = {}
        for session, life in session_lives(history).items():
            self._earliest[session] = life.last()
            self._gone[session] = min((item.end for item in life.gone), default=FOREVER)
            closes = (item.end for item in life.gone if item.kind == "session.close" and item.ok)
            self._closed[session] = min(closes, default=FOREVER)

    def earliest(self, session: int | None) -> int:
        """It surely lives until then; `FOREVER` where there is no session."""
        return FOREVER if session is None else self._earliest.get(session, 0)

    def gone(self, session: int | None) -> int:
        """By then it has surely ended."""
        return FOREVER if session is None else self._gone.get(session, FOREVER)

    def closed(self, session: int | None) -> int:
        """By then somebody had closed it, and what ends with it was collected."""
        return FOREVER if session is None else self._closed.get(session, FOREVER)


session_ends = once(SessionEnds)
"""The bounds of a history."""
