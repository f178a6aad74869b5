"""The virtual network: what TCP does, and what it does when it is hurt."""

import asyncio
from typing import Any

import pytest

from chaos.simulation.endpoint import WINDOW, Endpoint
from chaos.simulation.loop import VirtualLoop

PORT = 7001


class Tape(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.transport: Any = None
        self.data = b""
        self.pieces: list[int] = []
        self.events: list[Any] = []
        self.ended: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.pieces.append(len(data))

    def eof_received(self) -> None:
        self.events.append("eof")

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append(("lost", type(exc).__name__))
        self.ended = self.loop.time()


class World:
    """Host "s" listens; host "c" calls it."""

    def __init__(self, seed: int = 1, **options: Any) -> None:
        self.loop = VirtualLoop(seed, **options)
        self.net = self.loop.net
        self.served: list[Tape] = []
        self.listener: Any = None
        self.listen()

    def listen(self) -> None:
        async def listen() -> None:
            self.listener = await self.loop.create_server(self._serve, "127.0.0.1", PORT)

        self.on("s", listen())

    def _serve(self) -> Tape:
        self.served.append(Tape(self.loop))
        return self.served[-1]

    def on(self, host: str, coroutine: Any) -> "asyncio.Task[Any]":
        """Begin a task of a host and run the turn."""
        with self.loop.host(host):
            task = self.loop.create_task(coroutine)
        self.loop.run_until(self.loop.time())
        return task

    def dial(self, host: str = "c", port: int = PORT) -> "asyncio.Task[Any]":
        return self.on(
            host, self.loop.create_connection(lambda: Tape(self.loop), "127.0.0.1", port)
        )

    def call(self, host: str = "c") -> tuple[Tape, Tape]:
        """A connection: the caller's end and the server's."""
        task = self.dial(host)
        self.run(0.1)
        return task.result()[1], self.served[-1]

    def run(self, seconds: float) -> None:
        self.loop.run_until(self.loop.time() + seconds)


def failure(task: "asyncio.Task[Any]") -> str:
    return type(task.exception()).__name__ if task.done() else "still waiting"


def test_bytes_arrive_in_order_after_a_latency():
    world = World(latency=(0.01, 0.02))
    caller, called = world.call()
    for n in range(100):
        caller.transport.write(bytes([n]) * n)
        world.run(0.001)
    assert called.data != b""
    assert len(called.data) < 4950
    world.run(0.02)
    assert called.data == b"".join(bytes([n]) * n for n in range(100))
    called.transport.writelines([b"an", b"swer"])
    world.run(0.005)
    assert caller.data == b""
    world.run(0.02)
    assert caller.data == b"answer"


def test_what_is_written_at_one_instant_travels_together():
    world = World()
    caller, called = world.call()
    world.net.trace = 0
    for _ in range(50):
        caller.transport.write(b"x")
    world.run(1)
    assert called.data == b"x" * 50
    assert len(called.pieces) <= 2


def test_pieces_are_cut_anywhere():
    world = World()
    caller, called = world.call()
    for _ in range(200):
        caller.transport.write(b"abcdefgh")
        world.run(0.01)
    assert called.data == b"abcdefgh" * 200
    assert {1, 4, 7} <= set(called.pieces)


def test_a_buffered_protocol_is_filled_in_place():
    world = World()

    class Small(Tape, asyncio.BufferedProtocol):
        room = bytearray(10)

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.room

        def buffer_updated(self, nbytes: int) -> None:
            self.data_received(bytes(self.room[:nbytes]))

    world._serve = lambda: world.served.append(Small(world.loop)) or world.served[-1]
    world.listener.factory = world._serve
    caller, called = world.call()
    caller.transport.write(bytes(range(256)))
    world.run(1)
    assert called.data == bytes(range(256))
    assert max(called.pieces) == 10


def test_a_reader_that_does_not_read_stops_the_writer():
    world = World()
    caller, called = world.call()
    called.transport.pause_reading()
    assert not called.transport.is_reading()
    written = 0
    while "pause" not in caller.events:
        caller.transport.write(bytes(10_000))
        written += 10_000
        world.run(0.01)
        assert written < 2 * WINDOW
    assert caller.transport.get_write_buffer_size() > 64 << 10
    assert written - caller.transport.get_write_buffer_size() == WINDOW
    called.transport.resume_reading()
    world.run(1)
    assert len(called.data) == written
    assert caller.events == ["made", "pause", "resume"]
    assert caller.transport.get_write_buffer_size() == 0


def test_megabytes():
    world = World()
    caller, called = world.call()
    caller.transport.write(bytes(3 << 20))
    world.run(1)
    assert len(called.data) == 3 << 20


def test_close_sends_what_was_written_and_then_the_end():
    world = World()
    caller, called = world.call()
    caller.transport.write(bytes(1 << 20))
    caller.transport.close()
    assert caller.transport.is_closing()
    caller.transport.write(b"too late")
    world.run(1)
    assert len(called.data) == 1 << 20
    assert called.events == ["made", "eof", ("lost", "NoneType")]
    assert caller.events[-1] == ("lost", "NoneType")
    assert world.net._endpoints == {}


def test_what_waits_to_be_read_is_not_delivered_after_close():
    world = World()
    caller, called = world.call()
    caller.transport.write(b"late")
    assert world.loop.run_until_condition(lambda: called.transport._read_due, 1)
    called.transport.close()
    world.run(1)
    assert (called.data, called.events) == (b"", ["made", ("lost", "NoneType")])


def test_half_closed():
    world = World()
    caller, called = world.call()
    called.eof_received = lambda: called.events.append("eof") or True
    caller.transport.write(b"question")
    caller.transport.write_eof()
    world.run(1)
    assert called.events == ["made", "eof"]
    called.transport.write(b"answer")
    called.transport.close()
    world.run(1)
    assert caller.data == b"answer"
    assert caller.events == ["made", "eof", ("lost", "NoneType")]


def test_abort_resets_the_other_side():
    world = World(latency=(0.01, 0.02))
    caller, called = world.call()
    began = world.loop.time()
    caller.transport.abort()
    world.run(1)
    assert caller.events == ["made", ("lost", "NoneType")]
    assert called.events == ["made", ("lost", "ConnectionResetError")]
    assert called.ended is not None
    assert 0.01 <= called.ended - began <= 0.02


def test_to_close_with_unread_bytes_is_a_reset():
    world = World()
    caller, called = world.call()
    called.transport.pause_reading()
    caller.transport.write(b"nobody reads this")
    world.run(0.1)
    called.transport.close()
    world.run(0.1)
    assert caller.events == ["made", ("lost", "ConnectionResetError")]


def test_to_write_to_a_closed_socket_is_answered_with_a_reset():
    world = World()
    caller, called = world.call()
    called.eof_received = lambda: True
    caller.transport.close()
    world.run(0.1)
    called.transport.write(b"are you there?")
    world.run(0.1)
    assert called.events == ["made", ("lost", "ConnectionResetError")]


def test_an_exception_of_a_protocol_ends_its_connection_and_is_told():
    world = World()
    caller, called = world.call()
    called.data_received = lambda data: 1 // 0
    caller.transport.write(b"x")
    with pytest.raises(ExceptionGroup):
        world.run(1)
    assert called.events == ["made", ("lost", "ZeroDivisionError")]


def test_nobody_listens():
    world = World()
    nobody = world.dial(port=1)
    world.run(0.1)
    assert failure(nobody) == "ConnectionRefusedError"
    world.listener.close()
    assert world.listener.sockets == ()
    closed = world.dial()
    world.run(0.1)
    assert failure(closed) == "ConnectionRefusedError"


def test_a_port_in_use_and_a_port_of_ones_choice():
    world = World()
    task = world.on("t", world.loop.create_server(lambda: Tape(world.loop), "127.0.0.1", PORT))
    assert failure(task) == "OSError"
    task = world.on("t", world.loop.create_server(lambda: Tape(world.loop), "127.0.0.1", 0))
    port = task.result().sockets[0].getsockname()[1]
    dialed = world.dial(port=port)
    world.run(0.1)
    transport, _ = dialed.result()
    assert transport.get_extra_info("peername") == ("127.0.0.1", port)
    assert transport.get_extra_info("socket") is None


def test_a_call_that_is_cancelled_leaves_nothing():
    world = World(latency=(0.01, 0.01))
    task = world.dial()
    world.run(0.015)
    task.cancel()
    world.run(1)
    assert task.cancelled()
    assert world.served[0].events == ["made", ("lost", "ConnectionResetError")]
    assert world.net._endpoints == {}


def test_asyncios_streams_run_on_it():
    loop = VirtualLoop(1)

    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        writer.close()

    async def story() -> bytes:
        await asyncio.start_server(shout, "127.0.0.1", PORT)
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        writer.write(b"hello\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    assert loop.run_until_complete(story()) == b"HELLO\n"
    loop.raise_errors()


# Faults.


def test_across_a_short_cut_bytes_are_late_and_in_order():
    world = World()
    caller, called = world.call()
    caller.transport.write(b"1")
    world.run(0.1)
    world.net.cut("c", "s")
    for n in b"2345":
        caller.transport.write(bytes([n]))
        world.run(0.5)
    called.transport.write(b"answer")
    world.run(0.5)
    assert (called.data, caller.data) == (b"1", b"")
    world.net.heal("c", "s")
    caller.transport.write(b"6")
    world.run(1.5)
    assert (called.data, caller.data) == (b"123456", b"answer")
    assert caller.events == called.events == ["made"]


def test_a_cut_of_one_way_lets_the_other_way_through():
    world = World()
    caller, called = world.call()
    world.net.cut("c", "s", both=False)
    caller.transport.write(b"question")
    called.transport.write(b"news")
    world.run(1)
    assert (called.data, caller.data) == (b"", b"news")
    assert world.net.is_cut("c", "s")
    assert not world.net.is_cut("s", "c")


@pytest.mark.parametrize("both", [True, False])
def test_a_long_cut_breaks_the_connection_at_both_ends(both: bool):
    world = World(patience=5.0)
    caller, called = world.call()
    world.net.cut("c", "s", both=both)
    caller.transport.write(b"lost")
    world.run(4.9)
    assert caller.events == ["made"]
    world.run(2)
    assert caller.events == called.events == ["made", ("lost", "TimeoutError")]
    world.net.heal("c", "s")
    world.run(5)
    assert called.data == b""


def test_a_cut_that_came_again_is_a_new_one():
    world = World(patience=5.0)
    caller, called = world.call()
    world.net.cut("c", "s")
    world.run(4)
    world.net.heal("c", "s")
    world.net.cut("c", "s")
    world.run(4)
    assert caller.events == called.events == ["made"]


def test_a_call_across_a_cut_waits_and_is_made_when_it_heals():
    world = World()
    world.net.cut("c", "s", both=False)
    early = world.dial()
    world.run(2.5)
    assert failure(early) == "still waiting"
    world.net.heal("c", "s")
    world.run(2)
    assert early.result()[1].events == ["made"]
    world.net.cut("s", "c", both=False)
    never = world.dial()
    world.run(300)
    assert failure(never) == "TimeoutError"


def test_a_cut_off_host_does_not_refuse_even_when_it_is_dead():
    world = World()
    world.net.cut("c", "s")
    world.loop.kill("s")
    task = world.dial()
    world.run(5)
    assert failure(task) == "still waiting"
    world.net.heal("c", "s")
    world.run(10)
    assert failure(task) == "ConnectionRefusedError"


def test_reset_breaks_connections_of_two_hosts_only():
    world = World()
    caller, called = world.call()
    other, _ = world.call("d")
    assert world.net.connections("c", "s") == 1
    world.net.reset("s", "c")
    world.run(0.1)
    assert caller.events == called.events == ["made", ("lost", "ConnectionResetError")]
    assert other.events == ["made"]
    assert world.net.connections("c", "s") == 0


def test_slow_is_one_way_and_keeps_the_order():
    world = World(latency=(0.001, 0.001))
    caller, called = world.call()
    world.net.slow("c", "s", 2.0)
    caller.transport.write(b"slow")
    world.run(0.1)
    world.net.slow("c", "s", 0.0)
    caller.transport.write(b"fast")
    called.transport.write(b"back")
    world.run(0.1)
    assert (called.data, caller.data) == (b"", b"back")
    world.run(2)
    assert called.data == b"slowfast"


def test_segments_that_break_their_connection():
    world = World()
    caller, called = world.call()
    world.net.loss_reset = 0.2
    for _ in range(100):
        caller.transport.write(b"x")
        world.run(0.01)
    assert caller.events == called.events == ["made", ("lost", "ConnectionResetError")]
    assert 0 < len(called.data) < 60


def test_a_paused_host_keeps_its_connections_and_reads_later():
    world = World()
    caller, called = world.call()
    world.loop.pause("s")
    caller.transport.write(bytes(2 * WINDOW))
    late = world.dial()
    world.run(30)
    assert called.data == b""
    assert caller.transport.get_write_buffer_size() == WINDOW
    assert late.result()[1].events == ["made"]  # the kernel took the call
    assert len(world.served) == 1
    world.loop.resume("s")
    world.run(1)
    assert len(called.data) == 2 * WINDOW
    assert len(world.served) == 2


def test_a_paused_host_takes_no_more_calls_than_its_backlog():
    world = World()
    world.loop.pause("s")
    calls = [world.dial() for _ in range(140)]
    world.run(0.5)
    assert sum(task.done() for task in calls) == 128
    world.loop.resume("s")
    world.run(5)
    assert len(world.served) == 140


@pytest.mark.parametrize("who", ["s", "c"])
def test_a_killed_hosts_connections_are_reset_at_their_other_ends(who: str):
    world = World(latency=(0.01, 0.02))
    caller, called = world.call()
    dead, alive = (called, caller) if who == "s" else (caller, called)
    dead.transport.write(b"last words")
    world.loop.kill(who)
    began = world.loop.time()
    world.run(1)
    assert dead.events == ["made"]
    assert alive.events == ["made", ("lost", "ConnectionResetError")]
    assert alive.data in (b"", b"last words")
    assert alive.ended is not None
    assert 0.01 <= alive.ended - began <= 0.02
    assert world.net._endpoints == {}


def test_what_a_killed_process_had_not_handed_to_its_kernel_is_lost():
    world = World()
    caller, called = world.call()
    called.transport.pause_reading()
    caller.transport.write(bytes(3 * WINDOW))
    world.run(0.1)
    world.loop.kill("c")
    called.transport.resume_reading()
    world.run(1)
    assert len(called.data) <= WINDOW


def test_a_killed_hosts_port_is_free_and_its_next_life_listens_there():
    world = World()
    caller, _ = world.call()
    world.loop.kill("s")
    refused = world.dial()
    world.run(0.1)
    assert failure(refused) == "ConnectionRefusedError"
    assert caller.events[-1] == ("lost", "ConnectionResetError")
    world.listen()
    again, called = world.call()
    again.transport.write(b"hello")
    world.run(0.1)
    assert called.data == b"hello"


def test_a_host_killed_behind_a_cut_is_noticed_after_it():
    world = World(patience=60.0)
    caller, _ = world.call()
    world.net.cut("c", "s")
    world.loop.kill("s")
    world.run(20)
    assert caller.events == ["made"]
    world.net.heal("c", "s")
    world.run(2)
    assert caller.events == ["made", ("lost", "ConnectionResetError")]


def test_a_call_of_a_host_that_dies_meanwhile():
    world = World(latency=(0.01, 0.01))
    world.dial()
    world.run(0.015)
    world.loop.kill("c")
    world.run(1)
    assert world.served[0].events == ["made", ("lost", "ConnectionResetError")]


def test_the_trace_tells_runs_apart():
    def trace(seed: int, text: bytes) -> int:
        world = World(seed)
        caller, _ = world.call()
        caller.transport.write(text)
        world.run(1)
        return world.net.trace

    assert trace(1, b"a") == trace(1, b"a")
    assert len({trace(1, b"a"), trace(2, b"a"), trace(1, b"b")}) == 3


def test_the_faces_of_a_transport():
    world = World()
    caller, called = world.call()
    transport: Endpoint = caller.transport
    assert transport.get_protocol() is caller
    other = Tape(world.loop)
    transport.set_protocol(other)
    called.transport.write(b"to the other")
    world.run(0.1)
    assert other.data == b"to the other"
    transport.set_write_buffer_limits(high=400)
    assert transport.get_write_buffer_limits() == (100, 400)
    transport.set_write_buffer_limits(low=10)
    assert transport.get_write_buffer_limits() == (10, 40)
    with pytest.raises(TypeError):
        transport.write("text")  # type: ignore[arg-type]
    assert transport.can_write_eof()
    transport.write_eof()
    with pytest.raises(RuntimeError):
        transport.write(b"x")
