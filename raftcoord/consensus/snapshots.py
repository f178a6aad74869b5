"""Snapshot files: written aside, synced, renamed, and only then marked in the journal.

The file travels to another node as it lies on disk, so both hold the same bytes and the same
crc. A marker in the journal is written only after `write` or `finish` returned; what is loaded is
the newest marked one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from raftcoord.consensus.edges import Edges, File
from raftcoord.consensus.folders import make_folder
from raftcoord.consensus.records import SnapshotMarker
from raftcoord.consensus.snapshot_file import Reader, SnapshotMeta, damaged, write_all
from raftcoord.errors import ConfigInvalid, DataDamaged, UnknownFormat

__all__ = ["SnapshotMeta", "Snapshots"]

_ASIDE: Final = ".tmp"


@dataclass(slots=True)
class _Incoming:
    marker: SnapshotMarker
    file: File
    path: str
    end: int = 0


class Snapshots:
    """The snapshot files of one node, all in one folder. Every method may block."""

    def __init__(self, edges: Edges, path: str, *, cluster: str) -> None:
        self._disk = edges.disk
        self._folder = path
        self._cluster = cluster
        self._incoming: _Incoming | None = None
        make_folder(self._disk, path)

    @staticmethod
    def name(index: int, term: int) -> str:
        """File name of the snapshot whose last entry is (index, term)."""
        return f"snapshot-{index:020d}-{term}.snap"

    def write(self, meta: SnapshotMeta, chunks: Iterable[bytes]) -> SnapshotMarker:
        """Write a snapshot; when this returns it is whole and durable under its name.

        Raises:
            OSError: the disk is full, or fails; nothing is left under the name.
        """
        name = self.name(meta.index, meta.term)
        aside = f"{self._folder}/{name}{_ASIDE}"
        file = self._create(aside)
        try:
            size, crc = write_all(file, meta, chunks)
            file.sync()
        except OSError:
            file.close()
            self._disk.remove(aside)
            raise
        file.close()
        self._publish(aside, name)
        return SnapshotMarker(meta.index, meta.term, name, size, crc)

    def describe(self, name: str) -> SnapshotMarker:
        """The marker of a file in the folder, which is read whole and verified.

        Raises:
            DataMissing, DataDamaged, UnknownFormat, ConfigInvalid: as `load`.
        """
        reader = Reader(self._disk.open, f"{self._folder}/{name}")
        try:
            meta = reader.meta(self._cluster)
            for _ in reader.chunks():
                pass
        finally:
            reader.close()
        return SnapshotMarker(meta.index, meta.term, name, reader.offset, reader.crc)

    def load(self, marker: SnapshotMarker) -> tuple[SnapshotMeta, Iterator[bytes]]:
        """Meta and chunks of a marked snapshot.

        The iterator raises DataDamaged at the first chunk that is not what was written, and at
        the end where the file is not the one that was marked: what came before it is then worth
        nothing.

        Raises:
            DataMissing: the file is not there.
            DataDamaged: it is not valid; fields file, offset.
            UnknownFormat: written by a newer version.
            ConfigInvalid: the snapshot of another cluster.
        """
        path = f"{self._folder}/{marker.name}"
        reader = Reader(self._disk.open, path)
        try:
            meta = reader.meta(self._cluster)
            if (meta.index, meta.term) != (marker.index, marker.term):
                raise damaged(path, 0, f"it ends at {meta.index}, the mark says {marker.index}")
        except BaseException:
            reader.close()
            raise
        return meta, _verified(reader, marker)

    def read(self, marker: SnapshotMarker, offset: int, size: int) -> bytes:
        """Up to `size` raw bytes of the file from `offset`, for sending."""
        file = self._disk.open(f"{self._folder}/{marker.name}")
        try:
            return file.read(offset, size)
        finally:
            file.close()

    # Receiving: one at a time, front to back.

    def begin(self, marker: SnapshotMarker) -> None:
        """Start to receive the snapshot that the marker describes; another one is given up."""
        self.abandon()
        path = f"{self._folder}/{self.name(marker.index, marker.term)}.in{_ASIDE}"
        self._incoming = _Incoming(marker, self._create(path), path)

    def put(self, offset: int, data: bytes) -> None:
        """The next bytes of the file.

        Raises:
            ValueError: they do not follow what is there, or pass the announced size.
        """
        incoming = self._incoming
        if incoming is None or offset != incoming.end:
            raise ValueError(f"{len(data)} bytes for offset {offset} of a snapshot do not follow")
        if offset + len(data) > incoming.marker.size:
            raise ValueError(f"more than the {incoming.marker.size} bytes announced")
        incoming.file.write(data)
        incoming.end += len(data)

    def finish(self) -> SnapshotMarker:
        """Verify what was received and publish it, whole and durable, under its own name.

        Raises:
            DataDamaged: it is not what was announced; it is given up.
            ValueError: nothing is being received.
        """
        incoming = self._incoming
        if incoming is None:
            raise ValueError("no snapshot is being received")
        marker = incoming.marker
        incoming.file.sync()
        try:
            meta, chunks = self.load(replace(marker, name=incoming.path.rpartition("/")[2]))
            for _ in chunks:
                pass
        except (DataDamaged, UnknownFormat, ConfigInvalid):
            self.abandon()
            raise
        incoming.file.close()
        self._incoming = None
        name = self.name(meta.index, meta.term)
        self._publish(incoming.path, name)
        return replace(marker, name=name)

    def abandon(self) -> None:
        """Give up what is being received, if anything is."""
        if self._incoming is not None:
            incoming, self._incoming = self._incoming, None
            incoming.file.close()
            self._disk.remove(incoming.path)

    def sweep(self, keep: Iterable[str], *, newer: bool = False) -> list[str]:
        """Remove the snapshot files that are older than the newest of the named ones.

        The named ones stay, and so does what is newer: it may be just being written, or not yet
        marked. With `newer`, at the start when nothing is being written, that goes too.

        Returns:
            The names that were removed.
        """
        kept = {*keep}
        newest = max(kept, key=_place, default=None)
        removed = []
        for name in self._disk.list(self._folder):
            ours = name.startswith("snapshot-") and name.endswith((".snap", _ASIDE))
            older = newest is not None and _place(name) < _place(newest)
            if ours and name not in kept and (newer or older):
                self._disk.remove(f"{self._folder}/{name}")
                removed.append(name)
        return removed

    def _create(self, path: str) -> File:
        if self._disk.exists(path):
            self._disk.remove(path)
        return self._disk.open(path, create=True)

    def _publish(self, aside: str, name: str) -> None:
        self._disk.rename(aside, f"{self._folder}/{name}")
        self._disk.sync_dir(self._folder)


def _place(name: str) -> str:
    # The index in a file's name has a fixed width.
    return name.split("-")[1] if name.startswith("snapshot-") else ""


def _verified(reader: Reader, marker: SnapshotMarker) -> Iterator[bytes]:
    try:
        yield from reader.chunks()
        if (reader.offset, reader.crc) != (marker.size, marker.crc):
            raise damaged(reader.path, reader.offset, "it is not the file that was marked")
    finally:
        reader.close()
