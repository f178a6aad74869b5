"""Bits of a node's data that are other ones while it is down.

The documented way back is the same as for data that is lost: `python3 -m cluster rejoin N`, which
sets what is damaged aside and starts the node empty, as a learner (`serve --join`).
"""

from __future__ import annotations

from pathlib import Path

from chaos.nemesis.fault import CannotInject, Site
from chaos.nemesis.faulty_nodes import FaultyFault, add_flags
from raftcoord.consensus import records, segments
from raftcoord.consensus.edges import RealDisk
from raftcoord.consensus.recovery import recover
from raftcoord.consensus.segments import Header

SNAPSHOT_EVERY = 256 << 10
"""Bytes of log behind which a snapshot is taken, where one is wanted soon."""
FEW_ENTRIES = 500


def flip_bit(file: Path, bit: int) -> None:
    """Change one bit of a file. Raises OSError."""
    with file.open("r+b") as stream:
        stream.seek(bit // 8)
        byte = stream.read(1)[0]
        stream.seek(bit // 8)
        stream.write(bytes([byte ^ 1 << bit % 8]))


def headers(journal: Path) -> dict[Path, Header]:
    """The files of a journal that have a header, and what it says."""
    found = {}
    for file in sorted(journal.glob("journal-*.log")):
        number = segments.number_of(file.name) or 0
        decoded = segments.decode_header(file.read_bytes(), number, str(file))
        if decoded is not None:
            found[file] = decoded[0]
    return found


def synced_bytes(journal: Path) -> dict[Path, int]:
    """How far each file of a journal was surely synced, as its markers and headers tell."""
    ends = {}
    for file, header in headers(journal).items():
        number = segments.number_of(file.name) or 0
        start = records.seed(header.cluster, header.node, number)
        ends[file] = records.last_synced(file.read_bytes(), 0, start) or 0
        before = journal / segments.name(header.previous)
        if before in ends:
            ends[before] = header.previous_end
    return {file: end for file, end in ends.items() if end}


class FlippedJournal(FaultyFault):
    """A bit in what was synced is another one: the node refuses to start, and rejoins."""

    name = "flipped-journal"
    about = "a bit of one node's journal is flipped while it is down; it is refused, and rejoins"
    takes = alone = True
    spans = ((0.1, 0.5),)

    def start(self) -> None:
        """Kill it, flip the bit, and see it refuse."""
        node = self.choose(leader=0.3)
        self.site.nodes.kill(node)
        self.detail = self.damage(self.site.nodes.place(node).data)
        self.site.nodes.start(node)
        self.site.nodes.expect_end(node)
        self.until_ended(" at byte ")

    def stop(self) -> None:
        """The documented way back."""
        if not self.nodes:
            return  # it was never begun
        self.site.leader()
        self.site.nodes.kill(self.node)
        self.site.nodes.set_aside(self.node)
        self.site.nodes.start(self.node)
        joined = self.site.nodes.note_joined
        self.site.wait(lambda: joined(self.node), f"{self.node} is no voter again")

    def damage(self, data: Path) -> str:
        """Flip a bit of the journal; which one, for people. Raises CannotInject."""
        ends = synced_bytes(data / "journal")
        if not ends:
            raise CannotInject(f"nothing in the journal of {self.node} was synced")
        file = self.random.choice(sorted(ends))
        bit = self.random.randrange(ends[file] * 8)
        flip_bit(file, bit)
        return f"{file.name} at byte {bit // 8}"


class FlippedSnapshot(FlippedJournal):
    """The same of a snapshot."""

    name = "flipped-snapshot"
    about = "a bit of one node's newest snapshot is flipped while it is down; the same follows"

    @classmethod
    def prepare(cls, site: Site) -> None:
        """Snapshots soon and often."""
        super().prepare(site)
        add_flags(site, raft_snapshot_bytes=SNAPSHOT_EVERY, raft_keep_entries=FEW_ENTRIES)

    def damage(self, data: Path) -> str:
        """Flip a bit of the newest snapshot; of the journal where there is none yet."""
        file = newest_snapshot(data)
        if file is None:
            return super().damage(data)
        bit = self.random.randrange(file.stat().st_size * 8)
        flip_bit(file, bit)
        return f"{file.name} at byte {bit // 8}"


def newest_snapshot(data: Path) -> Path | None:
    """The snapshot that the journal marks last, which is what a start reads; None where there is
    none."""
    for file, header in headers(data / "journal").items():
        found = recover(RealDisk(), str(file.parent), header.cluster, header.node)
        marker = found.contents.snapshot
        return None if marker is None else data / "snapshots" / marker.name
    return None
