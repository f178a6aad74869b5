"""One end of a simulated TCP connection: asyncio's transport above, a kernel's socket below.

The kernel's half (`receive`, `break_off`, what is on its way) goes on while the host is paused;
the process's half (reading, moving unsent bytes, telling the protocol) are callbacks of the
host. As in TCP, a receiver that does not read stops the sender: at most WINDOW bytes are on
their way or unread, the rest waits in the sender's transport and is lost with its process.
"""

import asyncio
import contextvars
import errno
from collections import deque
from collections.abc import Iterable
from typing import Any, Protocol, cast

from chaos.simulation.hosts import Host, Scheduler

WINDOW = 256 << 10
_HIGH, _LOW = 64 << 10, 16 << 10
_READ = 256 << 10

FIN = b""
"""What stands in a stream for its end."""

AnyProtocol = asyncio.Protocol | asyncio.BufferedProtocol


class Wire(Protocol):
    """The network, as an endpoint sees it."""

    def carry(self, source: "Endpoint", parts: list[bytes]) -> None:
        """Bring these, the last of which may be FIN, to the other end, in order.

        What is written at this instant yet is added to the list.
        """

    def carry_reset(self, source: "Endpoint") -> None:
        """Bring a reset to the other end; it may overtake data."""

    def delivered(self, endpoint: "Endpoint", data: bytes, sent: float) -> None:
        """A protocol was given these bytes, the first of which left at `sent`."""

    def closed(self, endpoint: "Endpoint") -> None:
        """The socket is gone."""


class Endpoint(asyncio.Transport):
    """A socket of `host` and its transport. `peer` is the other end.

    For the network: `leaving`, what was written at the instant `left_at` and travels together;
    `last_arrival`, when the last of what was sent arrives; `held`, what waits on its way, with
    the times at which it left; `is_late`, whether all that is sent waits; `tape`, the first
    bytes that were sent.
    """

    peer: "Endpoint"

    def __init__(
        self,
        loop: Scheduler,
        wire: Wire,
        host: Host,
        context: contextvars.Context,
        names: dict[str, Any],
    ) -> None:
        super().__init__(names)
        self.host = host
        self.context = context
        self.is_open = True
        self.last_arrival = 0.0
        self.leaving: list[bytes] | None = None
        self.left_at = 0.0
        self.held: deque[tuple[bytes, float]] = deque()
        self.is_late = False
        self.tape: bytearray | None = None
        self._loop = loop
        self._wire = wire
        self._protocol: AnyProtocol | None = None
        self._fills_buffers = False
        # Kernel: bytes that came, bytes of ours between here and the peer's process.
        self._arrived = bytearray()
        self._came, self._taken = 0, 0
        self._sent: deque[tuple[int, float]] = deque()
        self._on_the_way = 0
        self._ended = False
        self._broken: OSError | None = None
        # Process.
        self._begun = False
        self._unsent = bytearray()
        self._limits = (_LOW, _HIGH)
        self._writing_paused = False
        self._reading_paused = False
        self._read_due = False
        self._write_due = False
        self._closing = False
        self._abortive = False
        self._end_wanted = False
        self._end_sent = False
        self._end_told = False
        self._lost = False

    # Kernel.

    def receive(self, data: bytes, sent: float) -> None:
        """Bytes of the peer's, or FIN, are here; they left at `sent`."""
        self.peer._on_the_way -= len(data)
        if not self.is_open:
            self._wire.carry_reset(self)
            return
        if data == FIN:
            self._ended = True
        else:
            self._arrived += data
            self._came += len(data)
            self._sent.append((self._came, sent))
        if not self._read_due:
            self._wake_reader()

    def break_off(self, reason: OSError) -> None:
        """A reset is here, or the kernel gave the connection up."""
        if not self.is_open or self._broken is not None:
            return
        self._broken = reason
        if self._reading_paused:
            self._loop.on_host(self.context, self._lose, reason)
        self._wake_reader()

    def vanish(self) -> None:
        """The process is gone and the socket with it."""
        self.is_open = False
        self._wire.closed(self)
        self._wire.carry_reset(self)

    def _room(self) -> int:
        return WINDOW - self._on_the_way - len(self.peer._arrived)

    def _push(self, data: bytes) -> None:
        self._on_the_way += len(data)
        now = self._loop.now
        if self.leaving is not None and self.left_at == now:
            self.leaving.append(data)
            return
        self.leaving, self.left_at = [data], now
        self._wire.carry(self, self.leaving)

    # Process: beginning and reading.

    def begin(self, protocol: AnyProtocol) -> None:
        """Give the socket its protocol: connection_made is its first callback."""
        self.set_protocol(protocol)
        self._loop.on_host(self.context, self._begin)

    def _begin(self) -> None:
        assert self._protocol is not None
        self._begun = True
        self._protocol.connection_made(self)
        self._wake_reader()

    def _wake_reader(self) -> None:
        if self._read_due or self._reading_paused or not self._begun or self._closing:
            return
        if self._arrived or self._broken is not None or (self._ended and not self._end_told):
            self._read_due = True
            self._loop.on_host(self.context, self._read)

    def _read(self) -> None:
        self._read_due = False
        if self._closing or self._reading_paused:
            return
        try:
            self._read_once()
        except BaseException as error:
            self._lose(error if isinstance(error, Exception) else None)
            raise
        if self._arrived or self._ended or self._broken is not None:
            self._wake_reader()

    def _read_once(self) -> None:
        protocol = self._protocol
        if not self._arrived:
            if self._broken is not None:
                self._lose(self._broken)
            elif not self._end_told:
                self._end_told = True
                assert protocol is not None
                if not protocol.eof_received():
                    self.close()
            return
        if self._fills_buffers:
            reader: Any = protocol
            buffer = memoryview(reader.get_buffer(-1))
            data = bytes(self._arrived[: len(buffer)])
            count = len(data)
            if count == 0:
                raise RuntimeError("get_buffer() returned an empty buffer")
            buffer[:count] = data
            self._wire.delivered(self, data, self._sent[0][1])
            self._consume(count)
            reader.buffer_updated(count)
        elif protocol is not None:
            data = bytes(self._arrived[:_READ])
            self._wire.delivered(self, data, self._sent[0][1])
            self._consume(len(data))
            cast(asyncio.Protocol, protocol).data_received(data)

    def _consume(self, count: int) -> None:
        del self._arrived[:count]
        self._taken += count
        while self._sent and self._sent[0][0] <= self._taken:
            self._sent.popleft()
        peer = self.peer
        if peer._unsent and not peer._write_due:
            peer._write_due = True
            peer._loop.on_host(peer.context, peer._write_on)

    def pause_reading(self) -> None:
        self._reading_paused = True

    def resume_reading(self) -> None:
        self._reading_paused = False
        self._wake_reader()

    def is_reading(self) -> bool:
        return not self._reading_paused and not self._closing

    # Process: writing.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"data: bytes expected, got {type(data).__name__}")
        if self._end_wanted:
            raise RuntimeError("write after write_eof")
        if self._closing or self._broken is not None or not data:
            return
        if not self._unsent and len(data) <= self._room():
            self._push(bytes(data))
            return
        self._unsent += data
        self._move()
        if len(self._unsent) > self._limits[1] and not self._writing_paused:
            self._writing_paused = True
            if self._protocol is not None:
                self._protocol.pause_writing()

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def _move(self) -> None:
        """Hand unsent bytes to the kernel, as many as it takes."""
        room = self._room()
        if self._unsent and room > 0:
            self._push(bytes(self._unsent[:room]))
            del self._unsent[:room]
        if not self._unsent and self._end_wanted and not self._end_sent:
            self._end_sent = True
            self._push(FIN)

    def _write_on(self) -> None:
        self._write_due = False
        if self._lost:
            return
        self._move()
        if self._writing_paused and len(self._unsent) <= self._limits[0]:
            self._writing_paused = False
            if self._protocol is not None:
                self._protocol.resume_writing()
        if self._closing and not self._unsent:
            self._finish(None)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self._closing:
            self._end_wanted = True
            self._move()

    def get_write_buffer_size(self) -> int:
        return len(self._unsent)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._limits

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is None:
            high = _HIGH if low is None else 4 * low
        self._limits = (high // 4 if low is None else low, high)

    # Process: the end.

    def is_closing(self) -> bool:
        return self._closing

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._protocol is not None
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast(AnyProtocol, protocol)
        self._fills_buffers = isinstance(protocol, asyncio.BufferedProtocol)

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if not self._unsent:
            self._loop.on_host(self.context, self._finish, None)

    def abort(self) -> None:
        self._abortive = True
        self._lose(None)

    def _lose(self, reason: Exception | None) -> None:
        self._unsent.clear()
        self._closing = True
        self._loop.on_host(self.context, self._finish, reason)

    def _finish(self, reason: Exception | None) -> None:
        if self._lost:
            return
        self._lost = True
        self.is_open = False
        unread = bool(self._arrived)
        if self._abortive or unread:
            self._wire.carry_reset(self)
        elif not self._end_sent and self._broken is None:
            self._push(FIN)
        self._wire.closed(self)
        if self._protocol is not None:
            self._protocol.connection_lost(reason)


def reset_error() -> OSError:
    """What a process is told after a reset."""
    return ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
