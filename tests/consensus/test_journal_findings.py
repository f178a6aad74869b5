"""The storage findings, each shown on the library's own class and absent in ours."""

import logging
import os
import struct
from pathlib import Path
from random import Random

import pysyncobj.syncobj
import pytest
from pysyncobj import SyncObj, SyncObjConf, replicated
from pysyncobj.journal import FileJournal
from pysyncobj.node import Node
from pysyncobj.transport import Transport

from chaos.simulation.disk import kill_at
from raftcoord.consensus import records
from raftcoord.consensus.records import Kind
from raftcoord.consensus.snapshots import SnapshotMeta, Snapshots
from raftcoord.errors import DataDamaged
from tests.consensus.journal_world import CLUSTER, FOLDER, NODE, NothingKept, World, killed

FILE = f"{FOLDER}/journal-00000001.log"


class Quiet(Transport):
    """Nobody is there."""

    def __init__(self) -> None:
        super().__init__(None, None, [])

    def send(self, node: Node, message: object) -> bool:
        return True


class Stock(SyncObj):
    """The library as it is: one member, a journal and a dump on disk."""

    def __init__(self, folder: Path) -> None:
        conf = SyncObjConf(
            autoTick=False,
            journalFile=str(folder / "journal"),
            fullDumpFile=str(folder / "dump"),
            useFork=False,
            pollerType="select",
        )
        super().__init__(Node("A"), [], conf, transport=Quiet())
        self.seen: list[int] = []

    @replicated
    def put(self, value: int) -> None:
        self.seen.append(value)

    @property
    def log(self) -> list[int]:
        return [index for _, index, _ in self._SyncObj__raftLog[:]]


class Ticker:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def tick(self, member: Stock, seconds: float, count: int = 1) -> None:
        for _ in range(count):
            self.now += seconds
            member.doTick(0)


@pytest.fixture
def ticker(monkeypatch: pytest.MonkeyPatch) -> Ticker:
    ticker = Ticker()
    monkeypatch.setattr(pysyncobj.syncobj, "monotonicTime", lambda: ticker.now)
    monkeypatch.setattr(logging.getLogger(), "disabled", True)
    return ticker


def put(member: Stock, values: range, ticker: Ticker) -> None:
    for value in values:
        member.put(value)
    ticker.tick(member, 0.0)


def test_finding_07_stock_kill_between_dump_and_cut(tmp_path: Path, ticker: Ticker) -> None:
    stock = Stock(tmp_path)
    ticker.tick(stock, 1.0, 5)
    put(stock, range(8), ticker)
    stock.forceLogCompaction()
    put(stock, range(8, 12), ticker)  # writes the dump in this turn, cuts the journal in the next
    end = stock.log[-1]
    again = Stock(tmp_path)
    ticker.tick(again, 0.0)
    assert again.log[-1] < end, "entries behind the dump are lost"


def test_finding_07_kill_between_snapshot_and_forget() -> None:
    steps = [("add", 12, 200), ("commit", 6), ("sync",), ("mark",), ("sync",), ("forget",)]
    world = World()
    world.create()
    first = world.disk.operations + 1
    world.run(steps)
    for number in range(first, world.disk.operations + 1):
        world = World()
        world.create()
        world.disk.hook = kill_at(number, "after")
        killed(lambda w=world: w.run(steps))
        synced = world.journal.synced_index
        world.crash(NothingKept())
        assert world.open()[-1][1] >= synced
        world.check()


def test_finding_08_stock_kill_in_compaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "journal")
    stock = FileJournal(path)
    for index in range(1, 101):
        stock.add(b"\0x", index, 1)
    added = 0
    add = FileJournal.add

    def add_five(self: FileJournal, *entry: object) -> None:
        nonlocal added
        added += 1
        if added == 5:
            raise InterruptedError
        add(self, *entry)

    monkeypatch.setattr(FileJournal, "add", add_five)
    with pytest.raises(InterruptedError):
        stock.deleteEntriesTo(50)
    assert len(FileJournal(path)) == 4, "51 to 100 were to stay"


def test_finding_08_kill_in_compaction() -> None:
    before = [("add", 30, 200), ("commit", 2), ("sync",), ("mark",), ("sync",)]
    world = World()
    world.create()
    world.run(before)
    first = world.disk.operations + 1
    world.forget(2)
    last = world.disk.operations
    assert last - first >= 2  # two files and the folder
    for number in range(first, last + 1):
        for cut in (None, NothingKept(), Random(1)):
            world = World()
            world.create()
            world.run(before)
            kept = world.journal[:]
            world.disk.hook = kill_at(number, "after")
            killed(lambda w=world: w.forget(2))
            world.crash(cut)
            world.open()
            assert world.journal[-5:] == kept[-5:]
            world.check()


def test_finding_08_the_library_cannot_rewrite_ours() -> None:
    world = World()
    world.create()
    with pytest.raises(RuntimeError):
        world.journal.clear()
    with pytest.raises(RuntimeError):
        world.journal.deleteEntriesTo(1)


def test_finding_09_stock_forgets_its_vote(tmp_path: Path) -> None:
    path = str(tmp_path / "journal")
    FileJournal(path).setCurrentTerm(7, "A")
    Path(f"{path}.meta").write_bytes(b"")  # what a rename without a sync may leave
    stock = FileJournal(path)
    assert (stock.getCurrentTerm(), stock.getVotedForNodeId()) == (0, None)


@pytest.mark.parametrize("cut", [None, NothingKept(), Random(5)])
def test_finding_09_a_synced_vote_stays(cut: Random | None) -> None:
    world = World()
    world.create()
    world.run([("vote", "n3"), ("sync",)])
    world.crash(cut)
    journal = world.open()
    assert (journal.getCurrentTerm(), journal.getVotedForNodeId()) == (1, "n3")


def test_finding_09_a_torn_vote_refuses() -> None:
    world = World()
    world.create()
    offset = world.journal._offset + records.SYNCED_SIZE
    world.run([("vote", "n3"), ("sync",)])
    world.crash()
    for at in range(offset, offset + records.OVERHEAD):
        world.disk.flip(FILE, at)
        with pytest.raises(DataDamaged) as refused:
            world.open()
        assert refused.value.fields == {"file": FILE, "offset": offset}
        world.disk.flip(FILE, at)
    assert world.open().getVotedForNodeId() == "n3"


def test_finding_10_stock_keeps_a_commit_index_beyond_its_log(tmp_path: Path) -> None:
    path = str(tmp_path / "journal")
    stock = FileJournal(path)
    for index in range(1, 11):
        stock.add(b"\0x", index, 1)
    stock.setRaftCommitIndex(10)
    stock.onOneSecondTimer()
    stock.flush()
    with open(path, "r+b") as file:  # the page with the last six entries never reached the disk
        file.seek(36)
        file.write(struct.pack("<I", 40 + 4 * 26))
    again = FileJournal(path)
    assert again.getRaftCommitIndex() > again[-1][1]


def test_finding_10_a_commit_beyond_the_log_refuses() -> None:
    world = World()
    world.create()
    world.run([("add", 3), ("sync",)])
    offset, seed = world.journal._offset, records.seed(CLUSTER, NODE, 1)
    world.crash()
    file = world.disk.open(FILE)
    file.seek(offset)
    file.write(records.encode(Kind.COMMIT, records.number(9), offset, seed))
    with pytest.raises(DataDamaged) as refused:
        world.open()
    assert refused.value.fields == {"file": FILE, "offset": offset}


def test_finding_10_a_commit_beyond_the_log_is_not_written() -> None:
    world = World()
    world.create()
    world.run([("add", 3)])
    with pytest.raises(AssertionError):
        world.journal.setRaftCommitIndex(4)
    world.journal.setRaftCommitIndex(3)
    with pytest.raises(AssertionError):
        world.journal.deleteEntriesFrom(3)


def test_finding_11_stock_loads_garbage_and_trips_over_zeros(tmp_path: Path) -> None:
    path = str(tmp_path / "journal")
    stock = FileJournal(path)
    for index in range(1, 11):
        stock.add(b"\0right", index, 1)
    stock.flush()
    with open(path, "r+b") as file:
        file.seek(40 + 4 + 16 + 1)
        file.write(b"\xff")
    assert FileJournal(path)[0][0] == b"\0\xffight"
    with open(path, "r+b") as file:
        file.seek(40 + 9 * (8 + 16 + 6))
        file.write(bytes(30))
    with pytest.raises(struct.error):
        FileJournal(path)


def test_finding_11_stock_ends_at_four_gib() -> None:
    class Endless:
        def write(self, offset: int, data: bytes) -> None: ...

    stock = FileJournal.__new__(FileJournal)
    stock.__dict__.update(
        _FileJournal__journalFile=Endless(),
        _FileJournal__journal=[],
        _FileJournal__currentOffset=2**32 - 10,
    )
    with pytest.raises(struct.error):
        stock.add(b"x" * 20, 1, 1)
    assert len(stock) == 1, "and the entry is in its memory all the same"


def test_finding_11_a_flipped_bit_anywhere_refuses() -> None:
    world = World(4096)
    world.create()
    world.run([("add", 3), ("vote",), ("commit",), ("sync",)])
    end = world.journal._offset - records.SYNCED_SIZE
    world.crash()
    rng = Random(11)
    for at in range(end):
        bit = rng.randrange(8)
        world.disk.flip(FILE, at, bit)
        with pytest.raises(DataDamaged) as refused:
            world.open()
        assert refused.value.fields["file"] == FILE
        assert refused.value.fields["offset"] <= at
        world.disk.flip(FILE, at, bit)
    world.open()
    world.check()


def test_finding_25_stock_runs_empty_on_a_damaged_dump(tmp_path: Path, ticker: Ticker) -> None:
    stock = Stock(tmp_path)
    ticker.tick(stock, 1.0, 5)
    put(stock, range(8), ticker)
    stock.forceLogCompaction()
    ticker.tick(stock, 1.0, 3)
    dump = tmp_path / "dump"
    data = bytearray(dump.read_bytes())
    data[len(data) // 2] ^= 1
    dump.write_bytes(data)
    again = Stock(tmp_path)
    ticker.tick(again, 1.0, 5)
    assert again._isLeader()
    assert again.seen == [], "it leads, without its state"


def test_finding_25_a_damaged_snapshot_refuses() -> None:
    world = World()
    snapshots = Snapshots(world.edges, "data/snapshots", cluster=CLUSTER)
    meta = SnapshotMeta(CLUSTER, 9, 2, b"members", 1234)
    marker = snapshots.write(meta, [os.urandom(40) for _ in range(3)])
    path = f"data/snapshots/{marker.name}"
    for at in range(marker.size):
        world.disk.flip(path, at, at % 8)
        with pytest.raises(DataDamaged) as refused:
            for _ in snapshots.load(marker)[1]:
                pass
        assert refused.value.fields["file"] == path
        assert refused.value.fields["offset"] <= at
        world.disk.flip(path, at, at % 8)
    found, chunks = snapshots.load(marker)
    assert found == meta
    assert len(list(chunks)) == 3
