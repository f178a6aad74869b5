"""Letting time pass: the clients are followed, the nodes are watched, what is due is ended."""

from __future__ import annotations

import time
from collections.abc import Callable

from chaos.clients import Clients
from chaos.nemesis.fault import NotReached

LOOK = 0.02


class Watch:
    """Waits, and looks around meanwhile.

    Args:
        ended: says which node ended by itself; None while none did.
        patience: seconds of a wait that names none.

    `looks`: all called at each look.
    """

    def __init__(self, clients: Clients, ended: Callable[[], str | None], patience: float) -> None:
        self.looks: list[Callable[[], None]] = []
        self.patience = patience
        self._clients = clients
        self._ended = ended

    def wait(self, reached: Callable[[], bool], what: str, seconds: float | None = None) -> None:
        """Until `reached()`. Raises NotReached with `what`, or where a node ends by itself."""
        limit = self.patience if seconds is None else seconds
        until = time.monotonic() + limit
        while True:
            self._check()
            if reached():
                return
            if time.monotonic() >= until:
                raise NotReached(f"{what} within {limit:g} s")
            self._look()

    def rest(self, seconds: float) -> None:
        """For so many seconds. Raises NotReached where a node ends by itself."""
        until = time.monotonic() + seconds
        while True:
            self._check()
            left = until - time.monotonic()
            if left <= 0:
                return
            self._look(left)

    def _look(self, longest: float = LOOK) -> None:
        time.sleep(min(LOOK, longest))
        self._clients.follow()
        for look in self.looks:
            look()

    def _check(self) -> None:
        problem = self._ended()
        if problem is not None:
            raise NotReached(problem)
