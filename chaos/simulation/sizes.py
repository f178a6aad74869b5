"""How large everything is in a world: bounds and steps so small that they are met in a short run.

Some are settings of a process. Others are constants of the product, which hold for the whole world
while it is played (`in_force`), and are what they were behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import msgspec
from msgspec import Struct

from raftcoord.commands import bounds
from raftcoord.consensus import digests, serving, shipping
from raftcoord.server import submissions


class Sizes(Struct, frozen=True):
    """Bytes, entries and requests.

    Args:
        segment: bytes of a segment of the journal. snapshot: bytes of the journal after which one
            is packed. keep: entries that stay behind it.
        chunk: bytes of a snapshot that travel together.
        checkpoint: entries between two comparisons of digests.
        in_flight: commands of a gateway without an outcome. waiting: acquires, and as many reads.
        queue: proposals that wait in a member for their turn, of either priority.
        retention: milliseconds for which a decided transaction is remembered.
        window: numbers of requests above the lowest open one that a gateway gives out.
    """

    segment: int = 1 << 14
    snapshot: int = 16 << 10
    keep: int = 40
    chunk: int = shipping.CHUNK
    checkpoint: int = digests.CHECKPOINT
    in_flight: int = 4_096
    waiting: int = 16_384
    queue: int = 20_000
    window: int = submissions.WINDOW
    retention: int = bounds.RETENTION

    @property
    def crowded(self) -> bool:
        """Whether the bounds of requests are so small that the load meets them."""
        return self.in_flight < 100

    @property
    def forgetful(self) -> bool:
        """Whether transactions are forgotten while a run lasts."""
        return self.retention < 60_000

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Constants of the product are these in the block."""
        stored = bounds.STORED_ANSWERS - submissions.WINDOW + self.window
        with (
            _being(serving, "CHECKPOINT", self.checkpoint),
            _being(shipping, "CHUNK", self.chunk),
            _being(bounds, "STORED_ANSWERS", stored),
            _being(submissions, "WINDOW", self.window),
            _being(bounds, "RETENTION", self.retention),
        ):
            yield


@contextmanager
def _being(module: Any, name: str, value: int) -> Iterator[None]:
    real = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, real)


_CHUNKS = (shipping.CHUNK, 512, 2_048)
_CHECKPOINTS = (digests.CHECKPOINT, 32, 100)
_SNAPSHOTS = ((16 << 10, 40), (16 << 10, 40), (3 << 10, 6))
_RETENTIONS = (bounds.RETENTION, bounds.RETENTION, 2_000)
_CROWDED = 0.2
"""The share of seeds in which there is room for hardly any request."""


def sizes_of(seed: int, given: dict[str, int]) -> Sizes:
    """The sizes of a seed; `given` are kept as they are. Raises TypeError for one there is not."""
    rng = Random(f"{seed}/sizes")
    snapshot, keep = rng.choice(_SNAPSHOTS)
    drawn = {
        "snapshot": snapshot,
        "keep": keep,
        "chunk": rng.choice(_CHUNKS),
        "checkpoint": rng.choice(_CHECKPOINTS),
        "retention": rng.choice(_RETENTIONS),
    }
    crowded = {
        "in_flight": rng.randint(2, 4),
        "waiting": rng.randint(2, 4),
        "queue": rng.randint(2, 4),
        "window": rng.choice((8, 64)),
    }
    if rng.random() < _CROWDED:
        drawn |= crowded
    return msgspec.structs.replace(Sizes(), **{**drawn, **given})
