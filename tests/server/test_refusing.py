"""Acquires that do not wait and are refused: the log does not hear of them."""

import asyncio
from collections.abc import Callable

import pytest

from raftcoord.commands import (
    AnyCommand,
    CloseSession,
    Envelope,
    ReleaseLock,
    SimpleLock,
    SimpleUnlock,
    decode,
    encode,
)
from tests.server.house import House, in_loop, served, until

pytestmark = pytest.mark.usefixtures("each_way")


def elsewhere(*commands: AnyCommand) -> list[bytes]:
    """Entries that another node's callers have put into the log."""
    return [encode(Envelope("n2", 1, 0, 0, "", command)) for command in commands]


def lagging(house: House, *commands: AnyCommand) -> None:
    """Make this node a follower that has not applied these commands, which are committed."""
    behind, barrier = elsewhere(*commands), house.node.read_barrier

    def read_barrier(done: Callable[[int | None], None]) -> None:
        def passed(index: int | None) -> None:
            while behind:
                house.node.append(behind.pop(0))
            done(index)

        barrier(passed)

    house.node.read_barrier = read_barrier  # type: ignore[method-assign]


@in_loop
async def test_a_refused_acquire_costs_no_entry() -> None:
    async with served() as house:
        await house.post("/v1/sessions", {"ttl": 10})
        await house.acquire("a", "w1", meta={"host": "h1"})
        for number in range(3):
            refused = await house.acquire("a", "w2", wait=0)
            problem = refused.json()
            assert (refused.status, problem["type"], problem["reason"]) == (
                409,
                "lock-held",
                "held",
            )
            assert problem["holders"][0]["meta"] == {"host": "h1"}
            assert refused.headers["raftcoord-revision"] == "2"
            assert house.node.barriers == number + 1
        assert (await house.acquire("a", "w1")).json()["type"] == "already-held"
        gone = await house.post("/v1/locks/a/acquire", {"owner": "w", "session": 7})
        assert (gone.status, gone.json()["type"]) == (409, "session-gone")
        simple = await house.get("/lock?key=a&expire=5&value=w1")
        assert (simple.status, simple.json()["type"]) == (409, "lock-held")
        assert (house.node.applied, len(house.gateway.acquires)) == (2, 0)
        assert len(house.gateway.submissions) == 0
        # The same as the log says of it.
        house.gateway.acquires._behind = lambda: 0
        unlogged = (await house.acquire("a", "w2")).json()
        house.gateway.acquires._behind = lambda: 1 << 40
        assert (await house.acquire("a", "w2")).json() == unlogged
        assert house.node.applied == 3


@in_loop
async def test_the_simple_lock_does_not_know_its_holder() -> None:
    async with served() as house:
        await house.get("/lock?key=k&expire=5&value=v")
        for _ in range(2):
            refused = await house.get("/lock?key=k&expire=5&value=v")
            assert (refused.status, refused.json()["type"]) == (409, "lock-held")
            assert refused.json()["resource"] == "/v1/locks/k"
            assert refused.headers["cache-control"] == "no-store"
        assert house.node.applied == 1


@in_loop
async def test_a_free_lock_asks_nobody() -> None:
    async with served() as house:
        await house.acquire("a", "w1")
        await house.get("/lock?key=k&expire=5&value=v")
        assert (house.node.barriers, house.node.proposed) == (0, 2)


@in_loop
async def test_who_waits_is_in_the_log() -> None:
    async with served() as house:
        await house.acquire("a", "w1")
        task = asyncio.create_task(house.acquire("a", "w2", wait=60))
        await until(lambda: house.node.applied == 2)
        refused = await house.acquire("a", "w3")
        assert (refused.json()["reason"], refused.json()["queue"]) == ("queued", 1)
        await house.post("/v1/locks/a/release", {"owner": "w1", "token": 1})
        assert (await task).json()["token"] == 2
        assert (house.node.applied, house.node.barriers) == (3, 1)


@in_loop
async def test_a_lock_that_was_freed_meanwhile_is_granted_through_a_node_that_lags() -> None:
    async with served() as house:
        await house.acquire("a", "w1")
        lagging(house, ReleaseLock("a", "w1", 1))
        taken = await house.acquire("a", "w2")
        assert (taken.status, taken.json()["token"]) == (200, 2)
        assert taken.headers["raftcoord-revision"] == "3"
        await house.get("/lock?key=k&expire=5&value=v")
        lagging(house, SimpleUnlock("k", "v"))
        assert (await house.get("/lock?key=k&expire=5&value=w")).json()["token"] == 4


@in_loop
async def test_a_refusal_names_who_has_the_lock_now_through_a_node_that_lags() -> None:
    async with served() as house:
        await house.acquire("a", "w1")
        lagging(house, ReleaseLock("a", "w1", 1), SimpleLock("a", 5_000, "v"))
        refused = await house.acquire("a", "w2")
        assert refused.json()["holders"][0]["owner"] == "simple protocol"
        assert refused.headers["raftcoord-revision"] == "3"
        await house.post("/v1/sessions", {"ttl": 10})
        lagging(house, CloseSession(1))
        gone = await house.post("/v1/locks/a/acquire", {"owner": "w", "session": 1})
        assert gone.json()["type"] == "session-gone"


@in_loop
async def test_what_is_left_of_a_lease_is_what_is_left_now() -> None:
    async with served() as house:
        await house.acquire("a", "w1")
        house.node.time += 29_500
        refused = (await house.acquire("a", "w2")).json()
        assert 0 < refused["holders"][0]["expires_in"] <= 0.5
        assert 0 < refused["retry_after"] <= 0.5
        same = (await house.acquire("a", "w1")).json()
        assert 0 < same["grant"]["expires_in"] <= 0.5
        assert house.node.applied == 1


@in_loop
async def test_a_lease_that_is_over_is_for_the_log() -> None:
    """Cluster time stands still here, until an entry brings it."""
    async with served() as house:
        await house.acquire("a", "w1")
        house.node.time += 30_000
        assert (await house.acquire("a", "w2")).json()["token"] == 2
        assert house.node.barriers == 0


@in_loop
async def test_a_lost_answer_is_never_followed_by_a_refusal() -> None:
    async with served() as house:
        house.node.faults.extend(["answer-lost", "no-leader", "answer-lost"])
        assert (await house.acquire("a", "w1")).json()["token"] == 1
        house.node.faults.extend(["answer-lost", "answer-lost"])
        assert (await house.get("/lock?key=k&expire=5&value=v")).json()["token"] == 2
        assert {decode(entry).seq for entry in house.node.entries} == {1, 2}
        assert house.node.barriers == 0


@in_loop
async def test_without_a_leader_nobody_is_told_that_a_lock_is_held() -> None:
    async with served() as house:
        await house.acquire("a", "w1")
        house.node.has_leader = False
        task = asyncio.create_task(house.acquire("a", "w2"))
        await until(lambda: house.node.proposed >= 2)
        assert not task.done()
        house.node.has_leader = True
        house.gateway.leader_changed()
        assert (await task).json()["type"] == "lock-held"

        house.node.has_leader = False
        task = asyncio.create_task(house.acquire("a", "w2"))
        await until(lambda: house.node.proposed >= 4)
        (wait,) = house.gateway.acquires._waits.values()
        wait.submission.run_out()
        reply = await task
        assert (reply.status, reply.json()["type"]) == (503, "no-leader")


@in_loop
async def test_who_goes_away_before_the_barrier_leaves_nothing() -> None:
    async with served() as house:
        await house.acquire("a", "w1")
        held: list[Callable[[int | None], None]] = []
        house.node.read_barrier = held.append  # type: ignore[method-assign, assignment]
        connection = await house.connect()
        connection.send("POST", "/v1/locks/a/acquire", {"owner": "w2", "ttl": 30})
        connection2 = await house.connect()
        connection2.send("POST", "/v1/locks/a/acquire", {"owner": "w3", "ttl": 30})
        await until(lambda: len(house.gateway.acquires) == 2 and bool(held))
        connection.close()
        await until(lambda: any(w.abandoned for w in house.gateway.acquires._waits.values()))
        house.node.append(elsewhere(ReleaseLock("a", "w1", 1))[0])
        for done in held:
            done(house.node.applied)
        assert (await connection2.answer()).json()["token"] == 2
        assert (len(house.gateway.acquires), len(house.gateway.submissions)) == (0, 0)
        assert [decode(entry).command.owner for entry in house.node.entries] == ["w1", "w1", "w3"]  # type: ignore[union-attr]
        connection2.close()


@in_loop
async def test_a_barrier_that_comes_too_late_changes_nothing() -> None:
    async with served() as house:
        await house.acquire("a", "w1")
        held: list[Callable[[int | None], None]] = []
        house.node.read_barrier = held.append  # type: ignore[method-assign, assignment]
        task = asyncio.create_task(house.acquire("a", "w2"))
        await until(lambda: bool(held))
        (wait,) = house.gateway.acquires._waits.values()
        wait.submission.run_out()
        assert (await task).json()["type"] == "no-leader"
        for answer in (None, 1):
            held[0](answer)
        assert house.node.proposed == 1
