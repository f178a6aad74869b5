"""Strangers that speak the protocol: all of it but the proof, which takes the cluster's secret."""

from __future__ import annotations

import asyncio
import hmac
from random import Random
from typing import Any

from chaos.simulation.faults.act import Act, Catalogue
from chaos.simulation.faults.strangers import HOST
from raftcoord.consensus import messages as msg
from raftcoord.consensus.core import REGULAR
from raftcoord.consensus.frames import FrameWriter
from raftcoord.consensus.handshake import Hello, Identity

FAULTS = Catalogue()

_LEAPS = (0, 1, 1_000_000)
"""By how many terms a stranger claims to be ahead."""
_CHALLENGE = 24
"""Bytes of what the called side answers a hello with."""


class Intruder(asyncio.Protocol):
    """Says hello as a member, hears the challenge, and goes on without knowing the secret.

    Args:
        hello: as the member would say it.
        then: what it sends as its proof and behind it, when it heard the challenge.
    """

    def __init__(self, rng: Random, hello: bytes, then: bytes) -> None:
        self._rng = rng
        self._hello = hello
        self._then = then
        self._heard = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        waits = len(self._heard) < _CHALLENGE
        self._heard += data
        if self._transport is None or not waits or len(self._heard) < _CHALLENGE:
            return
        said = self._hello + self._heard[:_CHALLENGE]
        self._transport.write(self._proof(said))
        asyncio.get_running_loop().call_later(self._rng.choice((0.0, 0.01)), self._go_on)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def _go_on(self) -> None:
        if self._transport is not None:
            self._transport.write(self._then)

    def _proof(self, said: bytes) -> bytes:
        """Noise, nothing, or the proof of one who guessed the secret, or took the other role."""
        guess = self._rng.choice((b"", b"secret", b"known to all"))
        return self._rng.choice(
            (
                self._rng.randbytes(32),
                bytes(32),
                hmac.digest(guess, b"dialer" + said, "sha256"),
                hmac.digest(guess, b"acceptor" + said, "sha256"),
            )
        )


@FAULTS.of(2)
def intruder(act: Act) -> bool:
    """A stranger calls a member as another one, and says what would depose, elect or overwrite."""
    world, rng = act.world, act.rng
    name, target = act.two()
    known, node = world.hosts[name].node, world.hosts[target].node
    if node is None:
        return False
    port = int(world.hosts[target].addresses[0].rpartition(":")[2])
    incarnation, boot = (0, 1) if known is None else (known.incarnation, known.raft.log.boot)
    me = Identity(node.settings.cluster, name, incarnation, boot + rng.randrange(2))
    term = node.raft.term + rng.choice(_LEAPS)
    calls, seconds = rng.choice((1, 3, 10)), rng.uniform(0.5, 3.0)
    with world.loop.host(HOST):
        for _ in range(calls):
            hello = Hello.of(me, target, rng.randbytes(16)).pack()
            caller = Intruder(Random(rng.random()), hello, _frames(rng, term, node.raft))
            world.loop.create_task(_call(caller, port))
    act.note(f"{target}, {calls} times as {name}, of term {term}, for {seconds:.2f} s")
    act.until(seconds, world.loop.kill, HOST)
    return True


async def _call(caller: Intruder, port: int) -> None:
    try:
        await asyncio.get_running_loop().create_connection(lambda: caller, "127.0.0.1", port)
    except OSError:
        return  # nobody is there to be deceived


def _frames(rng: Random, term: int, raft: Any) -> bytes:
    """Some messages that a member of this term might send, in one frame."""
    last, commit = raft.last(), raft.commit
    entry = (term, REGULAR + bytes(8) + rng.randbytes(20))
    kinds: list[msg.Message] = [
        msg.VoteRequest(term=term, last_term=term, last_index=last.index + 1),
        msg.PreVoteRequest(
            term=term, next_term=term + 1, last_term=term, last_index=last.index + 1
        ),
        msg.Vote(term=term),
        msg.PreVote(term=term, next_term=term + 1, granted=True),
        msg.Append(
            term=term,
            round=1,
            commit=last.index + 1,
            prev_index=last.index,
            prev_term=last.term,
            entries=[entry],
        ),
        msg.Heartbeat(term=term, round=1, time=1 << 40),
        msg.Committed(term=term, commit=last.index),
        msg.AppendAnswer(
            term=term,
            round=1 << 40,
            ok=True,
            index=last.index,
            counts=True,
            full=False,
            digest=(commit, 0),
            carried=True,
        ),
        msg.TimeoutNow(term=term),
        msg.Diverged(term=term, index=commit),
    ]
    writer = FrameWriter()
    for message in rng.sample(kinds, rng.randint(1, len(kinds))):
        writer.add(message)
    return writer.take()
