"""Damage to the end of a journal, behind its last sync marker.

A start leaves out what is damaged there instead of refusing it, though somebody may have been told
about it: until the member holds again what its leader has committed it must not vote.
"""

from __future__ import annotations

from chaos.simulation.disk import SimDisk
from chaos.simulation.faults.act import Act, Catalogue
from chaos.simulation.faults.damage import JOURNAL, Spot
from chaos.simulation.faults.links import cut
from chaos.simulation.faults.losses import may_lose, restart_damaged
from chaos.simulation.faults.processes import come_back
from raftcoord.consensus import records, segments
from raftcoord.consensus.records import Kind

FAULTS = Catalogue()

_GLANCE = 0.005
_PATIENCE = 2.0
"""Seconds for which a new file of a journal is waited for."""


@FAULTS.of(2)
def flip_tail(act: Act) -> bool:
    """A bit behind the last sync marker is another when a member starts again.

    Where the power cut left nothing behind the marker, a power cut is all that it was.
    """
    name = act.member()
    if not _may_flip(act, name):
        return False
    act.world.kill(name, power=act.rng.random() < 0.3)
    if not _flip(act, name):
        come_back(act, name, act.rng.uniform(0.0, 1.0))
        return False
    restart_damaged(act, name, act.rng.uniform(0.0, 1.0))
    return True


@FAULTS.of(3)
def flip_needed_tail(act: Act) -> bool:
    """The same for what just a majority holds, and its leader is away meanwhile.

    Those that are left are a majority as well, but they have forgotten what was acknowledged: they
    have to wait for the leader.
    """
    world, names = act.world, sorted(act.world.members)
    leader = world.leader()
    others = [name for name in names if name != leader and name in world.alive()]
    if leader is None or len(others) < len(names) - 1 or len(others) < 2:
        return False
    needed = _Needed(act, leader, act.rng.sample(others, len(others)))
    if not _may_flip(act, needed.victim):
        return False
    needed.begin()
    return True


class _Needed:
    """`others`: who follows the leader; the first of them is to lose what it acknowledged."""

    def __init__(self, act: Act, leader: str, others: list[str]) -> None:
        rng = act.rng
        self.victim = others[0]
        self._act = act
        self._leader = leader
        self._others = others
        self._member = act.world.hosts[self.victim]
        self._disk = self._member.disk
        self._newest = _newest(self._disk)
        self._away = rng.uniform(1.0, 4.0)
        self._at_begin = rng.random() < 0.4
        # For long: many entries that the others lack. For a moment: hardly more than the last one.
        most = _PATIENCE if self._at_begin else rng.uniform(0.01, rng.choice((0.06, 0.6)))
        self._until = act.world.loop.time() + most

    def begin(self) -> None:
        """From now on the leader is heard by just a majority."""
        act, without = self._act, self._others[1:][: len(self._others) // 2]
        time = act.world.loop.time()
        self._cut(without, self._until - time + self._away)
        if self._at_begin:
            self._wait()
        else:
            act.after(self._until - time, self._strike)

    def _wait(self) -> None:
        """Until the journal goes on in a new file, and what is in that is acknowledged."""
        act = self._act
        begun = self._member.disk is self._disk and _newest(self._disk) != self._newest
        if begun or act.world.loop.time() > self._until:
            act.after(act.rng.uniform(0.002, 0.006), self._strike)
        else:
            act.after(_GLANCE, self._wait)

    def _strike(self) -> None:
        act, world, rng = self._act, self._act.world, self._act.rng
        if not _may_flip(act, self.victim):
            return
        world.kill(self.victim)
        _flip(act, self.victim)
        if rng.random() < 0.3:
            far = rng.uniform(0.01, 0.05)
            world.loop.net.slow(self._leader, self.victim, far, both=True)
            act.until(1.0, world.loop.net.slow, self._leader, self.victim, 0.0)
            act.until(1.0, world.loop.net.slow, self.victim, self._leader, 0.0)
            self._leave_when_heard(world.loop.time() + 1.0)
        else:
            self._leave()
        restart_damaged(act, self.victim, rng.uniform(0.0, 0.2))
        if rng.random() < 0.5:
            act.after(rng.uniform(0.3, 0.6), self._again)

    def _leave_when_heard(self, until: float) -> None:
        """The leader is gone as soon as it was heard once more, and before it hears the answer."""
        node = self._member.node
        if (node is not None and node.raft.leader) or self._act.world.loop.time() > until:
            self._leave()
        else:
            self._act.after(_GLANCE, self._leave_when_heard, until)

    def _leave(self) -> None:
        if self._act.rng.random() < 0.5:
            self._act.world.kill(self._leader)
            come_back(self._act, self._leader, self._away)
        else:
            self._cut(self._others, self._away)

    def _again(self) -> None:
        world = self._act.world
        if self._member.disk is self._disk and self.victim in world.alive():
            world.kill(self.victim, power=self._act.rng.random() < 0.5)
            come_back(self._act, self.victim, 0.05)

    def _cut(self, names: list[str], seconds: float) -> None:
        leader = self._leader
        cut(self._act, [way for name in names for way in ((leader, name), (name, leader))], seconds)


def tail_spots(disk: SimDisk) -> list[Spot]:
    """Where the records are that no marker says were synced.

    The header of the journal's last file is one of them, until the first marker in that file.
    """
    number = _newest(disk)
    path = f"{JOURNAL}/{segments.name(number)}"
    data = disk.content(path) if number else b""
    found = segments.decode_header(data, number, path)
    if found is None:
        return []
    header, offset = found
    begun = disk.exists(f"{JOURNAL}/{segments.name(header.previous)}")
    spots = [(path, 0, offset)] if begun else []
    start = records.seed(header.cluster, header.node, number)
    while (record := records.decode(data, offset, start)) is not None:
        end = offset + records.OVERHEAD + len(record[1])
        if record[0] == Kind.SYNCED:
            spots.clear()
        else:
            spots.append((path, offset, end))
        offset = end
    return spots


def _newest(disk: SimDisk) -> int:
    """The number of the last file that has a header; 0 where there is none."""
    files = disk.list(JOURNAL) if disk.exists(JOURNAL) else []
    numbers = sorted(n for file in files if (n := segments.number_of(file)) is not None)
    for number in reversed(numbers):
        path = f"{JOURNAL}/{segments.name(number)}"
        if segments.decode_header(disk.content(path), number, path) is not None:
            return number
    return 0


def _may_flip(act: Act, name: str) -> bool:
    world = act.world
    member = world.hosts[name]
    if name not in world.members or member.damaged or not may_lose(world, name):
        return False
    return bool(tail_spots(member.disk))


def _flip(act: Act, name: str) -> bool:
    """Flip a bit of the tail of a member that is down; False where it has none."""
    member, rng = act.world.hosts[name], act.rng
    spots = tail_spots(member.disk)
    if not spots:
        return False
    path, begin, end = spots[0] if rng.random() < 0.7 else rng.choice(spots)
    offset, bit = rng.randrange(begin, end), rng.randrange(8)
    act.note(f"{name}, bit {bit} of byte {offset} of {path}")
    member.damaged = True
    member.disk.flip(path, offset, bit)
    return True
