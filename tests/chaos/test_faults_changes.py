"""Changes of members that are asked for all at once, and of leaders that have just begun."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from raftcoord.consensus.raft import Raft
from raftcoord.errors import Malformed, NotReady
from tests.chaos.fault_world import Scene


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many entries came of the changes that were asked for, and why others were refused."""
    counts = Counter[str]()
    change = Raft.change_configuration

    def counted(raft: Any, new: Any, done: Any) -> None:
        began = raft.own_first is not None and raft.commit >= raft.own_first
        free = raft.history.index <= raft.commit
        last = raft.last().index

        def told(outcome: Any) -> None:
            if isinstance(outcome.error, NotReady):
                counts["too early" if not began else "one is under way" if not free else "two"] += 1
            elif isinstance(outcome.error, Malformed):
                counts["nonsense"] += 1
            done(outcome)

        change(raft, new, told)
        counts["appended"] += raft.last().index - last

    monkeypatch.setattr(Raft, "change_configuration", counted)
    return counts


def test_one_of_several_changes_is_taken_and_the_others_are_refused(heard: Counter[str]) -> None:
    scene = Scene("five")
    for seed in range(8):
        scene.do("changes_at_once", seed)
        scene.run(1.5)
    assert heard["appended"] >= 8
    assert heard["one is under way"] >= 8
    assert heard["two"] >= 1
    assert heard["nonsense"] >= 8
    scene.settle()
    known = scene.world.configuration()
    assert known is not None
    assert 3 <= len(known.voters) == len(scene.world.members)


def test_three_members_stay_three(heard: Counter[str]) -> None:
    scene = Scene("three")
    for seed in range(4):
        assert "without" not in scene.do("changes_at_once", seed)
        scene.run(0.5)
    assert heard["one is under way"] + heard["two"] >= 4
    assert len(scene.world.members) == 3
    scene.settle()


def test_a_new_leader_is_asked_before_it_has_committed_anything(heard: Counter[str]) -> None:
    scene = Scene("five")
    led = set()
    for seed in range(12):
        led.add(scene.world.leader())
        before = heard["too early"]
        scene.do("changes_at_first", seed)
        scene.run(3.0)
        led.add(scene.world.leader() if heard["too early"] > before else None)
    assert len(led - {None}) > 1
    assert heard["too early"] >= 6
    scene.settle()


def test_who_does_not_lead_any_more_is_asked_as_well(heard: Counter[str]) -> None:
    scene = Scene("five")
    for seed in range(40):
        scene.do("changes_at_first", seed)
        scene.run(3.0)
        asked = [told.split(",")[0].split() for name, told in scene.told if "cut" not in name]
        if any(len(names) > 1 and {*names} <= {*scene.world.hosts} for names in asked):
            return
    raise AssertionError("no two leaders were asked at once")
