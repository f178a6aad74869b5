"""Random schedules of real cores: members are killed, cut off, paused, damaged, wiped and moved
while callers write and read everywhere. Then all calm down, and what callers were told is held
against what happened."""

from random import Random
from typing import NamedTuple

import pytest

from raftcoord.consensus import messages as msg
from raftcoord.consensus.membership import Member
from raftcoord.consensus.proposals import Outcome
from raftcoord.consensus.raft import Raft
from raftcoord.errors import DataDamaged
from tests.consensus.lockstep import JOURNAL, Running, World


class Asked(NamedTuple):
    """A write: at which run of which member it was proposed, and how it ended."""

    member: Running
    outcomes: list[Outcome]


class Looked(NamedTuple):
    """A read: where it began, what had been acknowledged by then, and its answers."""

    member: Running
    acknowledged: int
    answers: list[int | None]


class Storm:
    """What may happen, and what is held against it.

    Args:
        members: whether members are also wiped, damaged, added and removed.
    """

    def __init__(self, seed: int, *, members: bool) -> None:
        self.rng = Random(seed)
        self.members = members
        self.names = "ABCD" if members else "ABC"
        self.world = World(
            "ABC", segment=1 << 13, batch=200, window=3, keep_behind=5, promote_within=10
        )
        self.world.chance = self.rng.random
        self.asked: dict[str, Asked] = {}
        self.looked: list[Looked] = []
        self.acknowledged = 0
        self.incarnation = 0
        if members:
            self.wipe("D")

    def run(self, steps: int) -> None:
        """So many things happen, one after the other."""
        for _ in range(steps):
            a, b = self.rng.sample(self.names, 2)
            self.step(a, b, self.rng.random())

    def step(self, a: str, b: str, draw: float) -> None:
        """One thing, with two members."""
        world, rng = self.world, self.rng
        up = sorted(world.members)
        if draw < 0.5:
            world.deliver(a, b, rng.randint(1, 8))
        elif draw < 0.83:
            world.tick(rng.choice(up), dt=rng.random() * 0.02)
        elif draw < 0.91:
            self.write(rng.choice(up))
        elif draw < 0.95:
            self.read(rng.choice(up))
        elif draw < 0.954:
            world.cut(a, b)
        elif draw < 0.975:
            if a in up and b in up:
                world.connect(a, b)
        elif draw < 0.981:
            world[rng.choice(up)].take_snapshot()
        elif draw < 0.984:
            world[rng.choice(up)].transfer(None, lambda moved: None)
        elif draw < 0.989 and self.members:
            self.change(a)
        elif draw < 0.993 and len(up) > 1:
            world.kill(rng.choice(up), power=rng.random() < 0.5)
        else:
            for name in sorted(set(self.names) - set(up)):
                world.start(name)

    def write(self, name: str) -> None:
        """A caller proposes."""
        value = f"value-{len(self.asked)}"
        asked = self.asked[value] = Asked(self.world.members[name], [])

        def told(outcome: Outcome) -> None:
            asked.outcomes.append(outcome)
            self.acknowledged = max(self.acknowledged, outcome.index)

        asked.member.raft.propose(value.encode(), told)

    def read(self, name: str) -> None:
        """A caller asks."""
        looked = Looked(self.world.members[name], self.acknowledged, [])
        self.looked.append(looked)

        def told(index: int | None) -> None:
            looked.answers.append(index)
            if index is not None:
                assert looked.acknowledged <= index <= looked.member.raft.applied

        looked.member.raft.read(told)

    # Members come and go, one folder at a time.

    def whole(self) -> bool:
        """Whether every voter runs on the folder it votes with, undamaged."""
        voters = [self.world[name] for name in self.world.members if name != "D"]
        return len(voters) == 3 and all(
            raft.is_voter() and not raft.log.tail_cut for raft in voters
        )

    def wipe(self, name: str) -> None:
        """It starts empty under a new incarnation."""
        self.incarnation += 1
        self.world.join(name, self.incarnation)

    def hurt(self, name: str) -> None:
        """A bit near its journal's end flips; where it refuses to start with that, it is wiped."""
        disk = self.world.disks[name]
        self.world.kill(name)
        for file in reversed(disk.list(JOURNAL)):
            path = f"{JOURNAL}/{file}"
            end = len(disk.content(path).rstrip(b"\0"))
            if end:
                break
        disk.flip(path, max(end - self.rng.randint(1, 200), 0), self.rng.randrange(8))
        try:
            self.world.start(name)
        except DataDamaged:
            self.wipe(name)

    def change(self, name: str) -> None:
        """It is wiped or damaged, where no other folder is in doubt; and D comes or goes."""
        world = self.world
        if name != "D" and name in world.members and self.whole():
            if self.rng.random() < 0.3:
                self.wipe(name)
            else:
                self.hurt(name)
        for leader in world.leaders:
            configuration = world[leader].history.current
            new = configuration.without("D")
            if "D" not in configuration.members and "D" in world.members:
                incarnation = world["D"].log.incarnation
                learner = Member("D:1", "D:2", incarnation, voter=False, promote=True)
                new = configuration.with_member("D", learner)
            world[leader].change_configuration(new, lambda outcome: None)
        self.ask_in()

    def ask_in(self) -> None:
        """What the driver of a node that lost its folder does a few times a second."""
        for name, member in self.world.members.items():
            mine = member.raft.history.current.members.get(name)
            incarnation = member.journal.incarnation
            if name != "D" and incarnation and (mine is None or mine.incarnation != incarnation):
                for leader in self.world.leaders:
                    join = msg.Join(
                        term=0, incarnation=incarnation, peer=f"{name}:1", http=f"{name}:2"
                    )
                    self.world.hand(name, leader, join)

    # Afterwards.

    def settle(self) -> None:
        """Let everybody run, hear everybody, and agree."""
        world = self.world
        for name in self.names:
            if name not in world.members:
                world.start(name)
        for name in self.names:
            world.heal(name)
        for _ in range(600):
            world.pump(rounds=1, dt=0.02)
            self.ask_in()
            if len(world.leaders) == 1 and self.settled(world[world.leaders]):
                return
        raise AssertionError("they do not agree")

    def settled(self, leader: Raft) -> bool:
        """Whether nothing waits at the leader, and all members have applied all."""
        members = leader.history.current.members
        ready = (
            leader.is_ready() and not leader.backlog()["queued"] and members.keys() >= set("ABC")
        )
        return ready and {self.world[n].applied for n in members} == {leader.last().index}

    def judge(self) -> None:
        """Hold what callers were told against what happened."""
        world = self.world
        seen = world.seen("A")
        members = world[world.leaders].history.current.members
        for name in members:
            assert world.seen(name) == seen
        assert len(seen) == len(set(seen)), "executed twice"
        # Whoever waits at a node that died is told nothing; at one that was removed, not yet.
        lives = {id(world.members[name]) for name in members}
        for value, asked in self.asked.items():
            assert len(asked.outcomes) == 1 or not (id(asked.member) in lives or asked.outcomes)
            for outcome in asked.outcomes:
                assert outcome.kind != "applied" or value in seen, value
                assert outcome.kind != "refused" or value not in seen, value
        for looked in self.looked:
            assert len(looked.answers) == 1 or not (id(looked.member) in lives or looked.answers)


@pytest.mark.parametrize("members", [False, True])
@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_callers_are_told_once_and_the_truth(seed: int, members: bool) -> None:
    storm = Storm(seed, members=members)
    storm.run(1500)
    storm.settle()
    storm.judge()
