"""/v1/status, /livez, /readyz, and how a read says what it is worth."""

import asyncio
from typing import Any

import pytest

from raftcoord.commands import AcquireLock, Envelope, encode
from tests.server.house import in_loop, served, until


@in_loop
async def test_a_node_says_what_it_is() -> None:
    async with served() as house:
        await house.acquire("a", "w")
        reply = await house.get("/v1/status")
        status = reply.json()
        assert reply.headers["raftcoord-revision"] == "1"
        assert reply.headers["cache-control"] == "no-store"
        assert (status["node"], status["role"], status["leader"]) == ("n1", "leader", "n1")
        assert (status["term"], status["revision"], status["ready"]) == (1, 1, True)
        assert status["peers"]["n2"]["lag"] == 0
        assert status["alarms"] == []


@in_loop
async def test_a_node_is_live_before_it_is_ready() -> None:
    async with served() as house:
        assert (await house.get("/readyz")).status == 200
        house.node.has_leader = False
        assert (await house.get("/livez")).status == 200
        reply = await house.get("/readyz")
        assert (reply.status, reply.json()["type"]) == (503, "not-ready")
        assert (reply.json()["reason"], reply.headers["retry-after"]) == ("no-leader", "1")
        house.node.has_leader = True
        house.gateway.close()
        assert (await house.get("/livez")).status == 200
        assert (await house.get("/readyz")).status == 503


@in_loop
async def test_reads_of_one_turn_share_a_barrier() -> None:
    async with served() as house:
        connections = [await house.connect() for _ in range(20)]
        before = house.node.barriers
        for connection in connections:
            connection.send("GET", "/v1/locks/a")
        for connection in connections:
            assert (await connection.answer()).status == 200
            connection.close()
        assert house.node.barriers - before < 20


@pytest.mark.parametrize("query", ["", "?consistency=stale"])
@in_loop
async def test_a_refused_read_says_the_revision_at_which_it_was_refused(query: str) -> None:
    async with served() as house:
        await house.acquire("a", "w")
        loop, append = asyncio.get_running_loop(), house.node.append
        get = house.machine.rings.get

        def refused_before_an_entry(name: str, version: int | None) -> Any:
            entry = encode(Envelope("other", 1, 1, 1, "", AcquireLock("b", "w", ttl=1_000)))
            loop.call_soon(append, entry)
            return get(name, version)

        house.machine.rings.get = refused_before_an_entry
        reply = await house.get(f"/v1/rings/none{query}")
        assert (reply.status, reply.headers["raftcoord-revision"]) == (404, "1")
        await until(lambda: house.node.applied == 2)


@in_loop
async def test_a_read_without_a_leader_waits_for_one_or_is_refused(monkeypatch) -> None:
    monkeypatch.setattr("raftcoord.server.reading.READ_TIMEOUT", 0.15)
    async with served() as house:
        house.node.has_leader = False
        reply = await house.get("/v1/locks/a")
        assert (reply.status, reply.json()["type"]) == (503, "no-leader")
        monkeypatch.setattr("raftcoord.server.reading.READ_TIMEOUT", 10)
        waiting = asyncio.create_task(house.get("/v1/locks/a"))
        await until(lambda: bool(house.gateway.reading._parked))
        house.node.has_leader = True
        house.gateway.leader_changed()
        assert (await waiting).status == 200


@in_loop
async def test_a_stale_read_says_how_old_it_may_be() -> None:
    async with served() as house:
        first = await house.get("/v1/locks/a?consistency=stale")
        assert (first.status, first.headers["raftcoord-age"]) == (200, "unknown")
        await until(lambda: house.gateway.reading._fresh_at is not None)
        house.node.has_leader = False
        second = await house.get("/v1/locks/a?consistency=stale")
        assert second.status == 200
        assert 0 <= float(second.headers["raftcoord-age"]) < 5
        assert "raftcoord-age" not in first.body.decode()


@in_loop
async def test_a_read_waits_for_the_revision_it_asks_for(monkeypatch) -> None:
    async with served() as house:
        waiting = asyncio.create_task(house.get("/v1/locks/a?consistency=stale&min_revision=2"))
        await until(lambda: bool(house.gateway.reading._reaching))
        await house.acquire("a", "w1")
        assert not waiting.done()
        await house.acquire("b", "w2")
        reply = await waiting
        assert reply.json()["holders"][0]["owner"] == "w1"
        assert reply.headers["raftcoord-revision"] == "2"

        monkeypatch.setattr("raftcoord.server.gateway.SUBMIT_TIMEOUT", 0.05)
        late = await house.get("/v1/locks/a?min_revision=99")
        assert (late.status, late.json()["type"]) == (504, "revision-not-reached")
        assert (late.json()["revision"], late.json()["wanted"]) == (2, 99)
        assert not house.gateway.reading._reaching
