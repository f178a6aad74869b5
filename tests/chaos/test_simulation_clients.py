"""Simulated clients: what they hear, and what the member does when they go away."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from chaos.history import Operation
from chaos.simulation.clients import SimAgent
from chaos.simulation.profiles import PROFILES, replace
from chaos.simulation.world import World
from chaos.workloads.caller import PATIENCE

IDLE = replace(PROFILES["three"], clients=0)


class House:
    """A world without a load of its own, and one caller."""

    def __init__(self, *, http: bool) -> None:
        self.world = World(1, profile=IDLE, http=http)
        self.world.begin()
        self.world.until(lambda: self.leader is not None, 5, "a leader")
        self.agent = self.caller("c1.a")

    def caller(self, name: str, **options: Any) -> SimAgent:
        return self.world.clients.agent(name, **options)

    @property
    def leader(self) -> str | None:
        leader = self.world.leader()
        node = None if leader is None else self.world.members[leader].node
        return leader if node is not None and node.raft.is_ready() else None

    def follower(self) -> str:
        return next(name for name in self.world.alive() if name != self.leader)

    def begin(self, request: Coroutine[Any, Any, Operation]) -> Any:
        with self.world.loop.host("c1"):
            return self.world.loop.create_task(request)

    def ask(self, kind: str, **arguments: Any) -> Operation:
        task = self.begin(self.agent.ask(kind, **arguments))
        self.world.until(task.done, 20, kind)
        operation: Operation = task.result()
        return operation

    def queue(self, name: str) -> tuple[int, int]:
        """Holders of a lock and those who wait, by the state of all members."""
        seen = {
            (len(lock.holders), lock.queue)
            for member in self.world.members.values()
            if member.machine is not None
            for lock in (member.machine.locks.get(name),)
        }
        return seen.pop() if len(seen) == 1 else (-1, -1)


@pytest.fixture(params=[False, True], ids=["desk", "http"])
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    house = House(http=request.param)
    yield house
    house.world.loop.close()


def test_an_answer_has_status_body_and_revision(house: House) -> None:
    for node in house.world.members:
        taken = house.ask("lock.acquire", node=node, name=node, owner="a", ttl=30.0)
        assert (taken.outcome, taken.status) == ("ok", 200)
        assert taken.answer["holder"] == {"owner": "a"}
        assert taken.revision is not None
        assert 0 < taken.end - taken.begin < 50_000_000
    refused = house.ask("lock.acquire", name="n1", owner="b", ttl=1.0)
    assert (refused.outcome, refused.status, refused.slug) == ("refused", 409, "lock-held")


def test_requests_of_one_connection_follow_each_other(house: House) -> None:
    revisions = [house.ask("session.open", node="n1", ttl=5.0).revision or 0 for _ in range(5)]
    assert revisions == sorted(set(revisions))
    assert house.world.loop.net.connections("c1", "n1") == 1


def test_a_node_that_does_not_run_was_never_asked(house: House) -> None:
    down = house.follower()
    house.ask("lock.read", node=down, name="a")
    house.world.kill(down)
    house.world.run(0.1)  # the end of the connection arrives
    assert house.ask("lock.read", node=down, name="a").outcome == "never-sent"


def test_a_node_killed_under_a_request_leaves_its_outcome_unknown(house: House) -> None:
    node = house.follower()
    house.ask("lock.acquire", name="a", owner="x", ttl=30.0)
    task = house.begin(
        house.agent.ask("lock.acquire", node=node, name="a", owner="y", ttl=1.0, wait=5.0)
    )
    house.world.until(lambda: house.queue("a") == (1, 1), 5, "it waits")
    house.world.kill(node)
    house.world.until(task.done, 1, "the caller hears of it")
    heard: Operation = task.result()
    assert heard.outcome == "unknown"
    assert heard.status is None


def test_a_paused_node_is_waited_for_until_patience_ends(house: House) -> None:
    node = house.follower()
    house.world.pause(node)
    heard = house.ask("lock.read", node=node, name="a")
    assert heard.outcome == "unknown"
    assert heard.end - heard.begin == pytest.approx(PATIENCE * 1e9, rel=0.01)


def test_a_node_that_is_cut_off_from_a_client_does_not_hear_it(house: House) -> None:
    house.world.loop.net.cut("c1", "n1")
    assert house.ask("lock.acquire", node="n1", name="a", owner="x", ttl=1.0).outcome == (
        "never-sent"
    )
    house.world.loop.net.heal("c1", "n1")
    assert house.ask("lock.acquire", node="n1", name="a", owner="x", ttl=1.0).ok


def test_who_hangs_up_gives_back_the_place_in_the_queue(house: House) -> None:
    house.ask("lock.acquire", name="a", owner="x", ttl=30.0)
    hasty = house.caller("c1.hasty", impatient=1.0)
    task = house.begin(hasty.ask("lock.acquire", name="a", owner="y", ttl=1.0, wait=20.0))
    house.world.until(task.done, 1, "it hangs up")
    assert task.result().outcome == "unknown"
    house.world.until(lambda: house.queue("a") == (1, 0), 2, "nobody waits any more")


def test_who_hangs_up_gives_back_the_grant_too(house: House) -> None:
    holder = house.ask("lock.acquire", name="a", owner="x", ttl=30.0)
    task = house.begin(house.agent.ask("lock.acquire", name="a", owner="y", ttl=30.0, wait=20.0))
    house.world.until(lambda: house.queue("a") == (1, 1), 5, "it waits")
    # The answer is on its way when the caller goes away.
    house.begin(
        house.caller("c1.b").ask("lock.release", name="a", owner="x", token=holder.answer["token"])
    )
    with house.world.loop.host("c1"):
        house.agent.close()
    house.world.until(task.done, 1, "it heard")
    house.world.until(lambda: house.queue("a") == (0, 0), 3, "the grant is given back")


def test_the_hot_path_is_in_play_where_clients_speak_http() -> None:
    house = House(http=True)
    house.ask("lock.acquire", node="n1", name="a", owner="x", ttl=1.0)
    process = house.world.members["n1"].process
    assert process is not None
    assert process.manager.hot is not None
    assert process.manager.hot.taken == 1


def test_a_load_is_as_heavy_as_it_should_be() -> None:
    world = World(2, profile=replace(PROFILES["three"], load=80.0))
    world.begin()
    world.run(10)
    assert 0.75 < sum(world.clients.counts.values()) / 800 < 1.15
