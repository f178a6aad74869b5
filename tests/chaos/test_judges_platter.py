"""What a power cut would leave is read off the simulated platters, and judged."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

import pytest

from chaos.simulation.disk import SimDisk
from chaos.simulation.judges.chronicle import Chronicle, Entry
from chaos.simulation.judges.durability import Durability
from chaos.simulation.judges.logs import Logs
from chaos.simulation.judges.once import Once
from chaos.simulation.judges.platter import Platter
from chaos.simulation.judges.platters import Platters
from chaos.simulation.judges.votes import Votes
from raftcoord.consensus.journal import Journal
from raftcoord.consensus.membership import Configuration, Member
from raftcoord.consensus.recovery import recover
from tests.chaos.judged import World as JudgedWorld
from tests.chaos.judged import broken
from tests.consensus.journal_world import CLUSTER, FOLDER, NODE, DirectEdges, NothingKept, World


@pytest.fixture
def world() -> World:
    """A journal, new."""
    world = World()
    world.create()
    return world


def watched(disk: SimDisk) -> Platter:
    """The platter of a disk, told of its operations."""
    platter = Platter(disk)
    disk.watch = lambda operation, path, size: platter.changed(operation)
    return platter


def test_an_entry_is_held_from_its_sync_on(world: World) -> None:
    platter = watched(world.disk)
    world.run([("vote",), ("add", 3)])
    platter.look()
    assert platter.holds(0, 0)
    assert not platter.holds(1, 1)
    world.sync()
    platter.look()
    assert platter.holds(3, 1)
    assert not platter.holds(3, 2)
    assert not platter.holds(4, 1)


def test_an_entry_that_was_cut_is_held_no_more(world: World) -> None:
    platter = watched(world.disk)
    world.run([("vote",), ("add", 3), ("sync",), ("cut", 1)])
    platter.look()
    assert platter.holds(3, 1)
    world.run([("vote",), ("add", 1), ("sync",)])
    platter.look()
    assert platter.holds(2, 1)
    assert platter.holds(3, 2)
    assert not platter.holds(3, 1)


def worst(disk: SimDisk) -> dict[int, int]:
    """What the product finds after the worst power cut now: index → term."""
    left = copy.copy(disk)
    left.__dict__ = copy.deepcopy({k: v for k, v in disk.__dict__.items() if k != "watch"})
    left.watch = None
    left.crash(NothingKept(), power=True)
    found = recover(left, FOLDER, CLUSTER, NODE)
    return {index: term for _, index, term in found.contents.entries}


@pytest.mark.parametrize("seed", range(12))
def test_it_reads_what_the_product_would_find(world: World, seed: int) -> None:
    rng, platter = Random(seed), watched(world.disk)
    for _ in range(60):
        step = rng.choice(("add", "add", "add", "cut", "commit", "vote", "sync", "reopen"))
        if step == "add":
            world.add(rng.randrange(1, 6), rng.choice((20, 200)))
        elif step == "cut":
            world.cut(rng.randrange(1, 4))
        elif step == "reopen":
            world.disk.crash(Random(rng.random()), power=rng.random() < 0.5)
            journal = world.open()
            world.model.entries = list(journal[:])
            world.model.term = journal.getCurrentTerm()
            world.model.vote = journal.getVotedForNodeId()
            world.model.commit = journal.getRaftCommitIndex()
            platter = watched(world.disk)
        else:
            getattr(world, step)()
        if rng.random() < 0.5:
            platter.look()
    platter.look()
    assert platter.terms == worst(world.disk)
    assert not platter.damaged


def test_a_journal_whose_only_header_is_damaged_hides_all(world: World) -> None:
    world.run([("vote",), ("add", 3), ("sync",)])
    (file,) = (path for path in world.disk._names if path.endswith("1.log"))
    world.disk.flip(file, 0)
    platter = watched(world.disk)
    platter.look()
    assert platter.holds(3, 1)
    assert Platter(SimDisk()).holds(3, 1) is False


@pytest.mark.parametrize("fresh", [True, False], ids=["fresh", "running"])
def test_a_file_whose_header_is_damaged_hides_what_is_in_it(world: World, fresh: bool) -> None:
    platter = watched(world.disk)
    platter.look()
    while len([path for path in world.disk._names if path.endswith(".log")]) < 3:
        world.run([("add", 3), ("sync",)])
    assert platter.damaged is False
    world.disk.flip(f"{FOLDER}/journal-00000002.log", 0)
    if fresh:
        platter = watched(world.disk)
    platter.look()
    assert platter.damaged
    assert platter.holds(10_000, 1)


def test_what_a_damaged_file_held_in_front_of_a_good_one_is_not_known(world: World) -> None:
    while len([path for path in world.disk._names if path.endswith(".log")]) < 4:
        world.run([("add", 3), ("sync",)])
    world.disk.flip(f"{FOLDER}/journal-00000001.log", 0)
    platter = watched(world.disk)
    platter.look()
    assert not platter.damaged
    assert 1 not in platter.terms
    assert platter.holds(1, 1)
    last = world.model.entries[-1][1]
    assert platter.holds(last, platter.terms[last])
    assert not platter.holds(last + 1, 1)


def test_files_that_came_and_went_between_two_looks_are_passed_over(world: World) -> None:
    platter = watched(world.disk)
    platter.look()
    assert platter.incarnation is not None
    while len([path for path in world.disk._names if path.endswith(".log")]) < 5:
        world.run([("add", 3), ("sync",)])
    world.run([("commit",), ("mark",), ("sync",), ("forget",), ("add", 1), ("sync",)])
    world.run([("hold",), ("go",)])
    platter.look()
    _, last, term = world.model.entries[-1]
    assert not {1, 2} & platter._files.keys()
    assert platter.terms[last] == term


def test_a_damaged_record_hides_what_follows_up_to_the_next_marker(world: World) -> None:
    platter = watched(world.disk)
    world.run([("vote",), ("add", 2), ("sync",)])
    platter.look()
    world.run([("add", 3), ("sync",)])
    path = f"{FOLDER}/journal-00000001.log"
    data = world.disk.content(path)
    world.disk.flip(path, data.rindex(bytes([4]) * 20))
    platter.look()
    assert platter.damaged
    assert platter.holds(4, 1)
    assert platter.holds(99, 1)
    world.run([("add", 1), ("sync",)])
    platter.look()
    assert not platter.damaged
    assert platter.holds(6, 1)
    assert not platter.holds(99, 1)


class Three:
    """Three members with journals, and the judge."""

    def __init__(self) -> None:
        names = ("n1", "n2", "n3")
        self.world = JudgedWorld(*names)
        self.chronicle = Chronicle(Once())
        logs = self.logs = Logs(self.chronicle)
        members = {name: Member(f"{name}:1", f"{name}:2") for name in names}
        logs.configurations[0, 0] = Configuration(members)
        self.platters = Platters(logs)
        self.platters.began(self.world)
        self.judge = Durability(logs, self.platters)
        self.journals: dict[str, Journal] = {}
        for name in names:
            self.new(name, 0)
            self.platters.started(0, name, 1)

    def new(self, name: str, incarnation: int) -> None:
        """An empty disk with a journal."""
        disk = self.world.hosts[name].disk = SimDisk()  # type: ignore[assignment]
        disk.watch = lambda operation, path, size: self.platters.wrote(
            0, name, operation, path, size
        )
        self.journals[name] = Journal.create(
            DirectEdges(disk),
            FOLDER,
            cluster=CLUSTER,
            node=name,
            incarnation=incarnation,
            base=[(b"\1", 0, 0)],
            commit=0,
            segment_bytes=4096,
        )

    def append(self, index: int, *synced: str) -> None:
        """All have the entry, these durably."""
        for name, journal in self.journals.items():
            journal.add(b"\0command", index, 1)
            if name in synced:
                job = journal.take()
                assert job is not None
                job()
                journal.taken(None)

    def applied(self, index: int, member: str = "n1") -> None:
        """A member applies it, as the first."""
        self.chronicle.terms.append(1)
        self.judge.read(Entry(0.0, member, index, 1, 0, 0, None, True, None, (), _NO_MACHINE))


_NO_MACHINE: Any = None


def test_what_a_majority_has_may_be_applied() -> None:
    three = Three()
    three.append(1, "n1", "n3")
    three.applied(1)
    three.append(2, "n2", "n3")
    three.applied(2)


def test_what_one_has_may_not_be_applied() -> None:
    three = Three()
    three.append(1, "n2")
    with broken("durability", r"entry 1 of term 1 is applied, and durable on \['n2'\] of"):
        three.applied(1)


def test_nobody_knows_whose_a_journal_without_headers_is() -> None:
    three = Three()
    three.append(1, "n2", "n3")
    disk: Any = three.world.hosts["n2"].disk
    disk.flip(f"{FOLDER}/journal-00000001.log", 0)
    three.platters.started(2, "n2", 2)
    three.platters._all["n2"].pop()
    three.applied(1)


def test_who_was_wiped_told_the_truth_before() -> None:
    three = Three()
    three.append(1, "n2", "n3")
    three.platters.stopped(1, "n2", 1, "kill")
    three.new("n2", 5)
    three.platters.started(2, "n2", 2)
    three.applied(1)


def test_a_new_folder_does_not_count_for_the_old_one() -> None:
    three = Three()
    three.platters.stopped(1, "n2", 1, "kill")
    three.new("n2", 5)
    three.platters.started(2, "n2", 2)
    three.append(1, "n2", "n3")
    with broken("durability", r"durable on \['n3'\] of the voters"):
        three.applied(1)


def test_who_does_not_vote_does_not_count() -> None:
    three = Three()
    logs = three.logs
    members = dict(logs.configurations[0, 0].members)
    members["n3"] = Member("n3:1", "n3:2", voter=False)
    logs.configurations[0, 0] = Configuration(members)
    three.append(1, "n1", "n3")
    with broken("durability", r"durable on \['n1'\] of the voters \['n1', 'n2'\]"):
        three.applied(1)


def test_a_configuration_that_is_not_applied_yet_may_be_counted_by() -> None:
    three = Three()
    members = {"n1": Member("n1:1", "n1:2")}
    three.logs.configurations[1, 1] = Configuration(members)
    three.append(1, "n1")
    three.applied(1)


def test_older_entries_are_applied_with_the_leaders_own_first_one() -> None:
    three = Three()
    three.logs.opened(0, "n1", 1, [(0, 0, b"\1")])
    three.append(1, "n1", "n2")
    three.logs.appended(1, "n1", 1, 1, b"\0command")
    three.logs.appended(1, "n1", 2, 2, b"\1")
    three.logs.role(1, "n1", "leader", 2)
    with broken("state machine safety", "applies entry 1 of term 1 before its own first one, 2"):
        three.applied(1)
    three = Three()
    three.logs.opened(0, "n1", 1, [(0, 0, b"\1")])
    three.append(1)
    three.append(2, "n1", "n2")
    three.logs.appended(1, "n1", 1, 1, b"\0command")
    three.logs.appended(1, "n1", 2, 1, b"\1")
    three.logs.role(1, "n1", "leader", 1)
    three.applied(1)


def vote(three: Three, name: str, term: int, whom: str, *, synced: bool = True) -> None:
    """A member votes."""
    journal = three.journals[name]
    journal.setCurrentTerm(term, whom)
    job = journal.take() if synced else None
    if job is not None:
        job()
        journal.taken(None)


def test_who_leads_has_durable_votes_of_a_majority() -> None:
    three = Three()
    judge = Votes(three.logs, three.platters)
    vote(three, "n1", 1, "n1")
    vote(three, "n2", 1, "n1")
    judge.role(1, "n1", "leader", 1)
    vote(three, "n1", 2, "n3")
    vote(three, "n3", 2, "n3", synced=False)
    with broken("election safety", r"n3 leads term 2 by the durable votes of \['n1'\]"):
        judge.role(2, "n3", "leader", 2)


def test_a_vote_that_is_given_again_in_another_life() -> None:
    three = Three()
    judge = Votes(three.logs, three.platters)
    vote(three, "n1", 1, "n2")
    judge.looked(1, three.world)
    three.platters.stopped(2, "n1", 1, "kill")
    three.new("n1", 0)  # it forgot
    three.platters.started(3, "n1", 2)
    vote(three, "n1", 1, "n3")
    with broken("election safety", "n1 voted for n3 and for n2 in term 1"):
        judge.looked(4, three.world)
