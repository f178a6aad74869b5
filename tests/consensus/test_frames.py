"""Frames without a socket: what goes in comes out, whatever the cuts; what is none is named."""

import struct
import tracemalloc
import zlib
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftcoord.consensus.frames import (
    BODY_LIMIT,
    BUFFER,
    HEADER,
    MESSAGE_LIMIT,
    MESSAGES_LIMIT,
    BadFrame,
    FrameReader,
    FrameWriter,
)
from raftcoord.consensus.messages import AnyMessage, Append, Heartbeat

MESSAGES = [
    {"type": "append", "term": 7, "entries": [[7, b"\x00one"], [7, b"two\xff"]], "digest": None},
    {"type": "heartbeat", "term": 2**63, "round": -1, "ok": True},
    {"type": "name", "text": "Grüße", "data": b""},
]


def head(length: int, crc: int) -> bytes:
    return struct.pack("!III", length, zlib.crc32(struct.pack("!I", length)), crc)


def frame(body: bytes, *, length: int | None = None, crc: int | None = None) -> bytes:
    return (
        head(
            len(body) if length is None else length,
            zlib.crc32(body) if crc is None else crc,
        )
        + body
    )


def pack(*messages: object) -> bytes:
    writer = FrameWriter()
    assert all(writer.add(message) for message in messages)
    return writer.take()


def feed(reader: FrameReader, data: bytes, step: int = 1 << 30) -> list[list[Any]]:
    """Put data into the reader as a socket would, at most `step` bytes at a time."""
    frames: list[list[Any]] = []
    while data:
        buffer = reader.buffer()
        assert len(buffer) > 0
        part = data[: min(step, len(buffer))]
        buffer[: len(part)] = part
        data = data[len(part) :]
        frames.extend(reader.received(len(part)))
    return frames


def refusal(data: bytes, step: int = 1 << 30) -> str:
    with pytest.raises(BadFrame) as caught:
        feed(FrameReader(), data, step)
    return caught.value.reason


def test_the_messages_of_one_turn_are_one_frame():
    data = pack(*MESSAGES)
    assert data[12:13] == b"\x93"
    assert feed(FrameReader(), data) == [MESSAGES]


def test_tuples_arrive_as_lists():
    assert feed(FrameReader(), pack({"id": (1, 2), "entries": [(1, b"x")]})) == [
        [{"id": [1, 2], "entries": [[1, b"x"]]}]
    ]


def test_what_was_taken_is_not_sent_twice():
    writer = FrameWriter()
    writer.add(MESSAGES[0])
    assert writer.size > 0
    assert writer.take()
    assert (writer.size, writer.take()) == (0, b"")


def test_a_message_is_packed_when_it_is_added():
    message = {"term": 1}
    writer = FrameWriter()
    writer.add(message)
    message["term"] = 2
    assert feed(FrameReader(), writer.take()) == [[{"term": 1}]]


def test_frames_cut_at_every_byte():
    data = pack(MESSAGES[0]) + pack(*MESSAGES)
    for cut in range(len(data)):
        reader = FrameReader()
        assert feed(reader, data[:cut]) + feed(reader, data[cut:]) == [MESSAGES[:1], MESSAGES]


def test_frames_byte_by_byte():
    assert feed(FrameReader(), pack(*MESSAGES) * 3, step=1) == [MESSAGES] * 3


SIZES = [0, 1, BUFFER - 60, BUFFER - 30, *range(BUFFER - 26, BUFFER - 14), BUFFER, 5 * BUFFER]


@pytest.mark.parametrize("step", [4093, 1 << 30])
def test_frames_about_as_long_as_the_buffer(step: int):
    reader = FrameReader()
    for size in SIZES:
        messages = [{"data": b"x" * size}, {"n": size}]
        data = pack({"n": 0}) + pack(*messages) + pack({"n": 1})
        assert feed(reader, data, step) == [[{"n": 0}], messages, [{"n": 1}]]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 3 * BUFFER), min_size=1, max_size=6),
    st.lists(st.integers(501, 2 * BUFFER), min_size=1, max_size=6),
)
def test_any_sizes_in_any_pieces(sizes: list[int], steps: list[int]):
    wanted = [[{"data": bytes([n]) * size}] for n, size in enumerate(sizes)]
    data = b"".join(pack(*messages) for messages in wanted)
    reader, got, turn = FrameReader(), [], 0
    while data:
        part, data = data[: steps[turn % len(steps)]], data[steps[turn % len(steps)] :]
        got += feed(reader, part)
        turn += 1
    assert got == wanted


def test_a_turn_too_long_for_one_frame_leaves_as_several():
    messages = [{"n": n, "data": b"x" * (MESSAGE_LIMIT // 3)} for n in range(4)]
    frames = feed(FrameReader(), pack(*messages))
    assert [message for part in frames for message in part] == messages
    assert [len(part) for part in frames] == [2, 2]


def test_more_messages_than_one_frame_has():
    messages = [{"n": n} for n in range(MESSAGES_LIMIT + 1)]
    assert [len(part) for part in feed(FrameReader(), pack(*messages))] == [MESSAGES_LIMIT, 1]


def test_the_longest_message_goes_through_and_a_longer_one_is_left_out():
    writer = FrameWriter()
    longest = {"data": b"x" * (MESSAGE_LIMIT - 11)}
    assert writer.add(longest)
    assert not writer.add({"data": b"x" * (MESSAGE_LIMIT - 10)})
    assert feed(FrameReader(), writer.take()) == [[longest]]


def test_what_msgpack_does_not_know_is_the_callers_error():
    with pytest.raises(TypeError):
        FrameWriter().add({"x": object()})


@pytest.mark.parametrize("length", [0, BODY_LIMIT + 1, 2**31 - 1, 2**32 - 1])
def test_a_length_out_of_bounds_is_refused_before_its_body(length: int):
    assert refusal(head(length, 0)) == "length"


def test_every_flipped_bit_is_noticed():
    data = pack(*MESSAGES)
    for position in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[position // 8] ^= 1 << position % 8
        in_the_head = position < 64
        assert refusal(bytes(damaged)) == ("length" if in_the_head else "checksum")


def test_a_damaged_length_is_noticed_before_a_byte_more_is_read():
    """Believed, it took what followed for the body of this one: an idle link's next hour."""
    data = pack(*MESSAGES)[: HEADER.size]
    for position in range(64):
        damaged = bytearray(data)
        damaged[position // 8] ^= 1 << position % 8
        assert refusal(bytes(damaged)) == "length"


NOT_MESSAGES = {
    "nothing": b"\xc0",
    "a map": msgpack.packb({"a": 1}),
    "no message": b"\x90",
    "a number": msgpack.packb([1]),
    "a message that is an array": msgpack.packb([[1]]),
    "number keys": msgpack.packb([{1: 1}]),
    "bytes keys": msgpack.packb([{b"a": 1}]),
    "bytes behind": msgpack.packb([{"a": 1}]) + b"\x00",
    "a cut": msgpack.packb([{"a": 1}])[:-1],
    "a code that msgpack does not use": b"\x91\x81\xa1a\xc1",
    "text that is no UTF-8": b"\x91\x81\xa1a\xa1\xff",
    "a key that is no UTF-8": b"\x91\x81\xa1\xff\x01",
    "too many messages": b"\xdc\x10\x01" + b"\x80" * 4097,
    "arrays in arrays": b"\x91\x81\xa1a" + b"\x91" * 1_000_000 + b"\xc0",
    "maps in maps": b"\x91" + b"\x81\xa1a" * 300_000 + b"\xc0",
    "an array said to be long": b"\xdd\xff\xff\xff\xff" + b"\x80" * 100,
    "a map said to be long": b"\x91\xdf\xff\xff\xff\xff\xa1a\x01",
    "bytes said to be long": b"\x91\x81\xa1a\xc6\xff\xff\xff\xff",
    "text said to be long": b"\x91\x81\xa1a\xdb\xff\xff\xff\xff",
    "an extension said to be long": b"\x91\x81\xa1a\xc9\xff\xff\xff\xff\x01",
    "long arrays in long arrays": b"\x91\x81\xa1a" + b"\xdd\x00\xff\xff\xff" * 900,
    "a date out of range": b"\x91\x81\xa1a\xd7\xff\xff\xff\xff\xff\xff\xff\xff\xff",
}


@pytest.mark.parametrize("what", NOT_MESSAGES)
def test_a_body_that_is_no_list_of_messages(what: str):
    assert refusal(frame(NOT_MESSAGES[what])) == "body"


@pytest.mark.parametrize("what", [name for name in NOT_MESSAGES if " long" in name])
def test_what_is_only_announced_takes_no_memory(what: str):
    data = frame(NOT_MESSAGES[what])
    reader = FrameReader()
    tracemalloc.start()
    try:
        with pytest.raises(BadFrame):
            feed(reader, data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 256 << 10


def test_with_a_shape_nothing_is_built_that_has_not_that_shape():
    """Four million empty arrays in four megabytes would be 300 MB of objects."""
    body = b"\x91\x82\xa4type\xa6append\xa7entries\xdd" + struct.pack("!I", 4_000_000)
    reader = FrameReader(AnyMessage)
    tracemalloc.start()
    try:
        with pytest.raises(BadFrame):
            feed(reader, frame(body + b"\x90" * 4_000_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * BODY_LIMIT


def test_with_a_shape_structs_come_out():
    append = Append(
        term=3, round=1, commit=2, prev_index=4, prev_term=3, entries=[(3, b"a"), (3, b"")]
    )
    beat = Heartbeat(term=3, round=2)
    assert feed(FrameReader(AnyMessage), pack(append, beat)) == [[append, beat]]


def test_an_announced_frame_takes_no_more_than_its_length():
    reader = FrameReader()
    tracemalloc.start()
    try:
        feed(reader, head(BODY_LIMIT, 0) + b"x" * 100)
        assert len(reader.buffer()) == BODY_LIMIT - 100
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < BODY_LIMIT + (64 << 10)
