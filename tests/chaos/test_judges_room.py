"""The judge of full disks: silent where a cluster does what it can, loud where it does not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from chaos.simulation.judges.room import HANDED_OVER, TOLD, Room
from chaos.simulation.violation import Violation
from raftcoord.consensus.core import FOLLOWER, LEADER, NO_OP, REGULAR
from raftcoord.consensus.peers import peer_node

STAMP = bytes(8)
CLIENTS, TIME = REGULAR + STAMP + b"lock", REGULAR + STAMP + b"time"


def world(*, full: str = "", far: str = "", behind: str = "") -> Any:
    """n1 leads n2 and n3 in term 4."""
    members = {name: _member(name, full, behind) for name in ("n1", "n2", "n3")}
    cuts = {(a, b): 0.0 for a in far.split() for b in members if a != b}
    net = SimpleNamespace(loss=0, loss_reset=0, _cuts=cuts, _slow={}, _narrow={})
    loop = SimpleNamespace(net=net)
    return SimpleNamespace(
        members=members, hosts=members, loop=loop, sync=(0, 1), clocks_honest=True
    )


def _member(name: str, full: str, behind: str) -> Any:
    last = 8 if name in behind else 9
    raft = SimpleNamespace(
        role=LEADER if name == "n1" else FOLLOWER,
        term=4,
        voters=frozenset(("n1", "n2", "n3")),
        log=SimpleNamespace(full=name in full, tail_cut=False),
        settings=SimpleNamespace(advance=lambda term: b"time"),
        last=lambda: last,
        is_voter=lambda: True,
        votes_as=lambda node: True,
        now=lambda: 100.0,
        heard={},
    )
    return SimpleNamespace(
        node=SimpleNamespace(raft=raft),
        paused=False,
        stopping=False,
        edges=SimpleNamespace(sync=(0, 1), is_stalled=False),
        disk=SimpleNamespace(hook=None),
    )


def watch(seen: Any) -> Room:
    judge = Room()
    judge.began(seen)
    return judge


def look(judge: Room, seen: Any, seconds: float) -> None:
    for half in range(int(seconds * 2) + 1):
        judge.looked(half / 2, seen)


def test_a_full_leader_that_others_could_follow_hands_over() -> None:
    seen = world(full="n1")
    look(watch(seen), seen, HANDED_OVER)
    with pytest.raises(Violation, match=r"the disk of n1 is full since .*, and it leads"):
        look(watch(seen), seen, HANDED_OVER + 1)


@pytest.mark.parametrize(
    "seen",
    [
        world(),
        world(full="n2"),
        world(full="n1 n2"),
        world(full="n1", far="n2"),
        world(full="n1", behind="n2 n3"),
    ],
)
def test_who_has_room_or_nobody_to_hand_over_to_leads_on(seen: Any) -> None:
    look(watch(seen), seen, 10)


def test_a_fault_meanwhile_excuses_it() -> None:
    seen = world(full="n1")
    judge = watch(seen)
    look(judge, seen, HANDED_OVER)
    judge.fault(2.1, "split", "over")
    judge.looked(2.5, seen)
    judge.looked(2.5 + HANDED_OVER, seen)


def test_a_full_leader_appends_nothing_of_a_client() -> None:
    judge = watch(world(full="n1"))
    for command in (TIME, NO_OP + STAMP):
        judge.appended(1.0, "n1", 10, 4, command)
    judge.appended(1.0, "n1", 10, 3, CLIENTS)
    judge.appended(1.0, "n2", 10, 4, CLIENTS)
    with pytest.raises(Violation, match="full, and as leader it appends entry 10"):
        judge.appended(1.0, "n1", 10, 4, CLIENTS)
    watch(world()).appended(1.0, "n1", 10, 4, CLIENTS)


@pytest.mark.parametrize(
    ("full", "far", "heard"),
    [("n2 n3", "", 99.9), ("n2", "", 99.9), ("n2 n3", "n3", 99.9), ("n2 n3", "", 99.0)],
)
def test_a_leader_of_full_followers_appends_nothing_of_a_client(
    full: str, far: str, heard: float
) -> None:
    seen = world(full=full, far=far)
    for name in ("n2", "n3"):
        seen.members["n1"].node.raft.heard[peer_node(name)] = heard
    judge = watch(seen)
    look(judge, seen, 0.5)
    judge.appended(TOLD, "n1", 10, 4, CLIENTS)
    if (full, far, heard) != ("n2 n3", "", 99.9):
        judge.appended(0.8, "n1", 11, 4, CLIENTS)
        return
    with pytest.raises(Violation, match=r"most disks are full since .*, and it appends"):
        judge.appended(0.8, "n1", 11, 4, CLIENTS)


def test_a_follower_that_has_room_for_a_moment_is_counted_anew() -> None:
    seen = world(full="n2 n3")
    seen.members["n1"].node.raft.heard.update({peer_node("n2"): 99.9, peer_node("n3"): 99.9})
    judge = watch(seen)
    look(judge, seen, 0.5)
    log = seen.members["n2"].node.raft.log
    log.full = False
    judge.appended(0.8, "n2", 10, 4, CLIENTS)
    log.full = True
    judge.appended(0.9, "n1", 11, 4, CLIENTS)
