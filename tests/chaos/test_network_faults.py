"""The virtual network: what TCP does when it is hurt."""

import pytest

from chaos.simulation.endpoint import WINDOW, Endpoint
from tests.chaos.network_world import Tape, World, failure


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
