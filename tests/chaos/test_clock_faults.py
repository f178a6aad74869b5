"""Real nodes by wrong clocks: nobody leads for it, no lease ends early, and nothing is lost."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from chaos.checkers.clocks import LEAP, RATE_ERROR, SECOND
from chaos.nemesis.clocks import CLOCKS, RATE, ClockJump, FastClock, SlowClock, WallClock
from chaos.nemesis.fault import Site
from chaos.nemesis.faulty_nodes import control_of
from tests.chaos.real_site import get, judged, of, real_site, status

TTL = 1.0
LOOKS = 0.3
"""Seconds that may lie between the last look that found a lock held and its end."""
Patch = pytest.MonkeyPatch


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with real_site(tmp_path_factory.mktemp("clocks"), *CLOCKS) as made:
        yield made


def acquire(site: Site, name: str, ttl: float) -> float:
    """Take a lock for that long; when it was asked for."""
    leader = site.nodes.ports[site.leader()]
    connection = http.client.HTTPConnection("127.0.0.1", leader, timeout=10)
    body = json.dumps({"owner": "me", "ttl": ttl})
    asked = time.monotonic()
    connection.request(
        "POST", f"/v1/locks/{name}/acquire", body, {"Content-Type": "application/json"}
    )
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    answer.read()
    connection.close()
    return asked


def lived(site: Site, name: str, asked: float) -> float:
    """Seconds from `asked` to the end of the last question that found the lock held."""
    port = site.nodes.ports[site.leader()]
    last = asked
    until = asked + 10 * TTL

    def gone() -> bool:
        nonlocal last
        held: Any = get(port, f"/v1/locks/{name}")["holders"]
        last = last if not held else time.monotonic()
        return not held

    site.wait(gone, f"{name} ends", until - time.monotonic())
    return last - asked


@pytest.mark.parametrize(("kind", "sign"), [(FastClock, 1), (SlowClock, -1)])
def test_a_leader_whose_clock_is_wrong_by_less_than_one_in_a_hundred_keeps_leases(
    site: Site, kind: type[FastClock], sign: int, monkeypatch: Patch
) -> None:
    choose = kind.choose
    monkeypatch.setattr(kind, "choose", lambda self, leader: choose(self, leader=1.0))
    fault = kind(site, 0.1)
    with judged(site):
        fault.start()
        rate = control_of(site, fault.node).fields.rate
        assert RATE[0] <= sign * (rate - 1) <= RATE[1] < RATE_ERROR
        asked = acquire(site, f"leased-{kind.name}", TTL)
        # What is seen of it is a little less than what it had: the last question may come early.
        assert lived(site, f"leased-{kind.name}", asked) >= TTL * (1 - RATE_ERROR) - LOOKS
        fault.stop()
        assert control_of(site, fault.node).fields.rate == 1.0


def test_a_follower_whose_clock_jumps_leads_nobody(site: Site, monkeypatch: Patch) -> None:
    fault = of(ClockJump, site, monkeypatch, leader=False)
    with judged(site) as load:
        leader = site.leader()
        term = status(site, leader)["term"]
        fault.start()
        assert fault.node != leader
        before = status(site, fault.node)["counters"]["elections"]
        load.more(200)
        fault.stop()
        assert status(site, leader)["role"] == "leader"
        assert status(site, leader)["term"] == term
        assert status(site, fault.node)["counters"]["elections"] == before


def test_a_leader_whose_clock_jumps_shortens_leases_by_no_more_than_the_judges_know(
    site: Site, monkeypatch: Patch
) -> None:
    fault = of(ClockJump, site, monkeypatch, leader=True)
    with judged(site) as load:
        asked = acquire(site, "leapt", TTL)
        fault.start()
        assert fault.at is not None
        assert lived(site, "leapt", asked) >= TTL - LEAP / SECOND - LOOKS
        load.more()
        fault.stop()


def test_wall_clocks_decide_nothing(site: Site) -> None:
    fault = WallClock(site, 0.2)
    with judged(site) as load:
        before = {node: status(site, node)["term"] for node in site.nodes.ids}
        asked = acquire(site, "by-the-wall", TTL)
        fault.start()
        assert len({control_of(site, node).fields.wall for node in site.nodes.ids}) == 3
        assert lived(site, "by-the-wall", asked) >= TTL - LOOKS
        load.more()
        fault.stop()
        assert {node: status(site, node)["term"] for node in site.nodes.ids} == before
