"""Calling a member, and calling again.

The first call is made at once, by both sides: a node that comes back finds the others, however
long they have been waiting for it. After a lost connection the lower id calls at once and the
higher one a little later, in case the lower one cannot (it does not know us yet, or cannot reach
us). Then the pauses grow from FIRST to LONGEST seconds, with jitter, so that a dead member costs
its peers next to nothing.
"""

import asyncio
from collections.abc import Callable

from raftcoord.consensus.connection import PeerConnection
from raftcoord.consensus.peers import PeerAddress

FIRST = 0.02
LONGEST = 1.0
PATIENCE = 0.25
"""Seconds the higher id leaves to the lower one."""


class Dialing:
    """The calls to one member.

    Args:
        connect: makes the protocol object of one call.
        random: a number in [0, 1), from the edges.
        patience: seconds to leave to the other side after a lost connection.
        timeout: seconds until a call that nobody takes is given up.
    """

    def __init__(
        self,
        address: PeerAddress,
        connect: Callable[[], PeerConnection],
        random: Callable[[], float],
        patience: float,
        timeout: float,
    ) -> None:
        self.address = address
        self.calls = 0
        self.calling: PeerConnection | None = None
        self._connect = connect
        self._random = random
        self._patience = patience
        self._timeout = timeout
        self._attempts = 0
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def in_handshake(self) -> bool:
        """Whether a call was taken and its handshake is under way."""
        return self.calling is not None and self.calling.is_open and self.calling.order > 0

    def start(self, delay: float = 0.0) -> None:
        """Call after `delay` seconds, unless a call is under way."""
        if self._task is None and self._timer is None and self.calling is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(delay, self._call, loop)

    def linked(self, connection: PeerConnection) -> None:
        """There is a connection to the member: end all calls but the one that made it."""
        if self.calling is connection:
            # Its task may not have returned yet, and cancelling it would close the connection.
            self.calling = self._task = None
        self.stop()

    def lost(self, lasted: float) -> None:
        """A connection that lasted so many seconds is gone: call again."""
        if lasted > LONGEST:
            self._attempts = 0
        pause = self._pause() if self._attempts else 0.0
        self._attempts += 1
        self.start(self._patience + pause)

    def failed(self) -> None:
        """The call came to nothing: call again, later each time."""
        self.calling = self._task = None
        pause = self._pause()
        self._attempts += 1
        self.start(pause)

    def stop(self) -> None:
        """No call is needed: end those under way."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self.calling is not None:
            calling, self.calling = self.calling, None
            calling.close()

    def _pause(self) -> float:
        longest = min(LONGEST, FIRST * (1 << min(self._attempts, 16)))
        return longest * (0.5 + self._random() / 2)

    def _call(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        self._task = loop.create_task(self._dial(loop), name=f"call {self.address}")

    async def _dial(self, loop: asyncio.AbstractEventLoop) -> None:
        self.calls += 1
        connection = self.calling = self._connect()
        failed = False
        try:
            async with asyncio.timeout(self._timeout):
                await loop.create_connection(
                    lambda: connection, self.address.host, self.address.port
                )
        except (OSError, ValueError, OverflowError):  # the last two: a name or port that is none
            failed = True
        if self.calling is connection:
            self._task = None
            if failed and connection.order == 0:
                self.failed()
