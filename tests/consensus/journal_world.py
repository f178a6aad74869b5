"""A journal on a simulated disk, beside a plain model of what it must remember.

Records are durable in the order they were appended, so after any crash the journal must stand
where the model stood after some step: not before the last one whose sync was reported, and not
after the last one that was taken.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any, NoReturn

from chaos.simulation.disk import Killed, SimDisk
from raftcoord.consensus.contents import PLACEHOLDER
from raftcoord.consensus.journal import Journal
from raftcoord.consensus.records import Entry, SnapshotMarker

CLUSTER, NODE, FOLDER = "crashes", "n1", "data/journal"
Step = tuple[Any, ...]


class Stopped(Exception):
    """The node ended its process."""


class DirectEdges:
    """Edges whose jobs run at once, or, with `hold`, when the test lets them."""

    def __init__(self, disk: SimDisk) -> None:
        self.disk = disk
        self.hold = False
        self.held: deque[tuple[Callable[[], Any], Callable[..., None]]] = deque()

    def monotonic(self) -> float:
        return 0.0

    def random(self) -> float:
        return 0.5

    def random_bytes(self, count: int) -> bytes:
        return bytes(count)

    def run(self, job: Callable[[], Any], done: Callable[..., None], *, lane: str = "") -> None:
        self.held.append((job, done))
        if not self.hold:
            self.let_go()

    def let_go(self) -> None:
        """Run what was held."""
        while self.held:
            job, done = self.held.popleft()
            try:
                result, error = job(), None
            except OSError as failure:
                result, error = None, failure
            done(result, error)

    def fork(self, job: Callable[[], None], done: Callable[[int], None]) -> None:
        job()
        done(0)

    def stop(self, reason: str) -> NoReturn:
        raise Stopped(reason)


class NothingKept(Random):
    """The worst power cut: not one unsynced byte reached the disk."""

    def randint(self, a: int, b: int) -> int:
        return a

    def random(self) -> float:
        return 1.0


@dataclass
class Model:
    """What a journal must remember, as plainly as can be."""

    entries: list[Entry] = field(default_factory=lambda: [(b"\x01", 0, 0)])
    term: int = 0
    vote: str | None = None
    commit: int = 0
    snapshot: SnapshotMarker | None = None

    @property
    def last(self) -> int:
        return self.entries[-1][1]

    def __str__(self) -> str:
        return outline(self.entries, self.term, self.vote, self.commit, self.snapshot)

    def copy(self) -> "Model":
        return Model(list(self.entries), self.term, self.vote, self.commit, self.snapshot)

    def at(self, index: int) -> Entry:
        return self.entries[index - self.entries[0][1]]

    def reset(self, index: int, term: int, keep: bool) -> None:
        behind = [e for e in self.entries if e[1] > index] if keep else []
        here = [e for e in self.entries if keep and e[1:] == (index, term)]
        self.entries = (here or [(PLACEHOLDER, index, term)]) + behind
        self.commit = max(self.commit, index)

    def repaired(self) -> "Model":
        """What an open makes of a snapshot that was marked before the log made way for it."""
        copy = self.copy()
        marker = self.snapshot
        if marker is not None and all(e[1:] != (marker.index, marker.term) for e in self.entries):
            copy.reset(marker.index, marker.term, False)
        elif marker is not None:
            copy.commit = max(copy.commit, marker.index)
        return copy

    def matches(self, journal: Journal, floor: int) -> bool:
        """Whether the journal says the same about all that was not forgotten."""
        floor = max(floor, self.entries[0][1])
        found = [e for e in journal[:] if e[1] >= floor]
        wanted = [e for e in self.entries if e[1] >= floor]
        if found and found[0][0] == PLACEHOLDER and found[0][1:] == wanted[0][1:]:
            found[0] = wanted[0]
        return (
            found == wanted
            and (journal.getCurrentTerm(), journal.getVotedForNodeId()) == (self.term, self.vote)
            and journal.getRaftCommitIndex() == self.commit
            and journal.snapshot == self.snapshot
        )


def outline(entries: Iterable[Entry], *rest: object) -> str:
    """Short enough to read in a failure."""
    log = " ".join(f"{index}:{term}({len(command)})" for command, index, term in entries)
    return f"[{log}] {rest}"


class World:
    """Runs steps on a journal and on the model, crashes, opens, compares."""

    def __init__(self, segment_bytes: int = 2048) -> None:
        self.disk = SimDisk()
        self.edges = DirectEdges(self.disk)
        self.segment_bytes = segment_bytes
        self.model = Model()
        self.history = [self.model.copy()]
        self.positions = [0]
        self.durable = 0
        self.boots = 0
        self.floor = 0
        self.journal: Any = None

    def create(self) -> None:
        """A new journal."""
        self.journal = Journal.create(
            self.edges,
            FOLDER,
            cluster=CLUSTER,
            node=NODE,
            incarnation=1,
            base=self.model.entries,
            commit=0,
            segment_bytes=self.segment_bytes,
        )
        self.boots = self.journal.boot

    def open(self) -> Journal:
        """Read it."""
        self.journal = Journal.open(
            self.edges, FOLDER, cluster=CLUSTER, node=NODE, segment_bytes=self.segment_bytes
        )
        assert self.journal.boot > self.boots
        self.boots = self.journal.boot
        return self.journal

    def run(self, steps: Iterable[Step]) -> None:
        """Each step: a name of a method of this class, and its arguments."""
        for name, *arguments in steps:
            getattr(self, name)(*arguments)

    def _did(self) -> None:
        """A step was taken on the model and is now taken on the journal."""
        self.history.append(self.model.copy())
        # A commit record is durable only with a record behind it.
        self.positions.append(self.journal.position + 1)

    def add(self, count: int, size: int = 20) -> None:
        for _ in range(count):
            index = self.model.last + 1
            entry = (bytes([index % 251]) * size, index, self.model.term)
            self.model.entries.append(entry)
            self._did()
            self.journal.add(*entry)

    def cut(self, count: int) -> None:
        """The last entries, as far as they are not committed and one stays."""
        keep = max(self.model.last - count, self.model.commit)
        del self.model.entries[keep - self.model.entries[0][1] + 1 :]
        self._did()
        self.journal.deleteEntriesFrom(keep - self.journal[0][1] + 1)

    def commit(self, behind: int = 0) -> None:
        """Up to that many before the end."""
        index = self.model.last - behind
        if index > self.model.commit:
            self.model.commit = index
            self._did()
            self.journal.setRaftCommitIndex(index)

    def vote(self, whom: str | None = "n2") -> None:
        self.model.term, self.model.vote = self.model.term + 1, whom
        self._did()
        self.journal.setCurrentTerm(self.model.term, whom)

    def _mark(self, index: int, term: int) -> None:
        marker = SnapshotMarker(index, term, f"snapshot-{index}", 1 << 40, 0xFFFFFFFF)
        self.model.snapshot = marker
        self._did()
        self.journal.mark_snapshot(marker)

    def mark(self) -> None:
        """An own snapshot of what is committed."""
        if self.model.commit >= self.model.entries[0][1]:
            self._mark(*self.model.at(self.model.commit)[1:])

    def forget(self, behind: int = 0) -> None:
        """Everything more than `behind` entries before the last durable snapshot."""
        marker = self.history[self.durable].snapshot
        if marker is None or marker.index - behind <= self.model.entries[0][1]:
            return
        index = marker.index - behind
        del self.model.entries[: index - self.model.entries[0][1]]
        self.floor = max(self.floor, index)
        self.journal.forget(index)

    def install(self, ahead: int) -> None:
        """A leader's snapshot that ends that far behind the commit index, perhaps in the log."""
        index = self.model.commit + ahead
        held = index <= self.model.last
        term = self.model.at(index)[2] if held else self.model.term
        self._mark(index, term)
        self.model.reset(index, term, held)
        self._did()
        self.journal.reset(index, term, held)

    def sync(self) -> None:
        """Everything so far."""
        job = self.journal.take()
        if job is None:
            return
        upto = len(self.history) - 1
        used = self.disk.used()
        job()
        assert self.disk.used() == used, "a write needed room that was not reserved"
        self.journal.taken(None)
        if not self.journal._batches:
            self.durable = upto
            assert not self.journal.dirty
            assert self.journal.synced == self.journal.position
            return
        # Some of it waits for a file: durable is what stood before those records.
        assert self.edges.hold or self.disk.capacity is not None
        while self.durable < upto and self.positions[self.durable + 1] <= self.journal.synced:
            self.durable += 1

    def hold(self) -> None:
        """The bulk lane does nothing from here on."""
        self.edges.hold = True

    def go(self) -> None:
        """The bulk lane works again."""
        self.edges.hold = False
        self.edges.let_go()

    def fill(self) -> None:
        """The disk is full."""
        self.disk.capacity = self.disk.used()

    def empty(self) -> None:
        """There is room again; the driver's timer notices."""
        self.disk.capacity = None
        self.journal.retry_space()

    def crash(self, rng: Random | None = None) -> None:
        """A kill, or, with `rng`, a power cut."""
        self.edges.held.clear()
        self.edges.hold = False
        self.disk.capacity = None
        self.disk.crash(rng, power=rng is not None)

    def check(self) -> None:
        """The opened journal stands where the model stood, somewhere it may."""
        allowed = range(len(self.history) - 1, self.durable - 1, -1)
        for step in allowed:
            stood = self.history[step].repaired()
            if stood.matches(self.journal, self.floor):
                stood.entries = [e for e in stood.entries if e[1] >= self.floor]
                self.model = stood
                self.history, self.positions, self.durable = [stood.copy()], [0], 0
                return
        journal = self.journal
        found = outline(
            journal[:],
            journal.getCurrentTerm(),
            journal.getVotedForNodeId(),
            journal.getRaftCommitIndex(),
            journal.snapshot,
        )
        stood_at = "\n".join(map(str, self.history[self.durable :]))
        raise AssertionError(f"{found}\nis none of (floor {self.floor})\n{stood_at}")


def killed(run: Callable[[], None]) -> bool:
    """Whether the process was killed while it ran this."""
    try:
        run()
    except Killed:
        return True
    return False
