"""Cluster time: integer milliseconds that only the leader's clock moves, through the log.

A clock starts when its node's first entry as a leader is applied, at the machine's time or, where
that is later, at what the leader before told with its heartbeats, and grows with the node's
monotonic clock. A step is at most `MAX_STEP` long: a leader that was paused (SIGSTOP, a suspended
machine) finds less time gone than it slept, and expires nobody before their keepalives, which
waited in its sockets, were read.
"""

MAX_STEP = 500
"""Milliseconds one reading may add."""


class ClusterClock:
    """The leader's reading of cluster time. Readings never fall."""

    def __init__(self) -> None:
        self._time = 0
        self._read_at = 0.0

    def start(self, time: int, now: float) -> None:
        """Begin at `time` ms of cluster time, at `now` seconds of the monotonic clock."""
        self._time = time
        self._read_at = now

    def read(self, now: float) -> int:
        """Cluster time in ms at `now` seconds of the monotonic clock."""
        elapsed = int((now - self._read_at) * 1000)
        if elapsed > MAX_STEP:
            self._time += MAX_STEP
            self._read_at = now
        elif elapsed > 0:
            # Whole milliseconds only: the rest stays for the next reading.
            self._time += elapsed
            self._read_at += elapsed / 1000
        return self._time
