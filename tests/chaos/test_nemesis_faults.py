"""Faults of processes and links on real nodes: each does what it says, and `stop` undoes it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaos.clients import Clients
from chaos.nemesis.fault import Fault, NotReached, Site
from chaos.nemesis.links import Links
from chaos.nemesis.members import Members
from chaos.nemesis.table import FAULTS
from chaos.running.own import Own
from chaos.running.settings import Settings
from chaos.running.watch import Watch
from chaos.workloads.connections import Connections
from chaos.workloads.requests import request_for
from cluster.folder import held
from cluster.places import Places
from cluster.processes import birth

PATIENCE = 30.0
PROGRAM = [sys.executable, "-m", "raftcoord"]


class Cluster:
    """Three nodes with links, and what faults need."""

    def __init__(self, own: Own, folder: Path) -> None:
        self.own = own
        self.nodes = own.nodes
        clients = Clients(folder)
        self.watch = Watch(clients, own.ended, PATIENCE)
        self.site = Site(folder, own.members, clients, self.watch, own.nodes, own.links)
        self.connections = Connections(own.ports)
        assert isinstance(own.links, Links)
        self.links = own.links

    def fault(self, name: str, pick: float = 0.4) -> Fault:
        return FAULTS[name](self.site, pick)

    def write(self, node: str, timeout: float = 3.0) -> bool:
        """Whether the node takes a write now."""
        name = f"write/{time.monotonic_ns()}"
        request = request_for("lock.acquire", {"name": name, "owner": "me", "ttl": 1.0})
        return self.connections.ask(node, request, timeout).outcome == "ok"

    def until(self, reached: Callable[[], bool], what: str) -> None:
        self.watch.wait(reached, what)

    def leader_but(self, node: str) -> str:
        """Another leader, as soon as there is one that is not cut off."""
        found: list[str] = []

        def other() -> bool:
            said = {one: self.nodes.said(one) for one in self.nodes.ids if one != node}
            leads = [n for n, what in said.items() if what and what.role == "leader" and what.ready]
            found.extend(leads)
            return bool(leads)

        self.until(other, f"nobody leads but {node}")
        return found[-1]

    def rest(self) -> None:
        """Whole again: all ready, and each takes a write."""
        self.until(self.nodes.ready, "not all ready")
        for node in self.nodes.ids:
            self.until(lambda node=node: self.write(node), f"{node} takes no write")  # type: ignore[misc]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("nemesis")
    settings = Settings([], {"halves": FAULTS["halves"]}, 1, folder, folder / "h", program=PROGRAM)
    with held(Places(folder), make=True) as data:
        own = Own(settings, data)
        try:
            own.start()
            made = Cluster(own, folder)
            made.rest()
            yield made
        finally:
            own.stop()


@pytest.fixture(autouse=True)
def undone(cluster: Cluster) -> Iterator[None]:
    """What a test that failed has left behind is not the next one's business."""
    yield
    links = cluster.links
    for who in list(links._asked):
        links.calm(who)
    cluster.nodes.resume(*cluster.nodes.ids)
    for node in cluster.nodes.ids:
        if not cluster.nodes.running(node):
            cluster.nodes.start(node)


def state_of(pid: int | None) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_kill_takes_the_process_and_stop_brings_it_back(cluster: Cluster) -> None:
    fault = cluster.fault("kill-leader")
    before = {node: cluster.nodes.pid(node) for node in cluster.nodes.ids}
    leader = cluster.nodes.leader()
    fault.start()
    assert fault.nodes == (leader,)
    killed = before[fault.nodes[0]]
    assert killed is not None
    assert birth(killed) is None
    assert cluster.nodes.ended() == {}, "what the fault ended has not ended by itself"
    cluster.leader_but(fault.nodes[0])
    fault.stop()
    cluster.rest()
    after = {node: cluster.nodes.pid(node) for node in cluster.nodes.ids}
    assert {node for node in before if before[node] != after[node]} == set(fault.nodes)


@pytest.mark.slow
def test_all_are_killed_at_once(cluster: Cluster) -> None:
    fault = cluster.fault("kill-all")
    fault.start()
    assert fault.nodes == cluster.nodes.ids
    assert not any(map(cluster.nodes.running, cluster.nodes.ids))
    fault.stop()
    cluster.rest()


def test_a_follower_is_killed_and_pick_says_which(cluster: Cluster) -> None:
    leader = cluster.site.leader()
    others = [node for node in cluster.nodes.ids if node != leader]
    assert [cluster.fault("kill-follower", pick).follower() for pick in (0.0, 0.49, 0.5, 1.0)] == [
        others[0], others[0], others[1], others[1],
    ]  # fmt: skip


def test_a_paused_leader_stands_still_and_wakes_as_a_follower(cluster: Cluster) -> None:
    fault = cluster.fault("pause-leader")
    fault.start()
    (node,) = fault.nodes
    cluster.until(lambda: state_of(cluster.nodes.pid(node)) == "T", "it goes on")
    other = cluster.leader_but(node)
    assert cluster.write(other)
    fault.stop()
    assert state_of(cluster.nodes.pid(node)) != "T"
    cluster.rest()
    assert cluster.nodes.leader() != node


def test_a_node_that_is_paused_can_be_stopped(cluster: Cluster) -> None:
    fault = cluster.fault("pause-follower")
    fault.start()
    began = time.monotonic()
    cluster.nodes.stop(*fault.nodes)
    assert time.monotonic() - began < 8
    assert not cluster.nodes.running(fault.nodes[0])
    fault.stop()  # of one that is gone: nothing happens
    cluster.nodes.start(*fault.nodes)
    cluster.rest()


@pytest.mark.parametrize(
    "name", ["isolate-leader", "mute-leader", pytest.param("deaf-leader", marks=pytest.mark.slow)]
)
def test_a_leader_that_is_cut_off_loses_its_place(cluster: Cluster, name: str) -> None:
    fault = cluster.fault(name)
    fault.start()
    (node,) = fault.nodes
    other = cluster.leader_but(node)
    assert cluster.write(other)
    assert not cluster.write(node, timeout=0.5), f"{node} is cut off and takes a write"
    fault.stop()
    cluster.rest()


def test_a_follower_alone_takes_nothing_and_disturbs_nobody(cluster: Cluster) -> None:
    leader = cluster.site.leader()
    fault = cluster.fault("isolate-follower")
    fault.start()
    (node,) = fault.nodes
    assert node != leader
    cluster.until(lambda: not cluster.write(node, timeout=0.5), f"{node} takes writes")
    assert cluster.write(leader)
    fault.stop()
    cluster.rest()


def test_halves_and_pairs_are_cut_as_they_say(cluster: Cluster) -> None:
    links = cluster.links
    halves, pair = cluster.fault("halves"), cluster.fault("cut-pair")
    halves.start()
    held = {(rule.source, rule.target) for rule in links._asked[halves]}
    one, rest = set(halves.nodes), set(cluster.nodes.ids) - set(halves.nodes)
    assert held == {(a, b) for a in one for b in rest} | {(b, a) for a in one for b in rest}
    halves.stop()
    pair.start()
    first, second = pair.nodes
    assert {(rule.source, rule.target) for rule in links._asked[pair]} == {
        (first, second), (second, first),
    }  # fmt: skip
    pair.stop()
    assert links._asked == {}
    cluster.rest()


def test_a_storm_breaks_connections_and_the_members_find_each_other_again(cluster: Cluster) -> None:
    links = cluster.links
    fault, before = cluster.fault("reconnect-storm"), links.counters().resets
    fault.start()
    cluster.until(lambda: links.counters().resets > before + 6, "no resets")
    fault.stop()
    cluster.rest()


def test_slow_and_lossy_links_hurt_what_passes(cluster: Cluster) -> None:
    links = cluster.links
    for name in ("slow-links", "lossy-links"):
        fault, before = cluster.fault(name, 0.7), links.counters().hurt
        fault.start()
        cluster.until(lambda before=before: links.counters().hurt > before + 10, "all is well")  # type: ignore[misc]
        fault.stop()
    cluster.rest()
    before = links.counters().hurt
    assert cluster.write(cluster.site.leader())
    assert links.counters().hurt == before


def test_a_wiped_node_comes_back_as_a_voter(cluster: Cluster) -> None:
    fault = cluster.fault("wiped-node")
    fault.start()
    (node,) = fault.nodes
    place = cluster.nodes.place(node)
    assert not place.has_data()
    assert not list(place.folder.glob("*.aside-*")), "its old data takes room"
    fault.stop()
    cluster.rest()
    assert place.has_data()
    assert cluster.nodes._folder.known.stages[node] == "made", "it would start with --join again"
    cluster.nodes.kill(node)
    cluster.nodes.start(node)
    cluster.rest()


@pytest.mark.slow
def test_a_rolling_restart_takes_all_one_by_one(cluster: Cluster) -> None:
    before = {node: cluster.nodes.pid(node) for node in cluster.nodes.ids}
    leader, fault = cluster.nodes.leader(), cluster.fault("rolling-restart")
    fault.start()
    assert sorted(fault.nodes) == sorted(cluster.nodes.ids)
    assert fault.nodes[-1] == leader, "the leader goes last"
    assert all(cluster.nodes.pid(node) != pid for node, pid in before.items())
    fault.stop()
    cluster.rest()


def test_a_node_that_ends_by_itself_is_noticed_unless_it_may(cluster: Cluster) -> None:
    node = cluster.nodes.ids[0]
    pid = cluster.nodes.pid(node)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(NotReached, match=f"{node} ended by itself .SIGKILL"):
        cluster.watch.rest(10)
    cluster.nodes.expect_end(node)
    assert cluster.nodes.ended() == {}
    cluster.nodes.start(node)
    cluster.rest()


def test_only_children_that_were_not_waited_for_are_signalled(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = cluster.nodes.ids[0]
    cluster.nodes.kill(node)
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    monkeypatch.setattr(
        subprocess.Popen, "send_signal", lambda self, number: sent.append((self.pid, number))
    )
    cluster.nodes.kill(node)
    cluster.nodes.resume(node)
    cluster.nodes.stop(node)
    assert sent == []
    monkeypatch.undo()
    cluster.nodes.start(node)
    cluster.rest()


def test_a_cluster_that_is_not_ours_has_no_processes_to_touch(tmp_path: Path) -> None:
    clients = Clients(tmp_path)
    site = Site(tmp_path, Members({}), clients, Watch(clients, lambda: None, 1.0))
    with pytest.raises(AssertionError, match="only processes that the run started"):
        FAULTS["kill-all"](site, 0.5).stop()
    assert {name for name, kind in FAULTS.items() if kind.foreign} == {
        "kill-client",
        "pause-client",
    }
