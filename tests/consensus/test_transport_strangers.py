"""Strangers on the peer port, and members that misbehave: dropped, counted, and cheap."""

import asyncio
import os
import pickle
import socket
import struct
import tracemalloc
from typing import Any

import pytest

from raftcoord.consensus.frames import BODY_LIMIT, HEADER, check
from raftcoord.consensus.handshake import BOUND, Acceptor, Dialer, Hello, Identity
from raftcoord.consensus.transport import PeerAddress
from tests.consensus.peers_world import HOST, SECRET, Caller, World, frame, on_each_loop, rogue

HELLO = Hello("blue", "n9", "n1", 1, 1, bytes(16)).pack()

FIRST_WORDS = {
    "random bytes": (bytes((37 * n + 11) % 256 for n in range(4000)), "magic"),
    "a request": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "magic"),
    "a pickle": (struct.pack("i", 60) + pickle.dumps(["status"] * 10), "magic"),
    "a huge length": (b"\xff\xff\xff\xff" * 4, "magic"),
    "zeros": (bytes(100_000), "magic"),
    "a frame": (frame({"type": "vote"}), "magic"),
    "a later version": (HELLO[:9] + bytes([HELLO[9] + 1]) + HELLO[10:], "version"),
    "a name with rubbish behind it": (HELLO[:30] + b"\x01" + HELLO[31:], "malformed"),
}


@pytest.mark.parametrize("words", FIRST_WORDS)
@on_each_loop
async def test_what_is_no_hello(world: World, words: str):
    peer = await world.peer("n1")
    data, reason = FIRST_WORDS[words]
    caller = await Caller.call(peer, data)
    assert await caller.closed() == b""
    assert peer.refused() == {reason: 1}
    assert peer.told == []


CALLERS: dict[str, tuple[Identity, str, bytes, str]] = {
    "another cluster's node": (Identity("red", "n9", 1, 1), "n1", SECRET, "cluster"),
    "another cluster's secret": (Identity("blue", "n9", 1, 1), "n1", b"wrong", "secret"),
    "one who means another": (Identity("blue", "n9", 1, 1), "n2", SECRET, "target"),
    "one of the same id": (Identity("blue", "n1", 1, 1), "n1", SECRET, "self"),
}


@pytest.mark.parametrize("who", CALLERS)
@on_each_loop
async def test_callers_that_are_none_of_ours(world: World, who: str):
    """They learn nothing but a random number."""
    peer = await world.peer("n1")
    identity, target, secret, reason = CALLERS[who]
    dialer = Dialer(identity, secret, os.urandom, target)
    caller = await Caller.call(peer, dialer.open())
    caller.writer.write(dialer.receive(await caller.read(dialer.want)))
    assert await caller.closed() == b""
    assert peer.refused() == {reason: 1}
    assert peer.told == []


@on_each_loop
async def test_a_node_that_calls_itself(world: World):
    peer = await world.peer("n1")
    peer.net.add_peer("n2", peer.address)
    await world.until(lambda: bool(peer.refused()))
    assert set(peer.refused()) == {"self"}
    assert peer.told == []


@on_each_loop
async def test_a_node_that_finds_a_rogue_at_a_members_address(world: World):
    """The rogue does not know the secret: the caller says who it is, and believes nothing."""
    believed: list[object] = []

    async def guess(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        acceptor = Acceptor(Identity("blue", "n2", 1, 1), b"guessed", os.urandom)
        acceptor.receive(await reader.readexactly(acceptor.want))
        writer.write(acceptor.receive(await reader.readexactly(acceptor.want)))
        await reader.readexactly(acceptor.want)
        writer.write(Hello("blue", "n2", "n1", 1, 1, acceptor._nonce).pack() + bytes(32))
        believed.append(await reader.read())

    async with rogue(world, guess) as address:
        peer = await world.peer("n1")
        peer.net.add_peer("n2", address)
        await world.until(lambda: bool(believed))
    assert believed[0] == b""
    assert peer.refused()["secret"] >= 1
    assert peer.told == []


@on_each_loop
async def test_words_that_were_recorded_are_worth_nothing(world: World):
    peer = await world.peer("n1")
    said: list[bytes] = []
    caller = await Caller.member(peer, heard=said.append)
    await world.until(lambda: peer.told == [("linked", "n9")])
    again = await Caller.call(peer, b"".join(said))
    assert len(await again.closed()) == 24
    assert peer.refused() == {"secret": 1}
    caller.writer.close()


@on_each_loop
async def test_words_that_are_sent_back_are_worth_nothing(world: World):
    """The mirror answers n1 with its own bytes; as a caller and as one who is called."""

    async def mirror(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            writer.write(data)

    async with rogue(world, mirror) as address:
        peer = await world.peer("n1")
        peer.net.add_peer("n2", address)
        await world.until(lambda: "magic" in peer.refused())
    assert peer.told == []


@pytest.mark.parametrize("said", [0, 1, 10, len(HELLO) - 1, len(HELLO), len(HELLO) + 31])
@on_each_loop
async def test_a_handshake_that_stalls_ends(world: World, said: int):
    peer = await world.peer("n1", handshake_timeout=0.05)
    caller = await Caller.call(peer, (HELLO + bytes(32))[:said])
    await caller.closed()
    assert peer.refused() == {"timeout": 1}


@on_each_loop
async def test_a_member_that_takes_the_call_and_says_nothing_is_called_again(world: World):
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with rogue(world, silent) as address:
        peer = await world.peer("n1", handshake_timeout=0.05)
        peer.net.add_peer("n2", address)
        await world.until(lambda: peer.net.counters["calls"] > 2)
    assert peer.refused()["timeout"] >= 2


@pytest.mark.parametrize("said", [0, 5, len(HELLO)])
@on_each_loop
async def test_a_socket_that_is_half_closed_ends(world: World, said: int):
    peer = await world.peer("n1")
    caller = await Caller.call(peer, HELLO[:said])
    caller.writer.write_eof()
    await caller.closed()
    assert peer.refused() == {"closed": 1}


@on_each_loop
async def test_more_callers_than_may_be_in_their_handshake(world: World):
    peer = await world.peer("n1", handshakes=64)
    callers = [await Caller.call(peer, HELLO) for _ in range(64)]
    for caller in callers:
        await caller.read(24)  # each is in its handshake now
    one_more = await Caller.call(peer)
    assert await one_more.closed() == b""
    assert peer.refused() == {"full": 1}
    callers[0].writer.write(bytes(32))
    await callers[0].closed()
    member = await Caller.member(peer)
    await world.until(lambda: peer.told == [("linked", "n9")])
    for caller in [*callers, member]:
        caller.writer.close()


@on_each_loop
async def test_strangers_do_not_keep_this_node_from_calling(world: World):
    peer, other = await world.peer("n1", handshakes=1), await world.peer("n2")
    caller = await Caller.call(peer, HELLO)
    await caller.read(24)
    peer.knows(other)
    await world.until(lambda: "n2" in peer.net.connected)
    caller.writer.close()


@on_each_loop
async def test_a_stranger_has_one_small_buffer(world: World):
    """Sixty-four of them, each with a megabyte to say behind a hello that leads nowhere."""
    peer = await world.peer("n1")
    sockets = [socket.create_connection((HOST, peer.net.port)) for _ in range(64)]
    words = HELLO + bytes(20) + b"x" * (1 << 20)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for sock in sockets:
            sock.setblocking(False)
            sock.send(words)
        loop = asyncio.get_running_loop()
        for sock in sockets:
            async with asyncio.timeout(10):
                try:
                    assert len(await loop.sock_recv(sock, 24)) == 24
                except ConnectionResetError:
                    continue  # its wrong proof was read meanwhile
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
        for sock in sockets:
            sock.close()
    assert peak < 64 * (BOUND + 8192)


BROKEN: dict[str, tuple[bytes, str]] = {
    "no length": (bytes(8), "length"),
    "a huge length": (HEADER.pack(2**32 - 1, check(2**32 - 1), 0) + bytes(1000), "length"),
    "a length just beyond": (HEADER.pack(BODY_LIMIT + 1, check(BODY_LIMIT + 1), 0), "length"),
    "a wrong checksum": (frame({"n": 1})[:-1] + b"\x02", "checksum"),
    "a pickle": (pickle.dumps({"a": 1}, 4) * 10, "length"),
    "no messages": (frame(), "body"),
    "no message": (frame(1), "body"),
    "keys that are numbers": (frame({1: 1}), "body"),
}


@pytest.mark.parametrize("what", BROKEN)
@on_each_loop
async def test_a_member_that_sends_what_is_no_frame(world: World, what: str):
    """What came before is delivered, what comes behind is not."""
    peer = await world.peer("n1")
    caller = await Caller.member(peer)
    data, reason = BROKEN[what]
    caller.writer.write(frame({"before": 1}) + data + frame({"behind": 1}))
    await caller.closed()
    assert peer.told == [("linked", "n9"), ("n9", {"before": 1}), ("lost", "n9")]
    assert peer.net.counters[f"broken_{reason}"] == 1


@on_each_loop
async def test_frames_that_arrive_byte_by_byte(world: World):
    peer = await world.peer("n1")
    caller = await Caller.member(peer)
    data = frame({"n": 1}) + frame({"n": 2}, {"n": 3})
    link = peer.net.connection("n9")
    await world.until(lambda: peer.net.connection("n9") is not None)
    link = peer.net.connection("n9")
    assert link is not None
    for byte in data:
        link.get_buffer(-1)[:1] = bytes([byte])
        link.buffer_updated(1)
    assert peer.heard("n9") == [{"n": 1}, {"n": 2}, {"n": 3}]
    caller.writer.close()


@on_each_loop
async def test_a_flood_of_strangers_is_one_line_in_the_log(world: World, caplog: Any):
    peer = await world.peer("n1")
    with caplog.at_level("WARNING"):
        for _ in range(20):
            await (await Caller.call(peer, bytes(10))).closed()
    assert peer.refused() == {"magic": 20}
    assert [record.getMessage() for record in caplog.records] == [
        "peers: a caller was refused: magic"
    ]


@on_each_loop
async def test_an_address_that_is_none_is_only_called_in_vain(world: World):
    peer, other = await world.peer("n1"), await world.peer("n3")
    peer.net.add_peer("n2", PeerAddress("a" * 70 + ".invalid", 99_999))
    peer.knows(other)
    await world.until(lambda: "n3" in peer.net.connected)
    await world.until(lambda: peer.net.counters["calls"] >= 3)
