"""Consistent hashing: the published vectors, an independent reckoning, and what moves."""

import json
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftcoord.commands import (
    AnyCommand,
    DeleteRing,
    Envelope,
    JoinRing,
    LeaveRing,
    PutRing,
    bounds,
    encode,
)
from raftcoord.errors import LimitReached, Malformed, RaftcoordError
from raftcoord.hashring import HashRing, point_count, points, position, position_hex
from raftcoord.machine import Machine, ring_points

# Made with the md5sum program and sort, not with raftcoord.
VECTORS = json.loads(Path(__file__).with_name("hashring_vectors.json").read_text())

MEMBERS = st.dictionaries(
    st.text(alphabet="aé1日", min_size=1, max_size=3), st.sampled_from((0.01, 0.5, 1.0, 2.3))
)


def naive(members: dict[str, float], virtual_nodes: int, key: str, count: int) -> list[str]:
    """Every point compared with every other as text, member ids as bytes."""
    entries = sorted(
        (md5(f"{member}{number}".encode()).hexdigest(), member.encode())
        for member, weight in members.items()
        for number in range(max(1, int(virtual_nodes * weight + 0.5)))
    )
    at = md5(key.encode()).hexdigest()
    walk = [entry for entry in entries if entry[0] >= at] + entries
    return list(dict.fromkeys(member.decode() for _, member in walk))[:count]


def test_published_positions() -> None:
    for key, expected in VECTORS["positions"].items():
        assert position_hex(key) == expected
        assert position(key) == int(expected, 16)
    for member, expected in VECTORS["points"].items():
        assert [f"{point:032x}" for point in points(member, len(expected))] == expected


@pytest.mark.parametrize("ring", VECTORS["rings"], ids=lambda ring: ring["name"])
def test_published_lookups(ring: dict[str, Any]) -> None:
    built = HashRing(ring["members"], ring["virtual_nodes"])
    for key, expected in ring["lookups"].items():
        assert built.lookup(key, 99) == expected
        assert built.owner(key) == expected[0]
        for count in range(len(expected) + 1):
            assert built.lookup(key, count) == expected[:count]


@pytest.mark.parametrize("ring", VECTORS["rings"], ids=lambda ring: ring["name"])
def test_the_machine_gives_the_published_lookups(ring: dict[str, Any]) -> None:
    machine = Machine()
    commands: list[AnyCommand] = [PutRing("r", ring["virtual_nodes"])]
    commands += [JoinRing("r", name, weight) for name, weight in reversed(ring["members"].items())]
    for index, command in enumerate(commands, 1):
        machine.apply(index, 1, 0, encode(Envelope("n", 1, 0, 0, "", command)))
        machine.rings.lookup("r", ("x",))
    for key, expected in ring["lookups"].items():
        assert list(machine.rings.lookup("r", (key,), 99)[0].members) == expected


@given(MEMBERS, st.integers(1, 40), st.text(max_size=5), st.integers(1, 5))
def test_lookups_are_exact(members: dict[str, float], nodes: int, key: str, count: int) -> None:
    ring = HashRing(members, nodes)
    assert ring.lookup(key, count) == naive(members, nodes, key, count)
    first = naive(members, nodes, key, 1)
    assert ring.owner(key) == (first[0] if first else None)


@given(MEMBERS, st.lists(st.tuples(st.text("aé1日", min_size=1, max_size=3), st.booleans())))
def test_joining_and_leaving_is_as_if_made_anew(
    members: dict[str, float], changes: list[tuple[str, bool]]
) -> None:
    ring = HashRing(members, 20)
    for member, stays in changes:
        ring = ring.joined(member, 1.5) if stays else ring.left(member)
        members = {name: weight for name, weight in members.items() if name != member}
        if stays:
            members[member] = 1.5
        assert ring.members == members
        assert ring._points == HashRing(members, 20)._points


def test_the_order_of_joining_does_not_matter() -> None:
    members = {f"m{number}": 1.0 for number in range(9)}
    backwards = dict(reversed(members.items()))
    assert HashRing(members)._points == HashRing(backwards)._points


def test_a_key_at_a_point_belongs_to_it() -> None:
    ring = HashRing({"alpha": 1.0, "beta": 1.0, "gamma": 1.0}, 16)
    for member in ring.members:
        for number in range(16):
            assert ring.owner(f"{member}{number}") == member
            assert ring.lookup(f"{member}{number}", 2)[0] == member


def test_equal_points_belong_to_the_lowest_id() -> None:
    # MD5("a" + "11") is MD5("a1" + "1"): a's point 11 is a1's point 1.
    key = next(
        text
        for text in map(str, range(10_000))
        if naive({"a": 1, "a1": 1}, 20, text, 1) == ["a"]
        and min(point for point in points("a", 20) + points("a1", 20) if point >= position(text))
        == points("a", 20)[11]
    )
    for members in ({"a": 1.0, "a1": 1.0}, {"a1": 1.0, "a": 1.0}):
        assert HashRing(members, 20).owner(key) == "a"


def test_rounding_is_half_up_and_never_nothing() -> None:
    assert point_count(128, 1) == 128
    assert point_count(1, 0.5) == 1
    assert point_count(1, 1.5) == 2
    assert point_count(1, 2.5) == 3
    assert point_count(10, 0.04) == 1
    assert point_count(10, 0.01) == 1
    assert point_count(3, 0.83) == 2


def test_an_empty_ring_has_no_owner() -> None:
    assert HashRing().owner("x") is None
    assert HashRing().lookup("x", 3) == []
    assert len(HashRing()) == 0


def test_a_new_member_takes_its_share_and_moves_nothing_else() -> None:
    members = {f"m{number}": 1.0 for number in range(9)}
    before, after = HashRing(members), HashRing(members).joined("new")
    keys = [f"key-{number}" for number in range(20_000)]
    moved = [key for key in keys if before.owner(key) != after.owner(key)]
    assert {after.owner(key) for key in moved} == {"new"}
    # 1/10 of the keys; with 128 points a member the deviation is about 9 % of it.
    assert 0.07 < len(moved) / len(keys) < 0.13
    assert after.left("new")._points == before._points


def test_shares_follow_weights() -> None:
    ring = HashRing({"one": 1.0, "three": 3.0})
    owners = [ring.owner(str(number)) for number in range(20_000)]
    assert 0.70 < owners.count("three") / len(owners) < 0.80


def test_many_changes_between_lookups_are_caught_up_with() -> None:
    """Few changes are made up for one by one, many by making the points anew: both exact."""
    machine = Machine()
    index = 0

    def do(command: PutRing | JoinRing | LeaveRing) -> None:
        nonlocal index
        index += 1
        machine.apply(index, 1, 0, encode(Envelope("n", 1, 0, 0, "", command)))

    def check() -> None:
        view = machine.rings.get("r")
        members = {member.id: member.weight for member in view.members}
        expected = naive(members, view.virtual_nodes, "key", 3)
        assert list(machine.rings.lookup("r", ("key",), 3)[0].members) == expected

    do(PutRing("r", 8))
    check()
    for number in range(200):
        do(JoinRing("r", f"m{number % 40}", 1 + number % 3))
        if number % 7 == 0:
            do(LeaveRing("r", f"m{number % 5}"))
        if number in (0, 1, 3, 20, 60, 61, 199):
            check()
    do(PutRing("r", 16))
    check()
    assert machine.rings.get("r").version - machine.rings.table.rows["r"].first == 127
    assert len(machine.rings.changes) == 127


def test_members_with_few_points_are_found_however_far_away_they_are() -> None:
    members = {"a": 50.0, "b": 40.0, "c": 0.1, "d": 0.1, "é": 0.1, "f": 0.1}
    ring = HashRing(members, 10)
    for number in range(100):
        for count in (2, 3, 5, 6):
            expected = naive(members, 10, str(number), count)
            assert ring.lookup(str(number), count) == expected
    assert ring._by_member is not None


def apply(machine: Machine, *commands: AnyCommand) -> list[Any]:
    return [
        machine.apply(index, 1, 0, encode(Envelope("n", 1, 0, 0, "", command))).reply
        for index, command in enumerate(commands, machine.applied + 1)
    ]


def test_a_ring_has_no_more_points_than_are_made_at_once() -> None:
    machine = Machine()
    joins = [JoinRing("r", f"m{number}", 100.0) for number in range(11)]
    *made, refused = apply(machine, PutRing("r", 128), *joins)
    assert isinstance(refused, LimitReached)
    assert refused.fields == {"field": "points", "limit": bounds.RING_POINTS}
    assert not any(isinstance(reply, RaftcoordError) for reply in made)
    assert bounds.MEMBERS * 128 <= bounds.RING_POINTS < 11 * 12_800


def test_the_points_kept_for_all_rings_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring_points, "KEPT_POINTS", 4 * 128)
    machine = Machine()
    apply(machine, *[JoinRing(f"r{number}", "m") for number in range(10)])
    kept = machine.rings._points
    for number in [*range(10), 0, 9, 5, 0]:
        assert list(machine.rings.lookup(f"r{number}", ("key",))[0].members) == ["m"]
        assert kept.size == sum(128 + ring_points.RING_SIZE for _ in kept._kept) <= 4 * 128
    assert list(kept._kept) == ["r9", "r5", "r0"]
    apply(machine, JoinRing("big", "m", 100.0))
    assert list(machine.rings.lookup("big", ("key",))[0].members) == ["m"]
    assert list(kept._kept) == ["big"]  # one ring is kept, whatever its size
    apply(machine, DeleteRing("big"))
    assert (kept.size, kept._kept) == (0, {})


def test_one_lookup_gives_so_many_members_at_most() -> None:
    machine = Machine()
    apply(machine, PutRing("r", 1, 1000), JoinRing("r", "m"))
    assert len(machine.rings.lookup("r", ("key",) * 100)) == 100
    for keys, count, most in ((101, None, 100), (10_000, 11, 9_090)):
        with pytest.raises(Malformed) as refused:
            machine.rings.lookup("r", ("key",) * keys, count)
        assert (refused.value.fields["field"], refused.value.fields["limit"]) == ("keys", most)
