"""What members say is read out of delivered bytes, however they are cut."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from chaos.explain.wire import Wire, asked
from chaos.simulation.ask import frame
from raftcoord.consensus import messages as m
from raftcoord.consensus.frames import FrameWriter
from raftcoord.consensus.handshake import Acceptor, Dialer, Identity


def framed(*messages: m.AnyMessage) -> bytes:
    writer = FrameWriter()
    for message in messages:
        writer.add(message)
    return writer.take()


def handshake(seed: int = 1) -> Iterator[tuple[str, str, bytes]]:
    """(from, to, bytes) of a handshake in which n1 calls n2, as its parts are read."""
    random = Random(seed)
    dialer = Dialer(Identity("c", "n1", 1, 1), b"s", random.randbytes, "n2")
    acceptor = Acceptor(Identity("c", "n2", 1, 1), b"s", random.randbytes)
    hello = dialer.open()
    for part in (hello[:10], hello[10:]):
        yield "n1", "n2", part
        challenge = acceptor.receive(part)
    yield "n2", "n1", challenge
    proof = dialer.receive(challenge)
    yield "n1", "n2", proof
    yield "n2", "n1", acceptor.receive(proof)


def test_messages_are_named_and_grouped() -> None:
    wire = Wire()
    for source, target, data in handshake():
        wire.take(0.1, source, target, 0.1, data)
    said = framed(
        m.Append(term=2, round=7, commit=3, prev_index=4, prev_term=1, entries=[(2, b"x")] * 3),
        m.Append(term=2, round=8, commit=3, prev_index=7, prev_term=2, entries=[]),
        m.VoteRequest(term=3, last_term=2, last_index=7),
        m.Forward(term=3, id=(1, 2), payload=b"abc", priority=False),
    )
    found = wire.take(0.5, "n1", "n2", 0.4, said)
    assert [(item.group, item.name) for item in found] == [
        ("append", "append 5-7"),
        ("heartbeat", "heartbeat"),
        ("vote", "vote-request 3"),
        ("forward", "forward"),
    ]
    assert found[0].words == (
        "term 2: entries 5 to 7 of term 2 behind (4, term 1); commit 3, round 7"
    )
    assert {(item.sent, item.at) for item in found} == {(0.4, 0.5)}


@pytest.mark.parametrize("seed", range(20))
def test_bytes_may_be_cut_anywhere(seed: int) -> None:
    random = Random(seed)
    wire = Wire()
    read: list[str] = []

    def deliver(source: str, target: str, data: bytes) -> None:
        while data:
            size = random.randrange(1, len(data) + 1) if random.random() < 0.5 else len(data)
            size = max(size, min(5, len(data)))
            read.extend(item.name for item in wire.take(1.0, source, target, 0.9, data[:size]))
            data = data[size:]

    for _ in range(3):
        for source, target, data in handshake(seed):
            deliver(source, target, data)
        for number in range(5):
            deliver("n1", "n2", framed(m.Vote(term=number)))
            deliver("n2", "n1", framed(m.Committed(term=1, commit=number)))
    kept = [name for name in read if name != "handshake"]
    assert kept == [name for n in range(5) for name in (f"vote {n}", "committed")] * 3


def test_a_message_leaves_with_its_first_byte_and_arrives_with_its_last() -> None:
    wire = Wire()
    for source, target, data in handshake():
        wire.take(0.0, source, target, 0.0, data)
    data = framed(m.Vote(term=1))
    assert wire.take(0.2, "n1", "n2", 0.1, data[:12]) == []
    (found,) = wire.take(0.4, "n1", "n2", 0.3, data[12:])
    assert (found.sent, found.at) == (0.1, 0.4)
    assert wire.take(0.6, "n1", "n2", 0.5, data[:12]) == []
    found, other = wire.take(0.8, "n1", "n2", 0.7, data[12:] + data)
    assert (found.sent, found.at, other.sent, other.at) == (0.5, 0.8, 0.7, 0.8)


def test_what_makes_no_sense_is_shown_as_bytes_and_breaks_nothing() -> None:
    wire = Wire()
    for source, target, data in handshake():
        wire.take(0.0, source, target, 0.0, data)
    good = framed(m.Vote(term=1))
    broken = good[:-1] + bytes([good[-1] ^ 1])
    shown = [wire.take(1.0, "n1", "n2", 1.0, data) for data in (b"\xff" * 40, broken, good)]
    assert [[item.name for item in found] for found in shown] == [["bytes"], ["bytes"], ["vote 1"]]
    (stranger,) = wire.take(1.0, "x", "n2", 1.0, b"GET / HTTP/1.1\r\n\r\n")
    assert stranger.name == "bytes"


def test_clients_are_read_below_http_and_in_http() -> None:
    pieces = [
        frame(("GET", "/v1/locks/a", b"")),
        frame((200, 7, b"{}")),
        b"PUT /v1/rings/r/members/m HTTP/1.1\r\nHost: x\r\n\r\n",
        b"HTTP/1.1 409 Conflict\r\n\r\n{}",
        frame(("POST", "/v1/sessions", b"x" * 50))[:30],
    ]
    found = [asked(1.0, "c1", "n1", 0.9, data) for data in pieces]
    assert [item and (item.name, item.words) for item in found] == [
        ("request", "GET /v1/locks/a"),
        ("answer", "200 at revision 7"),
        ("request", "PUT /v1/rings/r/members/m"),
        ("answer", "409 Conflict"),
        ("request", "the first 30 bytes"),
    ]
    assert asked(1.0, "c1", "n1", 0.9, b"the rest of something") is None
