"""The virtual network: what TCP does."""

import asyncio

import pytest

from chaos.simulation.endpoint import WINDOW
from chaos.simulation.loop import VirtualLoop
from tests.chaos.network_world import PORT, Tape, World, failure


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
