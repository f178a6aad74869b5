"""Bounds so small that a short run meets them."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.simulation.judges.limits import Limits
from chaos.simulation.profiles import PROFILES, replace
from chaos.simulation.simulate import simulate
from chaos.simulation.sizes import Sizes, sizes_of
from raftcoord.commands import bounds
from raftcoord.consensus import serving, shipping
from raftcoord.consensus.digests import Digests
from raftcoord.consensus.shipping import SnapshotReceiver
from raftcoord.server import submissions

SMALL = replace(PROFILES["three"], seconds=6.0, http_every=0)


def constants() -> tuple[int, ...]:
    return (
        serving.CHECKPOINT,
        shipping.CHUNK,
        submissions.WINDOW,
        bounds.STORED_ANSWERS,
        bounds.RETENTION,
    )


def test_sizes_follow_from_the_seed() -> None:
    drawn = [sizes_of(seed, {}) for seed in range(60)]
    assert drawn == [sizes_of(seed, {}) for seed in range(60)]
    assert 3 <= sum(sizes.crowded for sizes in drawn) <= 25
    assert len({sizes.chunk for sizes in drawn}) > 1
    assert len({sizes.checkpoint for sizes in drawn}) > 1
    assert sizes_of(7, {"chunk": 1, "in_flight": 9}).chunk == 1
    with pytest.raises(TypeError):
        sizes_of(7, {"length": 1})


def test_usual_sizes_are_those_of_the_product() -> None:
    before = constants()
    with Sizes().in_force():
        assert constants() == before


def test_constants_come_back_whatever_happens() -> None:
    before = constants()
    seen = []

    def fail() -> None:
        with Sizes(chunk=1, checkpoint=2, window=3, retention=4).in_force():
            seen.append(constants())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert seen == [(2, 1, 3, 67, 4)]
    assert constants() == before


def test_a_crowded_world_meets_its_bounds_and_comes_right() -> None:
    sizes = {"in_flight": 2, "waiting": 2, "queue": 2, "window": 8}
    limits = Limits()
    outcome = simulate(5, replace(SMALL, load=80.0, sizes=sizes), observers=(limits,))
    assert outcome.broken is None
    assert limits.met >= {"commands without an outcome", "acquires", "reads", "proposals"}


def test_snapshots_travel_in_pieces_and_digests_are_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pieces, marks = [], []
    chunk, mark = SnapshotReceiver.chunk, Digests.mark

    def seen_chunk(self: SnapshotReceiver, marker: Any, offset: int, *rest: Any) -> None:
        pieces.append(offset)
        chunk(self, marker, offset, *rest)

    def seen_mark(self: Digests, me: str, index: int, digest: int) -> None:
        marks.append(index)
        mark(self, me, index, digest)

    monkeypatch.setattr(SnapshotReceiver, "chunk", seen_chunk)
    monkeypatch.setattr(Digests, "mark", seen_mark)
    sizes = {"chunk": 512, "checkpoint": 16, "in_flight": 100}
    profile = replace(SMALL, sizes=sizes, faults={"snapshot": 2, "wipe": 1})
    assert simulate(3, profile).broken is None
    assert sum(offset > 0 for offset in pieces) > 5
    assert len(marks) > 20
    assert all(index % 16 == 0 for index in marks)
