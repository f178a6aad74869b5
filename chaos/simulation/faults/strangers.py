"""Bytes that nobody of the cluster meant: from strangers, from old connections, from bad cables."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import Callable, Iterator
from random import Random

from chaos.simulation.faults.act import Act, Catalogue
from raftcoord.consensus.handshake import Hello, Identity

FAULTS = Catalogue()

HOST = "stranger"
"""The host from which garbage comes."""

_Pieces = Iterator[bytes]


class Stranger(asyncio.Protocol):
    """Writes its pieces, one at a time, whatever it hears.

    Args:
        pause: seconds between two pieces, at most.
        stays: whether the connection is left open afterwards.
    """

    def __init__(self, rng: Random, pieces: _Pieces, *, pause: float, stays: bool) -> None:
        self._rng = rng
        self._pieces = pieces
        self._pause = pause
        self._stays = stays
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._write()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def _write(self) -> None:
        if self._transport is None:
            return
        piece = next(self._pieces, None)
        if piece is not None:
            self._transport.write(piece)
            wait = self._pause * self._rng.random()
            asyncio.get_running_loop().call_later(wait, self._write)
        elif not self._stays:
            self._transport.close()


def _cut(rng: Random, data: bytes) -> _Pieces:
    """The bytes in pieces of random sizes, perhaps not all of them."""
    if rng.random() < 0.3:
        data = data[: rng.randrange(len(data) + 1)]
    while data:
        size = rng.randint(1, len(data))
        yield data[:size]
        data = data[size:]


def _noise(act: Act, target: str, port: int) -> bytes:
    return act.rng.randbytes(act.rng.choice((1, 30, 300, 3000)))


def _hello(act: Act, target: str, port: int) -> bytes:
    """As a member says it, but the proof is noise: a stranger does not know the secret."""
    node = act.world.hosts[target].node
    cluster = "another" if node is None or act.rng.random() < 0.2 else node.settings.cluster
    name = act.rng.choice((*sorted(act.world.hosts), HOST))
    me = Identity(cluster, name, act.rng.randrange(3), act.rng.randrange(9))
    hello = bytearray(Hello.of(me, target, act.rng.randbytes(16)).pack())
    if act.rng.random() < 0.3:
        hello[act.rng.randrange(len(hello))] ^= 1 << act.rng.randrange(8)
    return bytes(hello) + act.rng.randbytes(32) + _frames(act, target, port)


def _frames(act: Act, target: str, port: int) -> bytes:
    """Frames as far as their heads tell."""
    data = b""
    for _ in range(act.rng.randint(1, 4)):
        body = act.rng.randbytes(act.rng.randint(1, 200))
        length = act.rng.choice((len(body), len(body), len(body) + 7, 0, 1 << 22, 0xFFFFFFFF))
        data += struct.pack("!II", length, zlib.crc32(body)) + body
    return data


def _replay(act: Act, target: str, port: int) -> bytes:
    """What somebody sent there on a connection, handshake and all."""
    return act.world.loop.net.recordings.get(port, b"") or _noise(act, target, port)


def _silence(act: Act, target: str, port: int) -> bytes:
    return b""


_KINDS: dict[str, Callable[[Act, str, int], bytes]] = {
    "noise": _noise,
    "a hello": _hello,
    "frames": _frames,
    "a replay": _replay,
    "silence": _silence,
}


@FAULTS.of(3)
def garbage(act: Act) -> bool:
    """A stranger calls a member, once or many times, and sends what is none of the protocol."""
    world, rng, target = act.world, act.rng, act.member()
    peer, http = world.hosts[target].addresses
    port = int((http if rng.random() < 0.15 else peer).rpartition(":")[2])
    kind = rng.choice(sorted(_KINDS))
    calls, seconds = rng.choice((1, 1, 5, 100)), rng.uniform(0.5, 5.0)
    with world.loop.host(HOST):
        for _ in range(calls):
            data = _KINDS[kind](act, target, port)
            pieces = _cut(Random(rng.random()), data)
            stays, pause = rng.random() < 0.5, rng.choice((0.0, 0.01, 0.5))
            stranger = Stranger(Random(rng.random()), pieces, pause=pause, stays=stays)
            world.loop.create_task(_call(stranger, port))
    act.note(f"{target}, port {port}, {calls} times {kind}, for {seconds:.2f} s")
    act.until(seconds, world.loop.kill, HOST)
    return True


async def _call(stranger: Stranger, port: int) -> None:
    try:
        await asyncio.get_running_loop().create_connection(lambda: stranger, "127.0.0.1", port)
    except OSError:
        return  # nobody is there to be bothered


@FAULTS.of(2)
def damaged_segment(act: Act) -> bool:
    """A bit flips on the way between two members, and TCP's weak checksum does not see it."""
    a, b = act.two()
    net, leader = act.world.loop.net, act.world.leader()
    if leader is not None and leader not in (a, b) and act.rng.random() < 0.8:
        b = leader  # followers have little to say to each other
    if not net.connections(a, b):
        return False
    net.damage(a, b, Random(act.rng.random()))
    act.note(f"{a} > {b}")
    act.until(3.0, net.spare, a, b)
    return True


@FAULTS.of(4)
def late_bytes(act: Act) -> bool:
    """Bytes of a connection that its sender has given up come when a newer one is there.

    The sender closed it, or died; the receiver was not told, and has its end of it open yet.
    """
    world, rng = act.world, act.rng
    a, b = act.two()
    net = world.loop.net
    ends = net.hold_back(a, b)
    if not ends:
        return False
    gathering, late = rng.uniform(0.01, 0.6), rng.uniform(0.0, 1.5)
    dies, stands_still = rng.random() < 0.3, rng.random() < 0.3
    act.note(f"{a} > {b}, {late:.2f} s late" + (", from a former life" if dies else ""))

    def give_up() -> None:
        if dies:
            world.kill(a)
            act.until(rng.uniform(0.01, 0.2), world.start_again, a)
        for end in ends:
            net.forsake(end)
        if stands_still and b in world.alive():
            # Old and new bytes are both there when it goes on.
            life = world.hosts[b].life
            world.pause(b)
            act.until(late + 0.1, go_on, life)

    def go_on(life: int) -> None:
        if world.hosts[b].life == life:
            world.resume(b)

    def arrive() -> None:
        for end in ends:
            net.let_go(end)

    act.after(gathering, give_up)
    act.until(gathering + late, arrive)
    return True
