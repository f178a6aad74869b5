"""The judge of changes of members, by hand-made sequences."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.simulation.disk import SimDisk
from chaos.simulation.judges.chronicle import Chronicle
from chaos.simulation.judges.configurations import CLUSTER, Configurations
from chaos.simulation.judges.logs import Logs
from chaos.simulation.judges.once import Once
from chaos.simulation.observer import Observers
from raftcoord.consensus.contents import PLACEHOLDER
from raftcoord.consensus.core import CONFIGURATION, NO_OP
from raftcoord.consensus.membership import Configuration, Member, encode_configuration
from raftcoord.consensus.serving import stamp
from raftcoord.consensus.snapshot_file import SnapshotMeta, write_all
from raftcoord.machine.state import Applied
from tests.chaos.judged import World, broken

NOTHING = Applied(None, (), None)


def voter(incarnation: int = 0) -> Member:
    return Member("h:1", "h:2", incarnation=incarnation)


THREE = Configuration({"n1": voter(), "n2": voter(), "n3": voter()})
FOUR = THREE.with_member("n4", voter(7))
LEARNER = THREE.with_member("n4", Member("h:1", "h:2", incarnation=7, voter=False))
TWO = THREE.without("n3")


class Applying:
    """A machine that applied so much."""

    def __init__(self, applied: int) -> None:
        self.applied = applied
        self.clock = 0

    def digest(self) -> int:
        return 7


class Node:
    """A node whose consensus has committed so much."""

    def __init__(self) -> None:
        self.raft = self
        self.commit = 1


class Scene:
    """n1 and n2, whose logs begin with the configuration of three; it is applied."""

    def __init__(self) -> None:
        self.chronicle = Chronicle(Once())
        self.logs = Logs(self.chronicle)
        self.judges = Observers((self.logs, self.chronicle, Configurations(self.logs)))
        self.world = World("n1", "n2")
        for host in self.world.hosts.values():
            host.node = Node()
            host.disk = SimDisk()  # type: ignore[assignment]
        self.judges.began(self.world)
        self.ends = {"n1": 1, "n2": 1}
        for name in self.ends:
            self.open(name)
        self.applied = 0
        self.apply(1, 0)

    def open(self, name: str) -> None:
        first = (1, 0, configuration(THREE))
        self.judges.opened(0, name, 1, [(0, 0, b"\1"), first])

    def apply(self, index: int, term: int) -> None:
        machine: Any = Applying(index)
        self.judges.applied(0, "n1", index, term, 0, b"", NOTHING, machine)

    def lead(self, name: str, term: int) -> None:
        """It leads, and appends its first entry."""
        self.judges.role(1, name, "leader", term)
        self.append(name, term, NO_OP)

    def append(self, name: str, term: int, command: bytes) -> None:
        self.ends[name] += 1
        self.judges.appended(1, name, self.ends[name], term, command)

    def change(self, name: str, term: int, members: Configuration) -> None:
        self.append(name, term, configuration(members))

    def commit(self, name: str, index: int) -> None:
        self.world.hosts[name].node.commit = index

    def publish(self, index: int, members: Configuration, spoil: int | None = None) -> None:
        """n1's disk has a snapshot of that entry now."""
        disk: Any = self.world.hosts["n1"].disk
        path = f"snapshot-{index}.snap"
        file = disk.open(path, create=True)
        meta = SnapshotMeta(CLUSTER, index, 1, encode_configuration(members), 0)
        write_all(file, meta, [b"state"])
        if spoil is not None:
            disk.flip(path, spoil)
        self.judges.wrote(1, "n1", "write", path, 1)
        self.judges.wrote(1, "n1", "rename", path, 0)


def configuration(members: Configuration) -> bytes:
    return stamp(CONFIGURATION, 0, encode_configuration(members))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_changes_one_after_the_other_are_fine(scene: Scene) -> None:
    scene.lead("n1", 1)
    scene.commit("n1", 2)
    for at, members in enumerate((LEARNER, FOUR, FOUR, FOUR.without("n3"), TWO), 3):
        scene.change("n1", 1, members)
        scene.commit("n1", at)


def test_a_change_before_the_leader_committed_anything_of_its_own(scene: Scene) -> None:
    scene.lead("n1", 1)
    with broken("state machine safety", "with 1 committed: its own first entry, 2, is not"):
        scene.change("n1", 1, TWO)


def test_a_change_while_another_is_under_way(scene: Scene) -> None:
    scene.lead("n1", 1)
    scene.commit("n1", 2)
    scene.change("n1", 1, LEARNER)
    with broken("state machine safety", "configuration 4 with 2 committed: the one before it, 3"):
        scene.change("n1", 1, FOUR)


def test_a_change_while_that_of_another_leader_is_under_way(scene: Scene) -> None:
    scene.lead("n1", 1)
    scene.commit("n1", 2)
    scene.change("n1", 1, LEARNER)
    scene.append("n2", 1, NO_OP)
    scene.change("n2", 1, LEARNER)
    scene.lead("n2", 2)
    scene.commit("n2", 4)
    scene.change("n2", 2, FOUR)  # its own first entry lies behind the former change
    assert scene.ends["n2"] == 5


def test_followers_take_what_comes(scene: Scene) -> None:
    scene.change("n2", 1, LEARNER)
    scene.change("n2", 1, FOUR)
    scene.change("n2", 1, TWO)


def test_a_change_that_was_cut_counts_no_more(scene: Scene) -> None:
    scene.change("n1", 1, FOUR)
    scene.judges.cut(1, "n1", 2)
    scene.ends["n1"] = 1
    scene.lead("n1", 2)
    scene.commit("n1", 2)
    scene.change("n1", 2, TWO)


@pytest.mark.parametrize(
    "members",
    [
        THREE.without("n3").without("n2"),
        THREE.with_member("n4", voter(7)).with_member("n5", voter(8)),
        TWO.with_member("n4", voter(7)),
        THREE.with_member("n3", voter(9)),
    ],
)
def test_a_change_of_more_than_one(scene: Scene, members: Configuration) -> None:
    scene.lead("n1", 1)
    scene.commit("n1", 2)
    with broken("state machine safety", "appends the configuration 3 of .*; 1 has n1 of 0"):
        scene.change("n1", 1, members)


def test_a_log_that_begins_with_a_snapshot(scene: Scene) -> None:
    scene.append("n1", 1, NO_OP)
    scene.change("n1", 1, FOUR)
    scene.apply(2, 1)
    scene.apply(3, 1)
    scene.judges.reset(2, "n2", 3, 1, False)
    scene.ends["n2"] = 3
    scene.lead("n2", 2)
    scene.commit("n2", 4)
    with broken("state machine safety", "configuration 5 of n1 of 0, n2 of 0; 3 has"):
        scene.change("n2", 2, TWO)


def test_a_log_that_is_opened_again(scene: Scene) -> None:
    scene.judges.stopped(2, "n2", 1, "kill")
    log = [(1, 0, PLACEHOLDER), (2, 1, configuration(FOUR))]
    scene.judges.opened(2, "n2", 2, log)
    scene.ends["n2"] = 2
    scene.lead("n2", 2)
    scene.commit("n2", 3)
    scene.change("n2", 2, FOUR.without("n1"))


def test_snapshots_that_hold_who_the_members_were_are_fine(scene: Scene) -> None:
    scene.publish(1, THREE)
    scene.append("n1", 1, NO_OP)
    scene.change("n1", 1, FOUR)
    scene.apply(2, 1)
    scene.publish(2, THREE)
    scene.apply(3, 1)
    scene.publish(3, FOUR)


def test_a_snapshot_of_members_that_are_not_committed(scene: Scene) -> None:
    scene.append("n1", 1, NO_OP)
    scene.change("n1", 1, FOUR)
    scene.apply(2, 1)
    with broken("state machine safety", "snapshot of entry 2 that says .* n4 of 7; entry 1 says"):
        scene.publish(2, FOUR)


def test_a_snapshot_of_members_that_were_others_before(scene: Scene) -> None:
    scene.append("n1", 1, NO_OP)
    scene.change("n1", 1, FOUR)
    scene.apply(2, 1)
    scene.apply(3, 1)
    with broken("state machine safety", "n1 has a snapshot of entry 3"):
        scene.publish(3, THREE)


def test_a_snapshot_whose_head_is_damaged_says_nothing(scene: Scene) -> None:
    scene.publish(1, TWO, spoil=40)
