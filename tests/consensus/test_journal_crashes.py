"""A journal killed, or cut from power, at every operation on its disk.

After each: everything whose sync was reported is there, in order, term and vote among it; nothing
is there that was not written; and the node is not told that something was damaged.
"""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.simulation.disk import kill_at
from raftcoord.consensus.journal import Journal
from tests.consensus.journal_world import FOLDER, NothingKept, Step, World, killed

STORIES: dict[str, list[Step]] = {
    "batches": [
        ("add", 1),
        ("sync",),
        ("add", 5),
        ("commit",),
        ("sync",),
        ("add", 3, 700),
        ("add", 2),
        ("sync",),
        ("commit",),
        ("add", 1, 0),
    ],
    "votes": [
        ("vote", "n2"),
        ("sync",),
        ("vote", None),
        ("add", 2),
        ("vote", "n1"),
        ("sync",),
        ("add", 4, 400),
        ("vote", "n3"),
        ("sync",),
        ("vote", "n2"),
    ],
    "cuts": [
        ("add", 6, 100),
        ("sync",),
        ("cut", 3),
        ("vote",),
        ("add", 2, 100),
        ("sync",),
        ("cut", 1),
        ("add", 9, 300),
        ("cut", 8),
        ("sync",),
        ("add", 2),
        ("cut", 3),
        ("sync",),
    ],
    "rolls": [
        ("add", 30, 100),
        ("sync",),
        ("vote",),
        ("add", 1, 5000),
        ("add", 1),
        ("sync",),
        ("add", 12, 600),
        ("commit", 3),
        ("sync",),
    ],
    "snapshots": [
        ("add", 20, 150),
        ("commit", 2),
        ("sync",),
        ("mark",),
        ("add", 2),
        ("sync",),
        ("forget", 3),
        ("add", 10, 150),
        ("commit",),
        ("mark",),
        ("sync",),
        ("forget",),
        ("add", 2),
        ("sync",),
    ],
    "installs": [
        ("add", 8, 200),
        ("commit", 4),
        ("sync",),
        ("install", 2),
        ("sync",),
        ("forget",),
        ("vote",),
        ("add", 3, 300),
        ("sync",),
        ("install", 50),
        ("add", 2),
        ("sync",),
        ("forget",),
        ("add", 12, 200),
        ("cut", 2),
        ("commit",),
        ("sync",),
        ("mark",),
        ("sync",),
        ("forget", 1),
        ("add", 1),
    ],
}


def operations(steps: list[Step]) -> tuple[int, int]:
    """Numbers of the first and the last disk operation that the steps cause."""
    world = World()
    world.create()
    before = world.disk.operations
    world.run(steps)
    return before + 1, world.disk.operations


@pytest.mark.parametrize("story", STORIES)
def test_killed_at_every_operation(story: str) -> None:
    first, last = operations(STORIES[story])
    assert last - first > 5
    cuts = [None, NothingKept(), Random(1), Random(2), Random(3)]
    for number in range(first, last + 1):
        for moment in ("before", "middle", "after"):
            for cut in cuts:
                world = World()
                world.create()
                world.disk.hook = kill_at(number, moment)
                dead = killed(lambda w=world: w.run(STORIES[story]))
                assert dead or moment == "middle"
                world.crash(cut)
                world.open()
                world.check()
                assert not world.journal.tail_cut
                world.run([("add", 2), ("vote",), ("sync",)])
                world.crash(NothingKept())
                world.open()
                world.check()


@pytest.mark.parametrize("story", ["votes", "rolls", "snapshots", "installs"])
def test_killed_again_at_every_operation_of_the_open(story: str) -> None:
    first, last = operations(STORIES[story])
    rng = Random(story)
    for _ in range(60):
        number, moment = rng.randint(first, last), rng.choice(("before", "middle", "after"))
        seed, again = rng.random(), 0
        while True:
            again += 1
            world = World()
            world.create()
            world.disk.hook = kill_at(number, moment)
            killed(lambda w=world: w.run(STORIES[story]))
            world.crash(Random(seed))
            world.disk.hook = kill_at(
                world.disk.operations + again, rng.choice(("before", "after"))
            )
            dead = killed(lambda w=world: w.open() and None)
            world.crash(Random(seed + again) if rng.random() < 0.7 else None)
            world.open()
            world.check()
            assert not world.journal.tail_cut
            if not dead:
                break


def test_killed_at_every_operation_of_its_making() -> None:
    fresh = World()
    fresh.create()
    for number in range(1, fresh.disk.operations + 1):
        for moment in ("before", "middle", "after"):
            for cut in (None, NothingKept(), Random(1), Random(2)):
                world = World()
                world.disk.hook = kill_at(number, moment)
                killed(world.create)
                world.crash(cut)
                if Journal.exists(world.edges, FOLDER):
                    world.open()
                else:
                    world.create()
                world.check()


STEPS = st.one_of(
    st.tuples(st.just("add"), st.integers(1, 4), st.sampled_from([0, 1, 30, 300, 520, 3000])),
    st.tuples(st.just("cut"), st.integers(0, 4)),
    st.tuples(st.just("commit"), st.integers(0, 4)),
    st.tuples(st.just("vote"), st.sampled_from([None, "n1", "n2"])),
    st.tuples(st.just("mark")),
    st.tuples(st.just("forget"), st.integers(0, 3)),
    st.tuples(st.just("install"), st.integers(1, 5)),
    st.tuples(st.just("sync")),
    st.tuples(st.just("sync")),
    st.tuples(st.sampled_from(["hold", "go", "fill", "empty"])),
)
LIVES = st.lists(
    st.tuples(st.lists(STEPS, max_size=12), st.integers(1, 25), st.integers(0, 2**32)),
    min_size=1,
    max_size=4,
)


@settings(max_examples=300, deadline=None)
@given(lives=LIVES, segment_bytes=st.sampled_from([700, 1024, 4096]))
def test_any_story_with_any_deaths(
    lives: list[tuple[list[Step], int, int]], segment_bytes: int
) -> None:
    world = World(segment_bytes)
    world.create()
    for steps, death, seed in lives:
        rng = Random(seed)
        moment = rng.choice(("before", "middle", "after"))
        world.disk.hook = kill_at(world.disk.operations + death, moment)
        killed(lambda w=world, s=steps: w.run(s))
        while True:
            world.crash(rng if rng.random() < 0.7 else None)
            if rng.random() < 0.5:
                world.disk.hook = kill_at(world.disk.operations + rng.randint(1, 12), "before")
            if not killed(lambda w=world: w.open() and None):
                break
        world.check()
        assert not world.journal.tail_cut


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(STEPS, max_size=25))
def test_the_synced_index_is_what_a_power_cut_leaves(steps: list[Step]) -> None:
    world = World(1024)
    world.create()
    world.run(steps)
    journal = world.journal
    promised = [e for e in journal[:] if e[1] <= journal.synced_index]
    world.crash(NothingKept())
    world.open()
    assert [e for e in world.journal[:] if promised and promised[0][1] <= e[1]][
        : len(promised)
    ] == promised
