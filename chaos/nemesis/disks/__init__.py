"""Faults of the disks of real nodes.

- `syncs`, `reads`: syncs and reads that fail or take long, disks that are full.
- `damage`: bits of the data that are other ones, while the node is down.
- `small`: a full file system of its own, for root.
- `mounted`: the same and power cuts on the file system of `chaos.nemesis.fuse`.
"""

from __future__ import annotations

from chaos.nemesis.disks.damage import FlippedJournal, FlippedSnapshot
from chaos.nemesis.disks.mounted import (
    FuseFailedSync,
    FuseFlippedRead,
    FuseFullDisk,
    FuseReadError,
    FuseSlowSync,
    PowerCut,
    PowerCutAll,
)
from chaos.nemesis.disks.reads import FlippedRead, ReadError
from chaos.nemesis.disks.small import FullTmpfs
from chaos.nemesis.disks.syncs import FailedSync, FullDisk, SlowSync, StalledSync

DISKS = (
    FailedSync,
    SlowSync,
    StalledSync,
    FullDisk,
    ReadError,
    FlippedRead,
    FlippedJournal,
    FlippedSnapshot,
    FullTmpfs,
    FuseFailedSync,
    FuseSlowSync,
    FuseFullDisk,
    FuseReadError,
    FuseFlippedRead,
    PowerCut,
    PowerCutAll,
)
