"""Acquires that wait: their answer is an event, and somebody who went away holds nothing."""

import asyncio

import pytest

from raftcoord.commands import AcquireLock, CancelAcquire, Envelope, ReleaseLock, decode, encode
from tests.server.house import Connection, House, Reply, in_loop, served, until

pytestmark = pytest.mark.usefixtures("each_way")


async def waiting(house: House, owner: str, **fields: object) -> asyncio.Task[Reply]:
    """An acquire of lock a that is in the queue."""
    before = sum(wait.queued for wait in house.gateway.acquires._waits.values())
    task = asyncio.create_task(house.acquire("a", owner, wait=60, **fields))
    await until(
        lambda: sum(wait.queued for wait in house.gateway.acquires._waits.values()) > before
    )
    return task


async def leaving(house: House, owner: str, **fields: object) -> Connection:
    """The same on a connection that a test closes."""
    connection = await house.connect()
    connection.send("POST", "/v1/locks/a/acquire", {"owner": owner, "ttl": 30, **fields})
    return connection


def cancels(house: House) -> list[CancelAcquire]:
    commands = [decode(entry).command for entry in house.node.entries]
    return [command for command in commands if isinstance(command, CancelAcquire)]


@in_loop
async def test_a_waiter_is_answered_when_it_is_granted() -> None:
    async with served() as house:
        await house.acquire("a", "w1")
        second, third = await waiting(house, "w2"), await waiting(house, "w3")
        assert (await house.get("/v1/locks/a")).json()["queue"] == 2
        await house.post("/v1/locks/a/release", {"owner": "w1", "token": 1})
        reply = await second
        assert reply.json()["holder"] == {"owner": "w2"}
        assert reply.headers["raftcoord-revision"] == str(house.node.applied)
        assert not third.done()
        await house.post("/v1/locks/a/release", {"owner": "w2", "token": 2})
        assert (await third).json()["token"] == 3
        assert len(house.gateway.acquires) == 0


@in_loop
async def test_a_wait_ends_by_cluster_time() -> None:
    async with served() as house:
        await house.acquire("a", "w1", ttl=3600)
        task = await waiting(house, "w2")
        house.node.advance(59_999)
        assert not task.done()
        house.node.advance(1)
        reply = await task
        problem = reply.json()
        assert (reply.status, problem["type"], problem["reason"]) == (409, "lock-held", "held")
        assert reply.headers["raftcoord-revision"] == str(house.node.applied)


@in_loop
async def test_a_waiter_whose_session_ends_is_told() -> None:
    async with served() as house:
        await house.acquire("a", "w1")
        await house.post("/v1/sessions", {"ttl": 10})
        task = await waiting(house, "w2", session=1, ttl=None)
        await house.delete("/v1/sessions/1")
        assert (await task).json()["type"] == "session-gone"


@in_loop
async def test_a_repeat_of_the_same_holder_joins_its_wait() -> None:
    async with served() as house:
        await house.acquire("a", "w1")
        one, two = await waiting(house, "w2"), await waiting(house, "w2")
        assert (await house.get("/v1/locks/a")).json()["queue"] == 1
        await house.post("/v1/locks/a/release", {"owner": "w1", "token": 1})
        assert (await one).json() == (await two).json()


@pytest.mark.parametrize("faults", [["answer-lost"], ["lost"], ["no-leader", "answer-lost"]])
@in_loop
async def test_a_waiter_is_granted_once_whatever_happens_on_the_way(faults) -> None:
    async with served() as house:
        await house.acquire("a", "w1")
        house.node.faults.extend(faults)
        task = await waiting(house, "w2")
        await house.post("/v1/locks/a/release", {"owner": "w1", "token": 1})
        assert (await task).json()["token"] == 2


@in_loop
async def test_a_grant_that_comes_before_the_word_of_the_queue_is_the_answer() -> None:
    async with served() as house:
        await house.acquire("a", "w1")
        house.node.faults.append("answer-lost")
        task = asyncio.create_task(house.acquire("a", "w2", wait=60))
        await until(lambda: house.node.applied == 2)
        house.node.hold()  # the second try does not come through
        house.node.append(_release())
        assert (await task).json()["token"] == 2
        assert len(house.gateway.submissions) == 0
        house.node.let_go()


def _release() -> bytes:
    return encode(Envelope("other", 1, 1, 1, "", ReleaseLock("a", "w1", 1)))


@in_loop
async def test_who_goes_away_waits_no_longer() -> None:
    async with served() as house:
        await house.acquire("a", "w1")
        connection = await leaving(house, "w2", wait=60)
        await until(lambda: any(wait.queued for wait in house.gateway.acquires._waits.values()))
        connection.close()
        await until(lambda: len(cancels(house)) == 1)
        assert (await house.get("/v1/locks/a")).json()["queue"] == 0
        assert len(house.gateway.acquires) == 0
        await house.post("/v1/locks/a/release", {"owner": "w1", "token": 1})
        assert (await house.get("/v1/locks/a")).json()["holders"] == []


@pytest.mark.parametrize("wait", [0, 60])
@in_loop
async def test_who_goes_away_before_the_outcome_gives_the_grant_back(wait: int) -> None:
    async with served() as house:
        house.node.hold()
        connection = await leaving(house, "w", wait=wait)
        await until(lambda: len(house.gateway.submissions) == 1)
        connection.close()
        await until(lambda: house.manager._open == 0)
        assert cancels(house) == []  # a cancel that overtook its acquire would cancel nothing
        house.node.let_go()
        await until(lambda: len(cancels(house)) == 1)
        assert (await house.get("/v1/locks/a")).json()["holders"] == []
        assert len(house.gateway.submissions) == 0


@in_loop
async def test_who_goes_away_before_an_unknown_outcome_is_cancelled_too() -> None:
    async with served() as house:
        house.node.faults.extend(["answer-lost", "answer-lost"])
        house.node.hold()
        connection = await leaving(house, "w")
        await until(lambda: len(house.gateway.submissions) == 1)
        connection.close()
        await until(lambda: house.manager._open == 0)
        house.node.let_go()
        await until(lambda: len(cancels(house)) == 1)
        assert (await house.get("/v1/locks/a")).json()["holders"] == []


@in_loop
async def test_a_refused_acquire_of_who_went_away_cancels_nothing() -> None:
    async with served() as house:
        await house.acquire("a", "w1")
        house.node.hold()
        # Not one that the state here refuses at once: that is never sent.
        house.gateway.acquires._behind = lambda: 30_000
        connection = await leaving(house, "w2")
        await until(lambda: len(house.gateway.submissions) == 1)
        connection.close()
        await until(lambda: house.manager._open == 0)
        house.node.let_go()
        await until(lambda: house.node.applied == 2)
        assert cancels(house) == []
        assert (await house.get("/v1/locks/a")).json()["holders"][0]["owner"] == "w1"


@in_loop
async def test_a_simple_lock_of_who_went_away_is_given_back() -> None:
    async with served() as house:
        house.node.hold()
        connection = await house.connect()
        connection.send("GET", "/lock?key=a&expire=60&value=v")
        await until(lambda: len(house.gateway.submissions) == 1)
        connection.close()
        await until(lambda: house.manager._open == 0)
        house.node.let_go()
        await until(lambda: len(cancels(house)) == 1)
        assert (await house.get("/lock?key=a&expire=60&value=u")).status == 200


@in_loop
async def test_a_waiter_that_joined_stays_when_the_other_goes() -> None:
    async with served() as house:
        await house.acquire("a", "w1")
        connection = await leaving(house, "w2", wait=60)
        await until(lambda: any(wait.queued for wait in house.gateway.acquires._waits.values()))
        task = await waiting(house, "w2")
        connection.close()
        await until(lambda: len(cancels(house)) == 1)
        await house.post("/v1/locks/a/release", {"owner": "w1", "token": 1})
        assert (await task).json()["token"] == 2


@in_loop
async def test_a_waiting_acquire_does_not_hold_low_back() -> None:
    async with served() as house:
        await house.acquire("a", "w1")
        task = await waiting(house, "w2")
        for _ in range(5):
            await house.post("/v1/sessions", {"ttl": 10})
        last = decode(house.node.entries[-1])
        assert last.low == last.seq
        task.cancel()


@in_loop
async def test_after_a_snapshot_the_tables_say_what_became_of_a_wait() -> None:
    async with served() as house:
        for name in "abcd":
            await house.acquire(name, "w1", ttl=3600)
        await house.post("/v1/sessions", {"ttl": 10})
        tasks = {}
        for name in "abcd":
            session = {"session": 1} if name == "d" else {}
            tasks[name] = asyncio.create_task(house.acquire(name, "w2", wait=60, **session))
        await until(
            lambda: sum(wait.queued for wait in house.gateway.acquires._waits.values()) == 4
        )
        # Entries are passed over: the gateway is not told what they did.
        house.node.on_applied = lambda index, applied: None
        tokens = {name: number for number, name in enumerate("abcd", 1)}
        for name in "bc":
            body = {"owner": "w1", "token": tokens[name]}
            await house.post(f"/v1/locks/{name}/release", body)
        held = (await house.get("/v1/locks/c")).json()["holders"][0]
        await house.post("/v1/locks/c/release", {"owner": "w2", "token": held["token"]})
        await house.delete("/v1/sessions/1")
        assert not any(task.done() for task in tasks.values())

        house.node.on_applied = house.gateway.on_applied
        house.gateway.resync()
        granted_reply = await tasks["b"]
        assert granted_reply.json()["token"] == 5
        assert granted_reply.headers["raftcoord-revision"] == str(house.node.applied)
        lost = await tasks["c"]
        assert (lost.status, lost.json()["type"]) == (503, "outcome-unknown")
        assert (await tasks["d"]).json()["type"] == "session-gone"
        assert not tasks["a"].done()
        await house.post("/v1/locks/a/release", {"owner": "w1", "token": 1})
        assert (await tasks["a"]).status == 200


@in_loop
async def test_a_wait_without_a_leader_does_not_last_for_ever(monkeypatch) -> None:
    monkeypatch.setattr("raftcoord.server.waits.GRACE", 0.0)
    async with served() as house:
        await house.acquire("a", "w1")
        reply = await house.acquire("a", "w2", wait=0.05)
        assert (reply.status, reply.json()["type"]) == (503, "outcome-unknown")
        await until(lambda: len(cancels(house)) == 1)
        assert (await house.get("/v1/locks/a")).json()["queue"] == 0


@in_loop
async def test_waiters_are_bounded() -> None:
    async with served(max_waiting=2) as house:
        await house.acquire("a", "w1")
        tasks = [await waiting(house, f"w{number}") for number in (2, 3)]
        refused = await house.acquire("a", "w4", wait=60)
        assert (refused.status, refused.json()["type"]) == (503, "overloaded")
        for task in tasks:
            task.cancel()


@in_loop
async def test_a_node_that_stops_takes_its_waits_back() -> None:
    async with served() as house:
        await house.acquire("a", "w1")
        task = await waiting(house, "w2")
        late = asyncio.create_task(house.acquire("a", "w3", wait=60))
        house.node.hold()
        await until(lambda: len(house.gateway.submissions) == 1)
        house.gateway.close()
        assert not task.done()
        house.node.let_go()
        for reply in (await task, await late):
            assert (reply.status, reply.json()["type"]) == (503, "not-ready")
            assert reply.json()["reason"] == "stopping"
        assert house.machine.locks.get("a").queue == 0


@pytest.mark.parametrize("passed_over", [False, True])
@in_loop
async def test_a_grant_in_front_of_the_taking_back_is_no_answer(passed_over: bool) -> None:
    async with served() as house:
        await house.acquire("a", "w1")
        task = await waiting(house, "w2")
        house.node.hold()
        house.gateway.close()
        if passed_over:
            house.node.on_applied = lambda index, applied: None
        house.node.append(_release())
        assert [holder.owner for holder in house.machine.locks.get("a").holders] == ["w2"]
        if passed_over:
            house.gateway.resync()
        house.node.let_go()
        reply = await task
        assert (reply.status, reply.json()["reason"]) == (503, "stopping")
        assert house.machine.locks.get("a").holders == ()


@in_loop
async def test_a_taking_back_that_was_refused_leaves_the_outcome_open(monkeypatch) -> None:
    async with served() as house:
        await house.acquire("a", "w1")
        task = await waiting(house, "w2")
        # As if this gateway's answers filled their room in the machine.
        monkeypatch.setattr("raftcoord.commands.bounds.STORED_ANSWER_BYTES", -1)
        house.gateway.close()
        assert (await task).json()["type"] == "outcome-unknown"
        monkeypatch.undo()
        house.node.append(_release())
        assert [holder.owner for holder in house.machine.locks.get("a").holders] == ["w2"]


@in_loop
async def test_a_grant_that_was_passed_over_is_worth_what_is_left_of_it() -> None:
    async with served() as house:
        await house.acquire("a", "w1")
        task = asyncio.create_task(house.acquire("a", "w2", ttl=10, wait=60))
        await until(lambda: any(wait.queued for wait in house.gateway.acquires._waits.values()))
        house.node.on_applied = lambda index, applied: None
        house.node.time += 5_000
        house.node.append(_release())
        house.node.time += 2_000
        house.node.on_applied = house.gateway.on_applied
        house.gateway.resync()
        assert (await task).json()["expires_in"] == 8.0


@in_loop
async def test_an_answer_that_is_not_read_any_more_is_given_back() -> None:
    async with served() as house:
        house.node.hold()
        task = asyncio.create_task(house.gateway.acquire(AcquireLock("a", "w", ttl=30_000)))
        await until(lambda: len(house.gateway.submissions) == 1)
        house.node.let_go()
        assert len(house.gateway.acquires) == 0
        task.cancel()  # in the same turn of the loop in which it was answered
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: len(cancels(house)) == 1)
        assert house.machine.locks.get("a").holders == ()
