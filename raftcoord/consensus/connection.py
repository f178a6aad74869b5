"""One connection to a peer: handshake, then frames.

A protocol object of asyncio; the socket fills its buffers directly. Until the other side has
proved who it is there is one buffer of `handshake.BOUND` bytes, and never more is read than the
handshake's next part has. A connection that was closed here delivers nothing any more, whatever
the socket still held (finding 3).
"""

import asyncio
import socket
from typing import Any, Protocol, cast

from raftcoord.consensus.frames import BadFrame, FrameReader, FrameWriter
from raftcoord.consensus.handshake import BOUND, Handshake, Refused
from raftcoord.consensus.peers import peer_node

# Seconds after which a silent connection is probed, between probes, and after which one whose
# other side acknowledges nothing is given up; Raft's own time-outs notice much earlier.
_KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 5}
_USER_TIMEOUT_MS = 10_000

_HANDSHAKE, _LINKED, _CLOSED = range(3)


class Owner(Protocol):
    """The transport, as its connections see it. Called from the loop only."""

    def opened(self, connection: "PeerConnection") -> bool:
        """A socket is connected; False: one too many, close it."""

    def admits(self, connection: "PeerConnection") -> bool:
        """The peer has proved who it is; False: there is a better connection to it."""

    def linked(self, connection: "PeerConnection") -> None:
        """The handshake is over, frames may be sent."""

    def deliver(self, connection: "PeerConnection", messages: list[Any]) -> None:
        """The messages of one frame."""

    def refused(self, connection: "PeerConnection", reason: str) -> None:
        """The handshake failed."""

    def broken(self, connection: "PeerConnection", reason: str) -> None:
        """The peer sent what is no frame, or does not read."""

    def lost(self, connection: "PeerConnection") -> None:
        """The connection is gone, whoever ended it. Called once, after `opened`."""


class PeerConnection(asyncio.BufferedProtocol):
    """A connection in its handshake or linked.

    `id`, `incarnation` and `boot` are the peer's, proved; before that the id is the one that was
    called, or empty. `order`, `linked_order`: the transport's sequence numbers of its opening
    and of its link.
    """

    def __init__(
        self, owner: Owner, handshake: Handshake, *, called: str, timeout: float, shape: Any
    ) -> None:
        self.id = called
        self.dialed = bool(called)
        self.incarnation = 0
        self.boot = 0
        self.order = 0
        self.linked_order = 0
        self.linked_at = 0.0
        self.node = peer_node(called)
        self.writer = FrameWriter()
        self.unsent = 0
        self.bytes_in = 0
        self._owner = owner
        self._handshake: Handshake | None = handshake
        self._timeout = timeout
        self._shape = shape
        self._buffer = memoryview(bytearray(BOUND))
        self._filled = 0
        self._reader: FrameReader | None = None
        self._stage = _HANDSHAKE
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        """Whether anything may still come of this connection."""
        return self._stage != _CLOSED

    @property
    def is_linked(self) -> bool:
        """Whether frames may be sent and are delivered."""
        return self._stage == _LINKED

    def measure(self) -> None:
        """Take down in `unsent` how many bytes the socket has not taken yet."""
        transport = self._transport
        self.unsent = 0 if transport is None else transport.get_write_buffer_size()

    def write(self) -> int:
        """Hand over what was gathered; the number of bytes."""
        data = self.writer.take()
        if self._stage == _LINKED and self._transport is not None:
            self._transport.write(data)
        return len(data)

    def close(self) -> None:
        """End it at once; what was not sent or not read yet is dropped."""
        self._stage = _CLOSED
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._handshake = None
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._stage == _CLOSED or not self._owner.opened(self):
            self.close()
            return
        _tune(transport.get_extra_info("socket"))
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._timeout, self._refuse, "timeout")
        if self._handshake is not None and (hello := self._handshake.open()):
            self._transport.write(hello)

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._reader is not None:
            return self._reader.buffer()
        want = BOUND if self._handshake is None else self._handshake.want
        return self._buffer[self._filled : want]

    def buffer_updated(self, nbytes: int) -> None:
        self.bytes_in += nbytes
        if self._stage == _LINKED:
            self._read_frames(nbytes)
        elif self._stage == _HANDSHAKE:
            self._read_handshake(nbytes)

    def eof_received(self) -> bool:
        # Half a connection is of no use; waiting for the write buffer would hide that it died.
        if self._stage == _HANDSHAKE:
            self._refuse("closed")
        else:
            self.close()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._stage == _HANDSHAKE:
            self._refuse("closed")
        self.close()
        self._owner.lost(self)

    # The two stages.

    def _read_handshake(self, count: int) -> None:
        handshake = self._handshake
        assert handshake is not None
        assert self._transport is not None
        self._filled += count
        if self._filled < handshake.want:
            return
        part = bytes(self._buffer[: self._filled])
        self._filled = 0
        try:
            answer = handshake.receive(part)
        except Refused as refusal:
            self._refuse(refusal.reason)
            return
        if handshake.peer is not None:
            peer = handshake.peer
            self.id, self.incarnation, self.boot = peer.node, peer.incarnation, peer.boot
            self.node = peer_node(peer.node)
            if not self._owner.admits(self):
                self._refuse("duplicate")
                return
        if answer:
            self._transport.write(answer)
        if handshake.peer is not None:
            self._link()

    def _link(self) -> None:
        assert self._timer is not None
        self._timer.cancel()
        self._timer = self._handshake = None
        self._stage = _LINKED
        self._reader = FrameReader(self._shape)
        self._buffer = memoryview(b"")
        self._owner.linked(self)

    def _refuse(self, reason: str) -> None:
        if self._stage == _HANDSHAKE:
            self._owner.refused(self, reason)
            self.close()

    def _read_frames(self, count: int) -> None:
        assert self._reader is not None
        try:
            for messages in self._reader.received(count):
                self._owner.deliver(self, messages)
                if self._stage != _LINKED:
                    return
        except BadFrame as error:
            self._owner.broken(self, error.reason)
            self.close()


def _tune(sock: Any) -> None:
    """Small messages leave at once, and a connection to a machine that vanished ends."""
    if not hasattr(sock, "setsockopt"):
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {**_KEEPALIVE, "TCP_USER_TIMEOUT": _USER_TIMEOUT_MS}
    for name, value in options.items():
        if (option := getattr(socket, name, None)) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
