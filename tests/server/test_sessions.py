"""/v1/sessions."""

import asyncio

from raftcoord.commands import KeepAlive, decode
from tests.server.house import in_loop, served


@in_loop
async def test_a_session_is_opened_seen_kept_and_closed() -> None:
    async with served() as house:
        opened = await house.post("/v1/sessions", {"ttl": 10, "meta": {"host": "a"}})
        assert (opened.status, opened.json()) == (200, {"id": 1, "ttl": 10.0})
        assert opened.headers["raftcoord-revision"] == "1"

        seen = await house.get("/v1/sessions/1")
        view = seen.json()
        assert 9 < view.pop("expires_in") <= 10
        assert view == {"id": 1, "ttl": 10.0, "meta": {"host": "a"}}

        house.node.time += 4_000
        kept = await house.post("/v1/sessions/1/keepalive")
        assert (kept.status, kept.json()) == (200, {"expires_in": 10.0})
        assert kept.headers["raftcoord-revision"] == "2"

        closed = await house.delete("/v1/sessions/1")
        assert (closed.status, closed.json()) == (200, {"id": 1})
        for gone in (
            await house.get("/v1/sessions/1"),
            await house.post("/v1/sessions/1/keepalive"),
            await house.delete("/v1/sessions/1"),
        ):
            assert (gone.status, gone.json()["type"]) == (404, "unknown-session")


@in_loop
async def test_a_session_that_was_not_kept_alive_is_gone() -> None:
    async with served() as house:
        await house.post("/v1/sessions", {"ttl": 2})
        house.node.advance(2_000)
        assert (await house.get("/v1/sessions/1")).status == 404
        taken = await house.acquire("a", "w", session=1)
        assert (taken.status, taken.json()["type"]) == (409, "session-gone")


@in_loop
async def test_sessions_are_listed_by_pages() -> None:
    async with served() as house:
        for _ in range(5):
            await house.post("/v1/sessions", {"ttl": 10})
        first = (await house.get("/v1/sessions?limit=2")).json()
        assert ([item["id"] for item in first["sessions"]], first["next"]) == ([1, 2], 2)
        second = (await house.get("/v1/sessions?limit=2&after=2")).json()
        assert ([item["id"] for item in second["sessions"]], second["next"]) == ([3, 4], 4)
        last = (await house.get("/v1/sessions?limit=2&after=4")).json()
        assert ([item["id"] for item in last["sessions"]], last["next"]) == ([5], None)


@in_loop
async def test_keepalives_that_come_together_are_one_entry() -> None:
    async with served() as house:
        for _ in range(3):
            await house.post("/v1/sessions", {"ttl": 10})
        before = house.node.applied
        replies = await asyncio.gather(
            *(house.post(f"/v1/sessions/{number}/keepalive") for number in (3, 1, 99, 2, 1))
        )
        assert house.node.applied == before + 1
        command = decode(house.node.entries[-1]).command
        assert isinstance(command, KeepAlive)
        assert sorted(command.ids) == [1, 1, 2, 3, 99]
        assert [reply.status for reply in replies] == [200, 200, 404, 200, 200]
        assert replies[2].json()["id"] == 99


@in_loop
async def test_a_keepalive_without_a_leader_is_refused_like_a_command(
    monkeypatch,
) -> None:
    monkeypatch.setattr("raftcoord.server.gateway.SUBMIT_TIMEOUT", 0.2)
    async with served() as house:
        await house.post("/v1/sessions", {"ttl": 10})
        house.node.has_leader = False
        reply = await house.post("/v1/sessions/1/keepalive")
        assert (reply.status, reply.json()["type"]) == (503, "no-leader")
