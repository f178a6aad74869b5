"""The journal on real files, with real threads and a real SIGKILL."""

import asyncio
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from raftcoord.consensus.edges import RealEdges
from raftcoord.consensus.journal import Journal
from raftcoord.consensus.snapshots import SnapshotMeta, Snapshots
from raftcoord.errors import DataDamaged

BASE = [(b"\x01", 0, 0)]
OURS = {"cluster": "c", "node": "n", "segment_bytes": 64 << 10}


def create(path: Path) -> Journal:
    return Journal.create(RealEdges(), str(path), incarnation=1, base=BASE, commit=0, **OURS)


def open_(path: Path) -> Journal:
    return Journal.open(RealEdges(), str(path), **OURS)


def test_written_and_read_again(tmp_path: Path) -> None:
    journal = create(tmp_path / "deep" / "journal")
    for index in range(1, 200):
        journal.add(bytes([index]) * 100, index, 3)
    journal.setCurrentTerm(3, "n2")
    journal.setRaftCommitIndex(150)
    journal.take()()
    journal.taken(None)
    entries = journal[:]
    journal._destroy()
    again = open_(tmp_path / "deep" / "journal")
    assert again[:] == entries
    assert (again.getCurrentTerm(), again.getVotedForNodeId()) == (3, "n2")
    assert again.getRaftCommitIndex() == 150
    assert again.boot == 2
    again._destroy()


def test_many_files_by_the_lanes_of_a_loop(tmp_path: Path) -> None:
    async def write() -> list[tuple[bytes, int, int]]:
        edges = RealEdges()
        path = str(tmp_path / "journal")
        journal = Journal.create(edges, path, incarnation=1, base=BASE, commit=0, **OURS)
        ready = asyncio.Event()
        journal.wake = ready.set
        for index in range(1, 3000):
            journal.add(index.to_bytes(2) * 200, index, 1)
        while journal.dirty:
            if (job := journal.take()) is None:
                await asyncio.wait_for(ready.wait(), 20)
                ready.clear()
                continue
            ended = asyncio.get_running_loop().create_future()
            edges.run(job, lambda _, error, ended=ended: ended.set_result(error))
            journal.taken(await ended)
        assert journal.synced_index == 2999
        entries = journal[:]
        journal._destroy()
        return entries

    entries = asyncio.run(write())
    assert len(list((tmp_path / "journal").iterdir())) > 15
    journal = open_(tmp_path / "journal")
    assert journal[:] == entries
    journal._destroy()


def test_a_flipped_bit_in_a_real_file(tmp_path: Path) -> None:
    create(tmp_path)._destroy()
    path = tmp_path / "journal-00000001.log"
    data = bytearray(path.read_bytes())
    data[120] ^= 4
    path.write_bytes(data)
    with pytest.raises(DataDamaged) as error:
        open_(tmp_path)
    assert error.value.fields["file"] == str(path)
    assert error.value.fields["offset"] <= 120


def test_a_snapshot_on_a_real_disk(tmp_path: Path) -> None:
    snapshots = Snapshots(RealEdges(), str(tmp_path / "a" / "snapshots"), cluster="c")
    meta = SnapshotMeta("c", 5, 2, b"members", 77)
    marker = snapshots.write(meta, iter([b"x" * 65536] * 40))
    assert snapshots.describe(marker.name) == marker
    found, chunks = snapshots.load(marker)
    assert (found, list(chunks)) == (meta, [b"x" * 65536] * 40)
    assert (tmp_path / "a" / "snapshots" / marker.name).stat().st_size == marker.size


def test_killed_while_it_writes(tmp_path: Path) -> None:
    """SIGKILL at no particular moment, again and again on the same files."""
    rng = Random(9)
    floor = 0
    for life in range(6):
        command = [sys.executable, "-m", "tests.consensus.journal_child", str(tmp_path), str(life)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            for _ in range(rng.randint(1, 120)):
                assert child.stdout is not None
                said = child.stdout.readline()
                assert said, "the child ended by itself"
            child.kill()
            rest = child.stdout.read()
        lines = (said + rest).splitlines(keepends=True)
        last = [line for line in lines if line.endswith("\n")][-1]
        index, term, snapshot = map(int, last.split())
        journal = open_(tmp_path)
        assert not journal.tail_cut
        assert journal[-1][1] >= index > floor
        assert journal.getCurrentTerm() >= term
        assert (0 if journal.snapshot is None else journal.snapshot.index) >= snapshot
        numbers = [at for _, at, _ in journal[:]]
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        for entry, at, _ in journal[1:]:
            assert entry[:8] == at.to_bytes(8)
        floor = index
        journal._destroy()
