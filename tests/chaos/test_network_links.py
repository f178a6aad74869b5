"""The virtual network: links that are narrow or lossy, damage, and bytes that come late."""

from random import Random

import pytest

from tests.chaos.network_world import PORT, World


def test_bytes_of_an_old_connection_come_after_those_of_a_newer_one():
    world = World()
    old, called = world.call()
    ends = world.net.hold_back("c", "s")
    old.transport.write(b"old ")
    called.transport.write(b"news")
    world.run(0.1)
    assert (called.data, old.data) == (b"", b"news")
    for end in ends:
        world.net.forsake(end)
    world.run(0.1)
    assert old.events == ["made", ("lost", "TimeoutError")]
    assert called.events == ["made"]
    newer, called_again = world.call()
    newer.transport.write(b"new")
    world.run(0.1)
    assert (called.data, called_again.data) == (b"", b"new")
    for end in ends:
        world.net.let_go(end)
    world.run(0.1)
    assert called.data == b"old "
    assert called.events == ["made", ("lost", "ConnectionResetError")]
    assert called_again.events == newer.events == ["made"]


def test_late_bytes_find_nobody_where_the_receiver_has_closed():
    world = World()
    old, called = world.call()
    ends = world.net.hold_back("c", "s")
    old.transport.write(b"late")
    world.run(0.1)
    for end in ends:
        world.net.forsake(end)
    called.transport.abort()
    world.run(0.1)
    for end in ends:
        world.net.let_go(end)
    world.run(0.1)
    assert called.data == b""
    assert world.net._endpoints == {}


def test_bytes_of_a_former_life_come_when_the_next_one_is_there():
    world = World()
    old, called = world.call()
    ends = world.net.hold_back("c", "s")
    old.transport.write(b"last words")
    world.loop.kill("c")
    world.run(0.1)
    assert called.events == ["made"]
    _, called_again = world.call()
    for end in ends:
        world.net.let_go(end)
    world.run(0.1)
    assert called.data == b"last words"
    assert called.events[-1] == ("lost", "ConnectionResetError")
    assert called_again.events == ["made"]


def test_what_is_held_back_waits_also_when_a_cut_heals_and_is_in_order():
    world = World()
    caller, called = world.call()
    (end,) = world.net.hold_back("c", "s")
    caller.transport.write(b"1")
    world.run(0.1)
    world.net.cut("c", "s")
    caller.transport.write(b"2")
    world.run(0.1)
    world.net.heal("c", "s")
    world.run(1.5)
    assert called.data == b""
    world.net.let_go(end)
    caller.transport.write(b"3")
    world.run(0.1)
    assert called.data == b"123"
    assert caller.events == called.events == ["made"]


def test_connections_that_are_made_later_are_not_held_back():
    world = World()
    world.call()
    world.net.hold_back("c", "s")
    caller, called = world.call()
    caller.transport.write(b"x")
    world.run(0.1)
    assert called.data == b"x"


def test_a_narrow_link_takes_as_long_as_its_bytes_do():
    world = World()
    caller, called = world.call()
    world.net.narrow("c", "s", 1000.0)
    for _ in range(20):
        caller.transport.write(b"x" * 100)
        world.run(0.001)
    called.transport.write(b"back")
    world.run(0.98)
    assert caller.data == b"back"
    assert 800 <= len(called.data) <= 1000
    world.run(1.2)
    assert len(called.data) == 2000
    world.net.narrow("c", "s", 0.0)
    caller.transport.write(b"y" * 1000)
    world.run(0.01)
    assert len(called.data) == 3000


def test_a_narrow_link_that_is_wide_again_keeps_the_order():
    world = World()
    caller, called = world.call()
    world.net.narrow("c", "s", 10.0)
    for n in range(10):
        caller.transport.write(bytes([n]) * 10)
        world.run(0.001)
    world.net.narrow("c", "s", 0.0)
    caller.transport.write(b"end")
    world.run(3)
    assert called.data == b"".join(bytes([n]) * 10 for n in range(10)) + b"end"


def test_what_is_lost_is_sent_again_and_holds_up_what_follows():
    world = World()
    caller, called = world.call()
    world.net.loss = 0.2
    late = 0
    for n in range(100):
        caller.transport.write(bytes([n]))
        world.run(0.05)
        late += len(called.data) <= n
    assert 10 < late < 90
    world.net.loss = 0.0
    world.run(2)
    assert called.data == bytes(range(100))
    assert caller.events == called.events == ["made"]


def test_damage_is_one_bit_of_one_segment_between_those_two():
    world = World()
    caller, called = world.call()
    other, other_called = world.call("d")
    world.net.damage("c", "s", Random(1))
    for tape in (other, caller, caller):
        tape.transport.write(b"abcdefgh")
        world.run(0.1)
    assert other_called.data == b"abcdefgh"
    assert len(called.data) == 16
    wrong = [a ^ b for a, b in zip(called.data, b"abcdefgh" * 2, strict=True) if a != b]
    assert len(wrong) == 1
    assert wrong[0].bit_count() == 1
    assert called.data.endswith(b"abcdefgh")


def test_all_connections_break_at_once():
    world = World()
    tapes = [*world.call("c"), *world.call("d")]
    world.net.reset_all()
    world.run(0.1)
    assert {tuple(tape.events) for tape in tapes} == {("made", ("lost", "ConnectionResetError"))}


def test_what_was_said_first_on_a_connection_is_recorded():
    world = World()
    caller, called = world.call()
    called.transport.write(b"answer")
    written = b""
    for n in range(200):
        written += bytes([n]) * 10
        caller.transport.write(bytes([n]) * 10)
        world.run(0.01)
    recorded = world.net.recordings[PORT]
    assert len(recorded) > 1000
    assert written.startswith(recorded)
    assert world.net.recordings.keys() == {PORT}


@pytest.mark.parametrize("what", ["cut", "slow", "narrow", "late", "loss", "damage"])
def test_in_the_end_all_links_are_whole(what: str):
    world = World()
    caller, called = world.call()
    assert world.net.is_whole
    if what == "cut":
        world.net.cut("c", "s")
    elif what == "slow":
        world.net.slow("c", "s", 100.0)
    elif what == "narrow":
        world.net.narrow("c", "s", 1.0)
    elif what == "late":
        world.net.hold_back("c", "s")
    elif what == "loss":
        world.net.loss = world.net.loss_reset = 1.0
    else:
        world.net.damage("c", "s", Random(1))
    assert not world.net.is_whole
    world.net.heal_all()
    assert world.net.is_whole
    caller.transport.write(b"hello")
    world.run(0.05)
    assert called.data == b"hello"
