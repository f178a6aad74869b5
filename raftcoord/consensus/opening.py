"""Making the first file of a journal, and taking up a journal that was read."""

from raftcoord.consensus import records, segments
from raftcoord.consensus.contents import Contents
from raftcoord.consensus.edges import Disk, File
from raftcoord.consensus.folders import make_folder
from raftcoord.consensus.records import Entry, Kind
from raftcoord.consensus.recovery import Recovered
from raftcoord.consensus.segments import Owner
from raftcoord.consensus.space import Segment, prepare


def found(
    disk: Disk, folder: str, owner: Owner, base: list[Entry], commit: int, segment_bytes: int
) -> None:
    """Write a journal's first file: nothing is there, or all of it.

    Raises:
        Inconsistent: the entries do not follow each other, or end before the commit index.
    """
    contents = Contents(base[0][1])
    needed = sum(len(command) + 64 for command, _, _ in base) + 64
    data, size = segments.first_bytes(contents, owner, (0, 0), 1, needed, segment_bytes)
    start = records.seed(owner.cluster, owner.node, 1)
    steps = [(Kind.ENTRY, records.entry(*entry)) for entry in base]
    for kind, payload in (*steps, (Kind.COMMIT, records.number(commit))):
        contents.replay(kind, payload)
        data += records.encode(kind, payload, len(data), start)
    data += records.synced(len(data), start)
    make_folder(disk, folder)
    _write_aside(disk, folder, 1, data, size)


def reopen(disk: Disk, folder: str, found: Recovered, segment_bytes: int) -> Segment:
    """The file to go on writing to, everything that was found in it durable.

    Where the end was cut that is a new file, and `found` is changed to say so: what was left out
    stays where it is and is never read again.
    """
    last = Segment(folder, found.number, found.header.size)
    last.allocated = last.size
    last.file = disk.open(last.path)
    _make_durable(last.file, found)
    if found.cut != "damaged":
        _remove(disk, found.leftovers)
    if found.cut == "no":
        return last
    last.file.close()
    contents = found.contents
    contents.tail_cut = contents.tail_cut or found.cut == "damaged"
    found.highest += 1
    previous = (found.number, found.end)
    owner = found.header.owner
    data, size = segments.first_bytes(contents, owner, previous, found.highest, 0, segment_bytes)
    _write_aside(disk, folder, found.highest, data, size)
    if found.cut == "damaged":
        # Only now: they show that something was lost, until the new file's header says it.
        _remove(disk, found.leftovers)
    found.number, found.end = found.highest, len(data)
    contents.begin(found.number)
    segment = Segment(folder, found.number, size)
    segment.allocated = size
    segment.file = disk.open(segment.path)
    return segment


def _make_durable(file: File, found: Recovered) -> None:
    """A process that was killed leaves records in the page cache that were never synced; one whose
    sync failed leaves records there that the system takes for synced (Rebello et al., "Can
    Applications Recover from fsync Failures?", ATC 2020). Written again, both are."""
    data = file.read(0, found.end)
    owner = found.header.owner
    seed = records.seed(owner.cluster, owner.node, found.number)
    start = records.last_synced(data, 0, seed) or 0
    file.seek(start)
    file.write(data[start:])
    file.sync()


def _write_aside(disk: Disk, folder: str, number: int, data: bytes, size: int) -> None:
    path = f"{folder}/{segments.name(number)}"
    aside = f"{path}.tmp"
    file = prepare(disk, folder, aside, None, size)
    file.write(data)
    file.sync()
    file.close()
    disk.rename(aside, path)
    disk.sync_dir(folder)


def _remove(disk: Disk, paths: list[str]) -> None:
    for path in paths:
        disk.remove(path)
