"""What is wrong with the links between hosts: cuts, slowness, losses, damage, late bytes.

A connection across a cut loses nothing at once: TCP sends again, so bytes wait; when the cut
lasts longer than `patience`, both kernels give up. What waits on its way stays in the order in
which it was sent.
"""

import errno
from random import Random

from chaos.simulation.endpoint import FIN, Endpoint, reset_error
from chaos.simulation.hosts import Scheduler

SENT_AGAIN = 0.2
"""Seconds after which TCP sends a lost segment again (RFC 6298 with Linux's smallest RTO)."""

Way = tuple[str, str]
"""From, to."""


class Links:
    """All connections of one world, and the faults between hosts.

    `latency`: least and most seconds of a segment. `patience`: seconds of a cut until the
    connections across it are given up. `loss`: probability that a segment is lost and sent again.
    """

    def __init__(self, loop: Scheduler, latency: tuple[float, float], patience: float) -> None:
        self.latency = latency
        self.patience = patience
        self.loss = 0.0
        self._loop = loop
        self._loss_reset = 0.0
        self._endpoints: dict[Endpoint, None] = {}
        self._cuts: dict[Way, float] = {}
        self._slow: dict[Way, float] = {}
        self._narrow: dict[Way, float] = {}
        self._damage: dict[Way, Random] = {}
        self._rough = False

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong with any link now."""
        hurt = self._rough or self._slow or self.loss
        return not hurt and not any(end.is_late or end.held for end in self._endpoints)

    @property
    def loss_reset(self) -> float:
        """Probability that a segment breaks its connection instead of arriving."""
        return self._loss_reset

    @loss_reset.setter
    def loss_reset(self, probability: float) -> None:
        self._loss_reset = probability
        self._look()

    def _look(self) -> None:
        """Note whether segments may do anything but arrive."""
        self._rough = bool(self._cuts or self._loss_reset or self._narrow or self._damage)

    # Silence.

    def cut(self, a: str, b: str, *, both: bool = True) -> None:
        """Let nothing through from host `a` to host `b`, and back if `both`."""
        now = self._loop.time()
        for way in ((a, b), (b, a)) if both else ((a, b),):
            self._cuts.setdefault(way, now)
        self._look()
        for endpoint in self._between(a, b):
            wait = self.patience * (1 + 0.2 * self._loop.rng.random())
            self._loop.later(now + wait, self._give_up, endpoint, now)

    def heal(self, a: str, b: str, *, both: bool = True) -> None:
        """End the cut from `a` to `b`, and back if `both`. What waited arrives within a second."""
        ways = ((a, b), (b, a)) if both else ((a, b),)
        since = [self._cuts.pop(way) for way in ways if way in self._cuts]
        if not since:
            return
        self._look()
        now = self._loop.time()
        for endpoint in self._between(a, b):
            wait = min(1.0, now - min(since)) * self._loop.rng.random()
            self._loop.later(now + wait, self._send_again, endpoint)

    def is_cut(self, a: str, b: str) -> bool:
        """Whether nothing gets from `a` to `b`."""
        return (a, b) in self._cuts

    def heal_all(self) -> None:
        """End everything that is wrong with the links."""
        self._slow.clear()
        self._narrow.clear()
        self._damage.clear()
        self.loss = self.loss_reset = 0.0
        for a, b in list(self._cuts):
            self.heal(a, b)
        for endpoint in list(self._endpoints):
            self.let_go(endpoint)
        self._look()

    def _give_up(self, endpoint: Endpoint, since: float) -> None:
        ends = endpoint.host.name, endpoint.peer.host.name
        cuts = (self._cuts.get(ends), self._cuts.get(ends[::-1]))
        if any(cut is not None and cut <= since for cut in cuts):
            endpoint.break_off(_timed_out())

    def _send_again(self, source: Endpoint) -> None:
        target = source.peer
        if source.is_late or self.is_cut(source.host.name, target.host.name):
            return
        while source.held:
            target.receive(*source.held.popleft())
        if not source.is_open:
            self.carry_reset(source)  # the one that was lost in the cut

    # Slowness.

    def slow(self, a: str, b: str, seconds: float, *, both: bool = False) -> None:
        """Add seconds to the latency from `a` to `b`; 0 ends it."""
        for way in ((a, b), (b, a)) if both else ((a, b),):
            if seconds:
                self._slow[way] = seconds
            else:
                self._slow.pop(way, None)

    def narrow(self, a: str, b: str, rate: float) -> None:
        """Let through so many bytes a second from `a` to `b` on each connection; 0 ends it."""
        if rate:
            self._narrow[a, b] = rate
        else:
            self._narrow.pop((a, b), None)
        self._look()

    def _drain(self, source: Endpoint) -> None:
        """The first of what waits at a narrow place is through."""
        way = source.host.name, source.peer.host.name
        if source.is_late or way in self._cuts or not source.held:
            return
        source.peer.receive(*source.held.popleft())
        if source.held:
            rate = self._narrow.get(way)
            wait = len(source.held[0][0]) / rate if rate else 0.0
            self._loop.later(self._loop.time() + wait, self._drain, source)

    def _latency(self, a: str, b: str) -> float:
        least, most = self.latency
        seconds = least + (most - least) * self._loop.rng.random()
        if self._slow:
            seconds += self._slow.get((a, b), 0.0)
        if self.loss and self._loop.rng.random() < self.loss:
            seconds += SENT_AGAIN * (1 if self._loop.rng.random() < 0.8 else 3)
        return seconds

    # Breaks and damage.

    def reset(self, a: str, b: str) -> None:
        """Break all connections between two hosts."""
        for endpoint in self._between(a, b):
            self._break_soon(endpoint)

    def reset_all(self) -> None:
        """Break all connections there are."""
        for endpoint in list(self._endpoints):
            self._break_soon(endpoint)

    def _break_soon(self, endpoint: Endpoint) -> None:
        delay = self._latency(endpoint.host.name, endpoint.peer.host.name)
        self._loop.later(self._loop.time() + delay, endpoint.break_off, reset_error())

    def damage(self, a: str, b: str, rng: Random) -> None:
        """Flip a bit in the next segment from `a` to `b`, which TCP's weak checksum misses."""
        self._damage[a, b] = rng
        self._look()

    def spare(self, a: str, b: str) -> None:
        """Do it not, if no segment has come."""
        self._damage.pop((a, b), None)
        self._look()

    # Late bytes of an old connection.

    def hold_back(self, a: str, b: str) -> list[Endpoint]:
        """Let all that `a` sends to `b` on the connections of now wait on its way.

        Connections that are made later are not touched. The ends at `a`, for `forsake` and
        `let_go`.
        """
        ends = [e for e in self._endpoints if (e.host.name, e.peer.host.name) == (a, b)]
        for end in ends:
            end.is_late = True
        return ends

    def forsake(self, end: Endpoint) -> None:
        """This end's kernel gives the connection up; the other end is not told, and still open."""
        end.break_off(_timed_out())

    def let_go(self, end: Endpoint) -> None:
        """What was held back arrives, if the other end is still open; then the end of it all."""
        if end.is_late:
            end.is_late = False
            self._send_again(end)

    # Segments.

    def _deliver(self, source: Endpoint, data: bytes, sent: float) -> None:
        """A segment, or FIN, is at the other end, or wherever the links let it go."""
        way = source.host.name, source.peer.host.name
        if source.held or source.is_late or way in self._cuts:
            source.held.append((data, sent))
        elif self._loss_reset and self._loop.rng.random() < self._loss_reset:
            source.break_off(reset_error())
            source.peer.break_off(reset_error())
        elif way in self._narrow and data != FIN:
            source.held.append((data, sent))
            wait = len(data) / self._narrow[way]
            self._loop.later(self._loop.time() + wait, self._drain, source)
        else:
            if way in self._damage and data != FIN:
                data = _flipped(data, self._damage.pop(way))
                self._look()
            source.peer.receive(data, sent)

    def carry_reset(self, source: Endpoint) -> None:
        """Bring a reset to the other end, unless that is cut off."""
        when = self._loop.time() + self._latency(source.host.name, source.peer.host.name)
        self._loop.later(when, self._arrive_reset, source)

    def _arrive_reset(self, source: Endpoint) -> None:
        if not source.is_late and not self.is_cut(source.host.name, source.peer.host.name):
            source.peer.break_off(reset_error())

    def _between(self, a: str, b: str) -> list[Endpoint]:
        wanted = ((a, b), (b, a))
        return [e for e in self._endpoints if (e.host.name, e.peer.host.name) in wanted]


def _timed_out() -> OSError:
    return TimeoutError(errno.ETIMEDOUT, "Connection timed out")


def _flipped(data: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes((data[at] ^ 1 << rng.randrange(8),)) + data[at + 1 :]
