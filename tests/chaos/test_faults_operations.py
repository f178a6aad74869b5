"""Clocks that go wrong, and what operators do."""

from tests.chaos.fault_world import Scene


def rate(scene: Scene, name: str) -> float:
    edges = scene.world.members[name].edges
    assert edges is not None
    before = edges.monotonic()
    scene.run(0.5)
    return (edges.monotonic() - before) / 0.5


def test_a_clock_drifts_by_a_hundredth_at_most() -> None:
    scene = Scene()
    for seed in range(5):
        name, _, told = scene.do("drift", seed).split()
        assert 0.99 <= float(told) <= 1.01
        assert abs(rate(scene, name) - float(told)) < 1e-4
    assert scene.world.clocks_honest


def test_a_wild_clock_and_a_leap_are_no_honest_clocks() -> None:
    scene = Scene()
    name, _, told = scene.do("wild_clock").split()
    assert abs(rate(scene, name) - float(told)) < 1e-4
    assert not 0.99 < float(told) < 1.01
    assert not scene.world.clocks_honest
    scene.end()
    assert abs(rate(scene, name) - 1.0) < 1e-6
    scene = Scene()
    edges = {name: member.edges for name, member in scene.world.members.items()}
    before = {name: e.monotonic() for name, e in edges.items() if e is not None}
    name, _, seconds, _ = scene.do("leap").split()
    after = {name: e.monotonic() for name, e in edges.items() if e is not None}
    assert abs(after.pop(name) - before.pop(name) - float(seconds)) < 0.01
    assert after == before
    assert not scene.world.clocks_honest
    scene.settle()


def test_timers_follow_the_clock_of_their_host() -> None:
    scene = Scene()
    loop = scene.world.loop
    rung = {}
    for name, rate in (("n1", 2.0), ("n2", 0.5), ("n3", 1.0)):
        edges = scene.world.members[name].edges
        assert edges is not None
        edges.run_clock_at(rate)
        with loop.host(name):
            loop.call_later(1.0, lambda name=name: rung.update({name: loop.time()}))
    began = loop.time()
    scene.run(2.5)
    assert {name: round(at - began, 6) for name, at in rung.items()} == {
        "n1": 0.5,
        "n2": 2.0,
        "n3": 1.0,
    }


def test_a_suspended_machine_does_not_know_of_it() -> None:
    scene = Scene()
    name, _, seconds, _ = scene.do("suspend").split()
    edges = scene.world.members[name].edges
    assert edges is not None
    before = edges.monotonic()
    scene.run(float(seconds) - 0.01)
    assert edges.monotonic() == before
    assert scene.world.members[name].paused
    scene.run(0.02)
    assert before < edges.monotonic() < before + 0.02
    assert not scene.world.members[name].paused


def test_a_snapshot_is_packed() -> None:
    scene = Scene()
    name = scene.do("snapshot")
    scene.run(0.5)
    node = scene.world.members[name].node
    assert node is not None
    assert node.raft.log.snapshot is not None


def test_leadership_is_handed_over() -> None:
    scene = Scene()
    for seed in range(5):
        leader, _, target = scene.do("transfer", seed).split()
        scene.run(1)
        assert scene.world.leader() == target != leader


def test_a_spare_joins_and_votes() -> None:
    scene = Scene("five")
    assert scene.do("add_member") == "n6"
    scene.run(3)
    known = scene.world.configuration()
    assert known is not None
    assert known.voters == {"n1", "n2", "n3", "n4", "n5", "n6"}


def test_a_member_and_the_leader_are_taken_out() -> None:
    scene = Scene("five")
    name = scene.do("remove_member")
    scene.run(2)
    leader = scene.world.leader()
    assert scene.do("remove_leader") == leader
    scene.run(4)
    known = scene.world.configuration()
    assert known is not None
    assert name not in known.members
    assert leader not in known.members
    assert len(known.voters) == len(scene.world.members) == 3
    assert not any(scene.does("remove_member", seed) for seed in range(5))
    scene.settle()


def test_one_machine_takes_the_place_of_another() -> None:
    scene = Scene("five")
    name = scene.do("replace_member")
    scene.run(12)
    known = scene.world.configuration()
    assert known is not None
    assert len(known.voters) == len(scene.world.members) == 5
    joined = [what for what in scene.seen.lives if what[0] == "started"][5:]
    assert len(joined) == 1
    assert joined[0][1] in (name, "n6")
