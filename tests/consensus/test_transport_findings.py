"""Findings 3, 19 and 20 (docs/consensus.md): the fault on the library's own, its absence here.

The library is driven unmodified, over loopback where its sockets matter.
"""

import pickle
import socket
import struct
import time
import zlib
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from pysyncobj import SyncObj, SyncObjConf
from pysyncobj.node import Node
from pysyncobj.transport import Transport

from raftcoord.consensus.frames import HEADER
from tests.consensus.peers_world import BOUND, HOST, Caller, World, frame, on_each_loop

RAN: list[str] = []


def run_by_a_stranger() -> str:
    """What a pickle from the wire calls; harmless."""
    RAN.append("code")
    return "n9"


class Payload:
    """Unpickled, it calls `run_by_a_stranger`."""

    def __reduce__(self) -> Any:
        return run_by_a_stranger, ()


def stock_frame(message: object) -> bytes:
    """A frame as the library writes it."""
    data = zlib.compress(pickle.dumps(message, 2))
    return struct.pack("i", len(data)) + data


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, ascending as text, as the library compares addresses."""
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return sorted(ports, key=str)


class Stock:
    """A node of the unmodified library with its TCP transport; the peer is to call it."""

    def __init__(self) -> None:
        self.port, other = free_ports(2)
        self.peer = f"{HOST}:{other}"
        me = f"{HOST}:{self.port}"
        self.node = SyncObj(me, [self.peer], SyncObjConf(autoTick=False, bindAddress=me))
        self.got: list[Any] = []
        transport = self.node._SyncObj__transport
        transport.setOnMessageReceivedCallback(lambda node, message: self.got.append(message))
        self.transport = transport

    def close(self) -> None:
        self.node.destroy()

    def call(self, data: bytes) -> socket.socket:
        """Connect, write, and let the node read."""
        self.until(lambda: self.transport.ready)
        sock = socket.create_connection((HOST, self.port))
        sock.sendall(data)
        return sock

    def until(self, condition: Callable[[], bool]) -> None:
        """Give the node turns until the condition holds."""
        deadline = time.monotonic() + BOUND
        while not condition():
            assert time.monotonic() < deadline
            self.node.doTick(0.01)


def test_finding_3_stock_still_hears_the_old_connection():
    with closing(Stock()) as stock:
        old = stock.call(stock_frame(stock.peer))
        stock.until(lambda: len(stock.transport._connections) == 1)
        first = next(iter(stock.transport._connections.values()))
        new = stock.call(stock_frame(stock.peer))
        stock.until(lambda: next(iter(stock.transport._connections.values())) is not first)
        old.sendall(stock_frame({"type": "late"}))
        stock.until(lambda: len(stock.got) > 0)
        assert stock.got == [{"type": "late"}]
        old.close()
        new.close()


@on_each_loop
async def test_finding_3_a_newer_connection_silences_the_older(world: World):
    peer = await world.peer("n1")
    old = await Caller.member(peer, "n9", boot=1)
    await world.until(lambda: peer.told == [("linked", "n9")])
    old_link = peer.net.connection("n9")
    assert old_link is not None
    new = await Caller.member(peer, "n9", boot=2)
    await world.until(lambda: len(peer.told) == 3)
    # Over the socket, and as if the loop had read it already before it learned of the new one.
    old.writer.write(frame({"type": "late"}))
    late = frame({"type": "late"})
    old_link.get_buffer(-1)[: len(late)] = late
    old_link.buffer_updated(len(late))
    await old.closed()
    new.writer.write(frame({"type": "new"}))
    await world.until(lambda: len(peer.heard("n9")) > 0)
    new_link = peer.net.connection("n9")
    assert new_link is not None
    assert new_link.boot == 2
    assert peer.told == [
        *[("linked", "n9"), ("lost", "n9"), ("linked", "n9")],
        ("n9", {"type": "new"}),
    ]
    assert peer.say("n9", {"type": "answer"})
    size, _, _ = HEADER.unpack(await new.read(HEADER.size))
    assert b"answer" in await new.read(size)
    new.writer.close()


@on_each_loop
async def test_finding_3_what_was_gathered_for_the_old_connection_is_not_sent_on_the_new(
    world: World,
):
    peer = await world.peer("n1")
    await Caller.member(peer, "n9", boot=1)
    await world.until(lambda: "n9" in peer.net.connected)
    link = peer.net.connection("n9")
    assert link is not None
    assert peer.net.send(link.node, {"type": "old"})
    new = await Caller.member(peer, "n9", boot=2)
    await world.until(lambda: len(peer.told) == 3)
    peer.net.flush()
    peer.say("n9", {"type": "fresh"})
    size, _, _ = HEADER.unpack(await new.read(HEADER.size))
    assert b"fresh" in await new.read(size)
    new.writer.close()


def test_finding_19_stock_runs_code_of_a_stranger():
    RAN.clear()
    with closing(Stock()) as stock, stock.call(stock_frame(Payload())):
        stock.until(lambda: len(RAN) > 0)
    assert RAN == ["code"]


def test_finding_19_stock_answers_anybodys_admin_command():
    with closing(Stock()) as stock, stock.call(stock_frame(["status"])) as caller:
        caller.setblocking(False)
        answers: list[bytes] = []

        def answered() -> bool:
            try:
                answers.append(caller.recv(1 << 16))
            except BlockingIOError:
                return False
            return True

        stock.until(answered)
        assert len(answers[0]) > 100


def test_finding_19_stock_takes_megabytes_of_a_stranger_before_it_looks():
    with closing(Stock()) as stock, stock.call(struct.pack("i", 2**31 - 1)) as caller:
        caller.setblocking(False)
        sent = 0

        def much() -> bool:
            nonlocal sent
            try:
                sent += caller.send(b"x" * (1 << 16))
            except BlockingIOError:
                return False
            return sent > 8 << 20

        stock.until(much)


@pytest.mark.parametrize("words", [Payload(), ["status"], ["remove", "n1"]])
@on_each_loop
async def test_finding_19_a_pickle_is_not_even_read(world: World, words: object):
    """From a stranger, and from a member behind a good handshake."""
    RAN.clear()
    peer = await world.peer("n1")
    stranger = await Caller.call(peer, stock_frame(words))
    assert await stranger.closed() == b""
    assert sum(peer.refused().values()) == 1
    assert peer.told == []
    member = await Caller.member(peer)
    pickled = pickle.dumps(words, 2)
    member.writer.write(struct.pack("!II", len(pickled), zlib.crc32(pickled)) + pickled)
    await member.closed()
    assert peer.told == [("linked", "n9"), ("lost", "n9")]
    assert RAN == []


class Memory(Transport):
    """Keeps what the library sends."""

    def __init__(self) -> None:
        super().__init__(None, None, [])
        self.sent: list[Any] = []

    def send(self, node: Node, message: Any) -> bool:
        self.sent.append(message)
        return True


def appends_of(size: int) -> list[Any]:
    """What an unmodified leader sends for one entry of so many bytes in batches of 100."""
    transport = Memory()
    conf = SyncObjConf(autoTick=False, appendEntriesBatchSizeBytes=100)
    leader = SyncObj(Node("a"), [Node("b")], conf, transport=transport)
    transport._onNodeConnected(Node("b"))
    leader._SyncObj__onBecomeLeader()
    transport.sent.clear()
    leader._SyncObj__raftLog.add(b"\1" + bytes(size), 3, leader._SyncObj__raftCurrentTerm)
    leader._SyncObj__raftNextIndex[Node("b")] = 3
    leader._SyncObj__sendAppendEntries()
    leader.destroy()
    return transport.sent


def test_finding_20_stock_cuts_one_entry_by_the_wrong_length():
    """For some sizes two parts say that they are the last."""
    last_parts = {
        size: [message.get("transmission") for message in appends_of(size)].count("finish")
        for size in range(190, 330, 5)
    }
    assert 2 in last_parts.values()


@on_each_loop
async def test_finding_20_an_entry_of_any_size_arrives_whole(world: World):
    first, second = await world.peer("n1"), await world.peer("n2")
    second.knows(first)
    await world.until(lambda: "n2" in first.net.connected)
    sizes = [*range(330), *(2**n + d for n in range(9, 22) for d in (-9, -1, 0, 1))]
    wanted = [{"entries": [[1, bytes([size % 256]) * size]]} for size in sizes]
    for message in wanted:
        assert first.say("n2", message)
        await world.until(lambda: second.told[-1:] == [("n1", message)])  # noqa: B023
    assert second.heard("n1") == wanted
