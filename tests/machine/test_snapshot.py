"""A snapshot is taken back whole or not at all."""

from collections.abc import Iterator
from zlib import crc32

import msgspec
import pytest

from raftcoord.errors import DataDamaged, UnknownFormat
from raftcoord.machine import Machine, snapshot
from tests.machine.logs import make


def machine_of(seed: int, length: int = 300) -> Machine:
    machine = Machine()
    for entry in make(seed, length):
        machine.apply(*entry)
    return machine


def packed(machine: Machine) -> bytes:
    return b"".join(machine.pack())


def reframed(data: bytes, change: dict[int, bytes]) -> bytes:
    """The same frames with some bodies exchanged, checksums made right."""
    bodies = [body for _, body in snapshot._frames([data])]
    for number, body in change.items():
        bodies[number] = body
    return b"".join(len(body).to_bytes(4) + crc32(body).to_bytes(4) + body for body in bodies)


def test_chunks_are_bounded_and_may_be_cut_anywhere() -> None:
    machine = machine_of(1)
    assert all(len(chunk) <= 64 * 1024 for chunk in machine.pack())
    data = packed(machine)
    copy = Machine()
    copy.restore(data[at : at + 7] for at in range(0, len(data), 7))
    assert packed(copy) == data
    assert copy.digest() == machine.digest()
    assert copy.applied == machine.applied


def test_big_states_are_many_chunks() -> None:
    machine = Machine()
    machine.answers.answers.load({("n", number): bytes(1_000) for number in range(300)})
    chunks = list(machine.pack())
    assert len(chunks) > 4
    assert all(len(chunk) <= 64 * 1024 for chunk in chunks)
    copy = Machine()
    copy.restore(chunks)
    assert packed(copy) == packed(machine)


def test_an_empty_machine() -> None:
    copy = machine_of(2)
    copy.restore(Machine().pack())
    assert packed(copy) == packed(Machine())


def test_any_changed_byte_is_found_and_changes_nothing() -> None:
    data, machine = packed(machine_of(3, 60)), machine_of(4, 60)
    before = packed(machine)
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 0x41
        with pytest.raises((DataDamaged, UnknownFormat)):
            machine.restore([bytes(damaged)])
    assert packed(machine) == before
    assert machine.next_deadline() is not None


def test_any_missing_end_is_found() -> None:
    data, machine = packed(machine_of(5, 40)), Machine()
    for size in range(0, len(data), 5):
        with pytest.raises(DataDamaged):
            machine.restore([data[:size]])
    with pytest.raises(DataDamaged):
        machine.restore([data, data])
    with pytest.raises(DataDamaged):
        machine.restore([data, b"\0"])
    assert packed(machine) == packed(Machine())


def test_a_missing_frame_is_found() -> None:
    data = packed(machine_of(6))
    frames = [body for _, body in snapshot._frames([data])]
    for missing in range(1, len(frames)):
        kept = [body for number, body in enumerate(frames) if number != missing]
        joined = b"".join(len(body).to_bytes(4) + crc32(body).to_bytes(4) + body for body in kept)
        with pytest.raises(DataDamaged):
            Machine().restore([joined])


def test_a_frame_behind_the_end_is_found() -> None:
    body = msgspec.msgpack.encode(["sessions", []])
    more = len(body).to_bytes(4) + crc32(body).to_bytes(4) + body
    with pytest.raises(DataDamaged, match="follows its end"):
        Machine().restore([packed(Machine()), more])


def test_a_newer_format_is_named() -> None:
    head = msgspec.msgpack.encode(["raftcoord-machine", 3, "something new"])
    with pytest.raises(UnknownFormat) as caught:
        Machine().restore([reframed(packed(Machine()), {0: head})])
    assert caught.value.fields == {"format": 3, "known": 2}


def test_something_else_is_no_snapshot() -> None:
    other = msgspec.msgpack.encode(["another-product", 1])
    with pytest.raises(UnknownFormat):
        Machine().restore([reframed(packed(Machine()), {0: other})])


def test_a_snapshot_that_contradicts_itself_is_damaged() -> None:
    machine = machine_of(7)
    machine.rings.table.load({})
    assert machine.rings.members.rows
    with pytest.raises(DataDamaged):
        Machine().restore(machine.pack())


def test_a_source_that_fails_changes_nothing() -> None:
    machine = machine_of(8)
    before = packed(machine)

    def failing() -> Iterator[bytes]:
        yield before[:100]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        machine.restore(failing())
    assert packed(machine) == before


def test_a_length_beyond_any_frame_allocates_nothing() -> None:
    with pytest.raises(DataDamaged, match="longer than any"):
        Machine().restore([b"\xff\xff\xff\xff" + bytes(4)])
