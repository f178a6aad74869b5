"""Data that is damaged, or lost: on one member at a time, and never of a majority."""

from __future__ import annotations

from collections.abc import Callable

from chaos.simulation.disk import SimDisk
from chaos.simulation.faults.act import Act, Catalogue
from chaos.simulation.faults.losses import may_lose, restart_damaged
from chaos.simulation.faults.processes import come_back
from raftcoord.consensus import records, segments
from raftcoord.consensus.records import Kind

FAULTS = Catalogue()

Spot = tuple[str, int, int]
"""File, and the bytes from, to."""

JOURNAL, SNAPSHOTS = "data/journal", "data/snapshots"


@FAULTS.of(2)
def wipe(act: Act) -> bool:
    """One member loses its data folder and comes back as a learner, as documented."""
    name, world = act.member(), act.world
    if not may_lose(world, name):
        return False
    world.wipe(name)
    act.note(name)
    come_back(act, name, act.rng.uniform(0.05, 1.5))
    return True


@FAULTS.of(2)
def flip_entry(act: Act) -> bool:
    """A bit of an entry in one member's journal is another."""
    return _flip(act, lambda disk: record_spots(disk, Kind.ENTRY))


@FAULTS.of(2)
def flip_vote(act: Act) -> bool:
    """A bit of a record of term and vote, or of a file's header, which repeats them."""
    return _flip(act, lambda disk: record_spots(disk, Kind.VOTE, Kind.HEADER))


@FAULTS.of(1)
def flip_journal(act: Act) -> bool:
    """A bit anywhere in one member's journal, used or not."""
    return _flip(act, lambda disk: [(path, 0, end) for path, end in _files(disk, JOURNAL)])


@FAULTS.of(2)
def flip_snapshot(act: Act) -> bool:
    """A bit of one of a member's snapshots."""
    return _flip(act, lambda disk: [(path, 0, end) for path, end in _files(disk, SNAPSHOTS)])


def _flip(act: Act, spots_of: Callable[[SimDisk], list[Spot]]) -> bool:
    world, rng, name = act.world, act.rng, act.member()
    member = world.hosts[name]
    spots = spots_of(member.disk)
    if not spots or member.damaged or not may_lose(world, name):
        return False
    path, begin, end = rng.choice(spots)
    offset, bit = rng.randrange(begin, end), rng.randrange(8)
    seconds = rng.choice((0.0, rng.uniform(0.0, 4.0)))
    # Told before, so that whoever watches can look at what was there.
    act.note(f"{name}, bit {bit} of byte {offset} of {path}, seen in {seconds:.2f} s")
    member.damaged = True
    member.disk.flip(path, offset, bit)
    restart_damaged(act, name, seconds)
    return True


def _files(disk: SimDisk, folder: str) -> list[tuple[str, int]]:
    """Path and size of the files of a folder that are not empty."""
    if not disk.exists(folder):
        return []
    paths = [f"{folder}/{name}" for name in disk.list(folder)]
    return [(path, size) for path in paths if (size := len(disk.content(path))) > 0]


def record_spots(disk: SimDisk, *kinds: Kind) -> list[Spot]:
    """Where the valid records of these kinds are in a journal."""
    spots: list[Spot] = []
    for path, _ in _files(disk, JOURNAL):
        number = segments.number_of(path.rpartition("/")[2])
        data = disk.content(path)
        found = None if number is None else segments.decode_header(data, number, path)
        if number is None or found is None:
            continue
        header, offset = found
        if Kind.HEADER in kinds:
            spots.append((path, 0, offset))
        start = records.seed(header.cluster, header.node, number)
        while (record := records.decode(data, offset, start)) is not None:
            end = offset + records.OVERHEAD + len(record[1])
            if record[0] in kinds:
                spots.append((path, offset, end))
            offset = end
    return spots
