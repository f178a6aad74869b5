"""Snapshots on their way from the leader's disk to a follower's (Raft paper, §7).

The file travels as it lies on disk, in bounded chunks, a few under way at once. Reading and
writing are jobs of the bulk lane. The receiver verifies the whole file before it says a word;
what cannot be verified is thrown away and acknowledged to nobody (finding 6).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from raftcoord.consensus.edges import Edges
from raftcoord.consensus.records import SnapshotMarker
from raftcoord.consensus.snapshots import Snapshots

CHUNK = 128 << 10
WINDOW = 4
PAUSE = 0.5
"""Seconds before a file that came to nothing is sent again."""


class Send(Protocol):
    """Sends one chunk to a member."""

    def __call__(self, member: str, marker: SnapshotMarker, offset: int, data: bytes) -> None: ...


@dataclass
class _Shipment:
    marker: SnapshotMarker
    read: int = 0
    acknowledged: int = 0
    reading: bool = False


class SnapshotSender:
    """The leader's side: at most one shipment per member."""

    def __init__(self, edges: Edges, snapshots: Snapshots, send: Send) -> None:
        self._edges = edges
        self._snapshots = snapshots
        self._send = send
        self._shipments: dict[str, _Shipment] = {}
        self._not_before: dict[str, float] = {}

    def in_use(self) -> set[str]:
        """Names of the files that are being sent."""
        return {shipment.marker.name for shipment in self._shipments.values()}

    def sends_to(self, member: str) -> bool:
        """Whether a shipment to the member is under way."""
        return member in self._shipments

    def start(self, member: str, marker: SnapshotMarker) -> None:
        """Begin from the front of the file, unless that failed a moment ago."""
        if self._edges.monotonic() < self._not_before.get(member, 0.0):
            return
        self._not_before.pop(member, None)
        shipment = _Shipment(marker)
        self._shipments[member] = shipment
        self._go_on(member, shipment)

    def stop(self, member: str) -> None:
        """Forget the shipment to this member."""
        self._shipments.pop(member, None)
        self._not_before.pop(member, None)

    def stop_all(self) -> None:
        """Forget them all."""
        self._shipments.clear()

    def answered(self, member: str, index: int, offset: int, *, done: bool) -> None:
        """The member has everything before `offset`, or wants the file from there."""
        shipment = self._shipments.get(member)
        if shipment is None or shipment.marker.index != index:
            return
        if done:
            del self._shipments[member]
        elif offset <= shipment.acknowledged:
            # It lost the file, or has no room for it: not again at once.
            del self._shipments[member]
            self._not_before[member] = self._edges.monotonic() + PAUSE
        else:
            shipment.acknowledged = offset
            self._go_on(member, shipment)

    def _go_on(self, member: str, shipment: _Shipment) -> None:
        ahead = shipment.read - shipment.acknowledged
        if shipment.reading or shipment.read >= shipment.marker.size or ahead >= WINDOW * CHUNK:
            return
        shipment.reading = True
        offset = shipment.read

        def done(data: Any, error: BaseException | None) -> None:
            shipment.reading = False
            if self._shipments.get(member) is not shipment:
                return
            if error is not None or not data:
                del self._shipments[member]
                return
            shipment.read = offset + len(data)
            self._send(member, shipment.marker, offset, data)
            self._go_on(member, shipment)

        self._edges.run(
            lambda: self._snapshots.read(shipment.marker, offset, CHUNK), done, lane="bulk"
        )


class SnapshotReceiver:
    """The follower's side: one file at a time."""

    def __init__(self, edges: Edges, snapshots: Snapshots) -> None:
        self._edges = edges
        self._snapshots = snapshots
        self._marker: SnapshotMarker | None = None
        self._expected = 0
        self._session = 0

    def chunk(
        self,
        marker: SnapshotMarker,
        offset: int,
        data: bytes,
        answer: Callable[[int], None],
        whole: Callable[[SnapshotMarker], None],
    ) -> None:
        """Take a chunk. `answer(offset)` asks for what follows; `whole(marker)` is called when
        the file is verified and durable."""
        if offset == 0:
            # Also where the same file was on its way: its sender starts over after it lost the
            # connection, and another leader may hold the same file.
            self._marker, self._expected = marker, 0
            self._session += 1
        elif marker != self._marker:
            answer(0)
            return
        if offset != self._expected:
            return  # a repeated or early chunk; the answer to the right one is under way
        self._expected += len(data)
        session = self._session
        last = self._expected >= marker.size

        def work() -> SnapshotMarker | None:
            if offset == 0:
                self._snapshots.abandon()
                self._snapshots.begin(marker)
            self._snapshots.put(offset, data)
            return self._snapshots.finish() if last else None

        def done(finished: Any, error: BaseException | None) -> None:
            if session != self._session:
                return
            if error is not None:
                self.abandon()
                answer(0)
            elif last:
                self._marker = None
                whole(finished)
            else:
                answer(offset + len(data))

        self._edges.run(work, done, lane="bulk")

    def abandon(self) -> None:
        """Whatever came so far is worth nothing."""
        self._marker, self._expected = None, 0
        self._session += 1
