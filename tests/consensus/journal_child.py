"""A process that writes to a journal without end and says what is durable, to be killed.

Each line on stdout: synced index, term, snapshot index. What it says was synced before.
"""

import asyncio
import itertools
import sys
from random import Random

from raftcoord.consensus.edges import RealEdges
from raftcoord.consensus.journal import Journal
from raftcoord.consensus.records import SnapshotMarker


async def main(path: str, seed: int) -> None:
    edges, rng = RealEdges(), Random(seed)
    sizes = {"cluster": "c", "node": "n", "segment_bytes": 64 << 10}
    if Journal.exists(edges, path):
        journal = Journal.open(edges, path, **sizes)
    else:
        base = [(b"\x01", 0, 0)]
        journal = Journal.create(edges, path, incarnation=1, base=base, commit=0, **sizes)
    loop = asyncio.get_running_loop()
    for turn in itertools.count():
        for _ in range(rng.randint(1, 20)):
            index = journal[-1][1] + 1
            journal.add(index.to_bytes(8) * rng.choice([1, 10, 300]), index, 1)
        if turn % 7 == 3:
            journal.setCurrentTerm(journal.getCurrentTerm() + 1, "n")
        if turn % 5 == 4:
            journal.setRaftCommitIndex(journal.synced_index)
        if turn % 40 == 39:
            commit = journal.getRaftCommitIndex()
            journal.mark_snapshot(SnapshotMarker(commit, 1, "s", 1, 1))
        while (job := journal.take()) is None:
            await asyncio.sleep(0.001)
        ended = loop.create_future()
        term, marker = journal.getCurrentTerm(), journal.snapshot
        edges.run(job, lambda _, error, ended=ended: ended.set_result(error))
        journal.taken(await ended)
        snapshot = 0 if marker is None else marker.index
        if turn % 40 == 39 and not journal.dirty:
            journal.forget(max(journal[0][1], snapshot - 50))
        sys.stdout.write(f"{journal.synced_index} {term} {snapshot}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
