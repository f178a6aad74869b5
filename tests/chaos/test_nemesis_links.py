"""The link proxy on loopback: what passes, what is held, slowed and broken, and who it hits."""

from __future__ import annotations

import contextlib
import errno
import signal
import socket
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.nemesis.links import Links, LinksFailed
from chaos.nemesis.proxy import HOST, Rule
from cluster.places import is_free
from cluster.processes import birth
from raftcoord.consensus.handshake import Hello

SOON = 10.0
QUIET = 0.25


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server((HOST, 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


class Ends:
    """Both ends of a connection through the proxy, its hello said."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.near, self.far = near, far

    def close(self) -> None:
        self.near.close()
        self.far.close()


class World:
    """Listening members behind a proxy."""

    def __init__(self, folder: Path) -> None:
        ports = free_ports(6)
        self.ports = {f"n{i + 1}": (ports[2 * i], ports[2 * i + 1]) for i in range(3)}
        self.listeners = {
            node: socket.create_server((HOST, inner)) for node, (_, inner) in self.ports.items()
        }
        for listener in self.listeners.values():
            listener.settimeout(SOON)
        self.links = Links(self.ports, folder / "links.log", "seed")
        self.links.start()
        self.open: list[socket.socket] = []

    def call(self, source: str, target: str) -> socket.socket:
        """Dial and say who calls; nobody has to answer."""
        near = socket.create_connection((HOST, self.ports[target][0]), SOON)
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        near.sendall(Hello("c", source, target, 1, 1, b"0" * 16).pack())
        self.open.append(near)
        return near

    def connect(self, source: str, target: str) -> Ends:
        near = self.call(source, target)
        far = self.listeners[target].accept()[0]
        far.settimeout(SOON)
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.open.append(far)
        hello = read(far, len(Hello("c", source, target, 1, 1, b"").pack()))
        assert Hello.unpack(hello).node == source
        return Ends(near, far)

    def close(self) -> None:
        self.links.stop()
        for one in [*self.open, *self.listeners.values()]:
            one.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("links"))
    yield made
    made.close()


@pytest.fixture
def world(shared: World) -> Iterator[World]:
    """The proxy without a rule and without a connection, in the end too."""
    yield shared
    for who in ("me", "slow", "cut"):
        shared.links.calm(who)
    for one in shared.open:
        one.close()
    shared.open.clear()


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[World]:
    """One that may be broken."""
    made = World(tmp_path)
    yield made
    made.close()


def read(end: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = end.recv(count - len(data))
        assert more, f"it ended after {len(data)} of {count} bytes"
        data += more
    return data


def hears_nothing(end: socket.socket) -> bool:
    end.settimeout(QUIET)
    try:
        return end.recv(1) is None
    except TimeoutError:
        return True
    finally:
        end.settimeout(SOON)


def is_reset(end: socket.socket) -> bool:
    try:
        while end.recv(1 << 16):
            pass
    except ConnectionResetError:
        return True
    return False


def test_all_passes_in_both_directions(world: World) -> None:
    before = world.links.counters()
    ends = world.connect("n1", "n2")
    ends.near.sendall(b"there")
    assert read(ends.far, 5) == b"there"
    ends.far.sendall(b"back")
    assert read(ends.near, 4) == b"back"
    after = world.links.counters()
    assert (after.connections, after.resets, after.hurt) == (
        before.connections + 1,
        before.resets,
        before.hurt,
    )


def test_a_member_that_does_not_read_makes_the_other_wait_and_nothing_is_lost(world: World) -> None:
    ends = world.connect("n1", "n2")
    ends.near.settimeout(0.3)
    sent = 0
    block = bytes(range(256)) * 256
    with contextlib.suppress(TimeoutError):
        while sent < 64 << 20:
            sent += ends.near.send(block[sent % 256 :])
    assert sent < 64 << 20, "the proxy takes whatever comes"
    got = read(ends.far, sent)
    assert got == (bytes(range(256)) * (sent // 256 + 1))[:sent]


def test_one_way_is_held_and_what_waits_arrives_late(world: World) -> None:
    ends = world.connect("n1", "n2")
    world.links.disturb("me", [Rule("n1", "n2", hold=True)])
    ends.near.sendall(b"one")
    ends.near.sendall(b"two")
    ends.far.sendall(b"back")
    assert read(ends.near, 4) == b"back"
    assert hears_nothing(ends.far)
    world.links.calm("me")
    assert read(ends.far, 6) == b"onetwo"


def test_a_rule_is_for_a_pair_whoever_called(world: World) -> None:
    called, other = world.connect("n2", "n1"), world.connect("n3", "n1")
    world.links.disturb("me", [Rule("n1", "n2", hold=True)])
    called.far.sendall(b"from n1 to n2")
    other.far.sendall(b"from n1 to n3")
    assert read(other.near, 13) == b"from n1 to n3"
    assert hears_nothing(called.near)


def test_an_end_is_not_told_while_it_is_held(world: World) -> None:
    ends = world.connect("n1", "n2")
    world.links.disturb("me", [Rule("n1", "n2", hold=True)])
    ends.near.sendall(b"last words")
    ends.near.close()
    assert hears_nothing(ends.far)
    world.links.calm("me")
    assert read(ends.far, 10) == b"last words"
    assert ends.far.recv(1) == b""


def test_a_call_is_answered_when_the_link_is_back(world: World) -> None:
    world.links.disturb("me", [Rule("n1", "n2", hold=True)])
    near = world.call("n1", "n2")
    world.listeners["n2"].settimeout(QUIET)
    with pytest.raises(TimeoutError):
        world.listeners["n2"].accept()
    world.listeners["n2"].settimeout(SOON)
    world.links.calm("me")
    far = world.listeners["n2"].accept()[0]
    far.sendall(b"hello")
    assert read(near, 5) == b"hello"
    far.close()


def test_what_is_slow_takes_that_long_and_keeps_its_order(world: World) -> None:
    ends = world.connect("n1", "n2")
    world.links.disturb("me", [Rule("n1", "n2", delay=0.2, jitter=0.1)])
    began = time.monotonic()
    for number in range(20):
        ends.near.sendall(bytes([number]))
        time.sleep(0.005)  # a piece each, not one of all
    assert read(ends.far, 20) == bytes(range(20))
    assert time.monotonic() - began >= 0.3
    ends.far.sendall(b"x")
    began = time.monotonic()
    read(ends.near, 1)
    assert time.monotonic() - began < 0.15
    world.links.calm("me")
    began = time.monotonic()
    ends.near.sendall(b"y")
    read(ends.far, 1)
    assert time.monotonic() - began < 0.15


def test_disturbances_add_up_and_are_taken_back_one_by_one(world: World) -> None:
    ends = world.connect("n1", "n2")
    world.links.disturb("slow", [Rule("n1", "n2", delay=0.2)])
    world.links.disturb("cut", [Rule("n1", "n2", hold=True)])
    began = time.monotonic()
    ends.near.sendall(b"x")
    assert hears_nothing(ends.far)
    world.links.calm("cut")
    assert read(ends.far, 1) == b"x"
    for who, least in (("me", 0.39), (None, 0.19)):
        if who is not None:
            world.links.disturb(who, [Rule("n1", "n2", delay=0.2)])
        else:
            world.links.calm("me")
        ends.near.sendall(b"y")
        began = time.monotonic()
        assert read(ends.far, 1) == b"y"
        assert least <= time.monotonic() - began < least + 0.2


def test_what_is_lost_comes_after_the_time_of_a_retransmission(world: World) -> None:
    ends = world.connect("n1", "n2")
    world.links.disturb("me", [Rule("n1", "n2", loss=0.3)])
    times: list[float] = []
    for number in range(40):
        if any(taken < 0.1 for taken in times) and any(taken >= 0.2 for taken in times):
            return
        began = time.monotonic()
        ends.near.sendall(bytes([number]))
        assert read(ends.far, 1) == bytes([number])
        times.append(time.monotonic() - began)
    raise AssertionError(f"all or none were lost: {times}")


def test_a_connection_is_reset_for_both(world: World) -> None:
    hit, spared = world.connect("n1", "n2"), world.connect("n3", "n2")
    before = world.links.counters().resets
    world.links.reset([("n2", "n1")])
    assert is_reset(hit.near)
    assert is_reset(hit.far)
    spared.near.sendall(b"x")
    assert read(spared.far, 1) == b"x"
    assert world.links.counters().resets == before + 1


def test_pieces_can_break_a_connection(world: World) -> None:
    ends = world.connect("n1", "n2")
    world.links.disturb("me", [Rule("n1", "n2", reset=1.0)])
    ends.near.sendall(b"x")
    assert is_reset(ends.near)
    assert is_reset(ends.far)


def test_a_storm_goes_on_until_it_is_over(world: World) -> None:
    world.links.disturb("me", [Rule("n1", "n2", storm=0.05)])
    for _ in range(3):
        ends = world.connect("n1", "n2")
        assert is_reset(ends.near)
    world.links.calm("me")
    ends = world.connect("n1", "n2")
    assert hears_nothing(ends.far)
    ends.near.sendall(b"x")
    assert read(ends.far, 1) == b"x"


def test_a_call_to_a_dead_member_ends(alone: World) -> None:
    alone.listeners["n2"].close()
    near = alone.call("n1", "n2")
    with contextlib.suppress(ConnectionResetError):
        assert near.recv(1) == b""


def test_who_does_not_say_who_calls_is_refused(world: World) -> None:
    near = socket.create_connection((HOST, world.ports["n1"][0]), SOON)
    world.open.append(near)
    near.sendall(b"GET / HTTP/1.1\r\n" + b"x" * 300)
    with contextlib.suppress(ConnectionResetError):
        assert near.recv(1) == b""


def test_it_ends_with_its_runner_and_frees_its_ports(alone: World) -> None:
    process = alone.links._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()  # as the end of the runner does
    assert process.wait(SOON) == 0
    assert all(is_free(port) for port, _ in alone.ports.values())
    assert birth(process.pid) is None


def test_a_proxy_that_is_gone_is_no_fault_of_the_cluster(alone: World) -> None:
    process = alone.links._process
    assert process is not None
    process.send_signal(signal.SIGKILL)
    process.wait(SOON)
    with pytest.raises(LinksFailed):
        alone.links.disturb("me", [])


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    ports = free_ports(2)
    with socket.create_server((HOST, ports[0])):
        links = Links({"n1": (ports[0], ports[1])}, tmp_path / "links.log")
        with pytest.raises(LinksFailed, match=str(errno.EADDRINUSE)):
            links.start()
        links.stop()


def test_it_costs_little(world: World) -> None:
    def round_trips(near: socket.socket, far: socket.socket) -> float:
        times = []
        for _ in range(300):
            began = time.perf_counter()
            near.sendall(b"x" * 200)
            read(far, 200)
            far.sendall(b"y")
            read(near, 1)
            times.append(time.perf_counter() - began)
        return statistics.median(times)

    ends = world.connect("n1", "n2")
    through = round_trips(ends.near, ends.far)
    near = socket.create_connection((HOST, world.ports["n2"][1]), SOON)
    near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    far = world.listeners["n2"].accept()[0]
    far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    straight = round_trips(near, far)
    near.close()
    far.close()
    print(f"a round trip: {straight * 1e6:.0f} µs straight, {through * 1e6:.0f} µs through it")
    assert through - straight < 0.005
