"""The first answer to every request of a gateway, so that its retries execute nothing twice.

A request id is (gateway, boot, seq): the node, its incarnation, a growing number. Every request
carries `low`, the lowest number whose outcome the gateway does not know: answers below it are
dropped. Numbers lie within a window above `low`, which bounds what is kept; a request beyond the
window is refused and not executed. Requests of an earlier boot, or below `low`, are late copies
of something settled: refused too.

An acquire that waits is answered `Queued`; when it is granted or its wait ends, that answer takes
the place of the stored one.

Source: Ongaro, Consensus: Bridging Theory and Practice (2014) §6.3.
"""

from raftcoord.commands import Envelope, Reply, bounds, decode_reply, encode_reply
from raftcoord.errors import Overloaded, RaftcoordError, Stale
from raftcoord.machine.deadlines import Deadlines
from raftcoord.machine.events import Request
from raftcoord.machine.ledger import Ledger, Record, Table


class Gateway(Record, frozen=True):
    """What is known of a gateway; `seen` is the cluster time of its last request."""

    boot: int
    low: int
    seen: int


class Answers:
    """The tables of gateways and of their answers."""

    def __init__(self, ledger: Ledger, deadlines: Deadlines) -> None:
        self._ledger = ledger
        self._deadlines = deadlines
        self.gateways: Table[str, Gateway] = Table("gateways", str, Gateway)
        self.answers: Table[tuple[str, int], bytes] = Table("answers", tuple[str, int], bytes)
        self._sizes: dict[str, int] = {}

    def begin(self, envelope: Envelope) -> Reply | RaftcoordError | None:
        """The first answer to this very request, or why it is refused; None when it is to run.

        Takes note of the gateway's boot and `low` when it is new, and drops what lies below, also
        where the request is then refused: otherwise a gateway with too many answers could never
        give them up.
        """
        gateway = self.gateways.get(envelope.gateway)
        low = envelope.low
        if gateway is not None and envelope.boot <= gateway.boot:
            if envelope.boot < gateway.boot or envelope.seq < gateway.low:
                return _stale(envelope)
            stored = self.answers.get((envelope.gateway, envelope.seq))
            if stored is not None:
                return decode_reply(stored)
            low = max(low, gateway.low)
        if envelope.seq < low:
            return _stale(envelope)
        if envelope.seq - low >= bounds.STORED_ANSWERS:
            return _overloaded("requests in flight")
        self._note(envelope, gateway)
        if (self._sizes.get(envelope.gateway) or 0) > bounds.STORED_ANSWER_BYTES:
            return _overloaded("bytes of answers")
        return None

    def _note(self, envelope: Envelope, gateway: Gateway | None) -> None:
        name, now = envelope.gateway, self._ledger.time
        if gateway is None:
            self._deadlines.arm(("gateway", name), now + bounds.GATEWAY_MEMORY)
            low = envelope.low
        elif envelope.boot > gateway.boot:
            self._drop(name, gateway.low, gateway.low + bounds.STORED_ANSWERS)
            low = envelope.low
        else:
            low = max(gateway.low, envelope.low)
            if low > gateway.low:
                self._drop(name, gateway.low, low)
        self._ledger.put(self.gateways, name, Gateway(envelope.boot, low, now))

    def remember(self, envelope: Envelope, reply: Reply | RaftcoordError) -> None:
        """Keep the answer to a request."""
        self._store(envelope.gateway, envelope.seq, reply)

    def settle(self, requests: tuple[Request, ...], reply: Reply | RaftcoordError) -> None:
        """Put the answer of a wait that is over where `Queued` was stored."""
        for request in requests:
            if request.seq and self._stored(request):
                self._store(request.gateway, request.seq, reply)

    def forbid(self, request: Request, error: RaftcoordError) -> None:
        """Let a request that has not come yet be answered with this when it comes."""
        gateway = self.gateways.get(request.gateway)
        if gateway is None or gateway.boot != request.boot or self._stored(request):
            return
        if gateway.low <= request.seq < gateway.low + bounds.STORED_ANSWERS:
            self._store(request.gateway, request.seq, error)

    def expire(self, name: str) -> None:
        """Forget a gateway that was not heard of for a day; a member removed for good."""
        gateway = self.gateways.rows[name]
        forget_at = gateway.seen + bounds.GATEWAY_MEMORY
        if forget_at > self._ledger.clock:
            self._deadlines.arm(("gateway", name), forget_at)
            return
        self._drop(name, gateway.low, gateway.low + bounds.STORED_ANSWERS)
        self._ledger.delete(self.gateways, name)
        self._ledger.unset(self._sizes, name)
        self._deadlines.disarm(("gateway", name))

    def rebuild(self) -> None:
        """Make the index from the tables."""
        self._sizes = {}
        for (name, _), answer in self.answers.rows.items():
            self._sizes[name] = self._sizes.get(name, 0) + len(answer)

    def _stored(self, request: Request) -> bool:
        gateway = self.gateways.get(request.gateway)
        if gateway is None or gateway.boot != request.boot:
            return False
        return self.answers.get((request.gateway, request.seq)) is not None

    def _store(self, gateway: str, seq: int, reply: Reply | RaftcoordError) -> None:
        key, answer = (gateway, seq), encode_reply(reply)
        before = self.answers.get(key)
        grown = len(answer) - (len(before) if before is not None else 0)
        self._ledger.put(self.answers, key, answer)
        self._ledger.set(self._sizes, gateway, (self._sizes.get(gateway) or 0) + grown)

    def _drop(self, gateway: str, low: int, end: int) -> None:
        # All numbers kept lie in the window, so the walk is bounded even where `low` leaps; where
        # little is kept it ends early, or each restart of a gateway would cost a millisecond.
        freed, stored = 0, self._sizes.get(gateway) or 0
        for seq in range(low, min(end, low + bounds.STORED_ANSWERS)):
            if freed == stored:
                break
            answer = self.answers.get((gateway, seq))
            if answer is not None:
                freed += len(answer)
                self._ledger.delete(self.answers, (gateway, seq))
        if freed:
            self._ledger.set(self._sizes, gateway, stored - freed)


def _stale(envelope: Envelope) -> Stale:
    return Stale("this request was settled before; it was not executed", seq=envelope.seq)


def _overloaded(what: str) -> Overloaded:
    return Overloaded(f"this node has too many {what}; try again", retry_after=1)
