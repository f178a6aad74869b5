"""/v1/transactions."""

import asyncio
from typing import Any

from tests.server.house import House, in_loop, served, until


async def begin(house: House, **fields: Any) -> int:
    body = {"participants": ["db", "mail"], "timeout": 30, **fields}
    reply = await house.post("/v1/transactions", body)
    assert reply.status == 200, reply.body
    return int(reply.json()["id"])


@in_loop
async def test_a_transaction_commits_when_all_voted_and_somebody_asks() -> None:
    async with served() as house:
        number = await begin(house, meta={"order": 42})
        path = f"/v1/transactions/{number}"
        missing = await house.post(f"{path}/commit")
        assert (missing.status, missing.json()["type"]) == (409, "votes-missing")
        assert missing.json()["missing"] == ["db", "mail"]
        voted = await house.post(f"{path}/votes", {"participant": "db", "vote": "commit"})
        assert voted.json() == {"id": number, "state": "open", "decision": None}
        await house.post(f"{path}/votes", {"votes": {"mail": "commit"}})
        for _ in range(2):
            committed = await house.post(f"{path}/commit", {})
            assert committed.json() == {"id": number, "state": "committed", "decision": "commit"}
        contrary = await house.post(f"{path}/rollback")
        assert (contrary.status, contrary.json()["type"]) == (409, "transaction-decided")
        assert contrary.json()["state"] == "committed"
        view = (await house.get(path)).json()
        assert view["participants"]["db"] == {"vote": "commit", "acked": False}
        assert (view["decision"], view["meta"], view["decide"]) == (
            "commit",
            {"order": 42},
            "on_request",
        )
        for participant in ("db", "mail"):
            await house.post(f"{path}/acks", {"participant": participant})
        assert (await house.get(path)).json()["state"] == "finished"


@in_loop
async def test_a_vote_to_abort_decides() -> None:
    async with served() as house:
        number = await begin(house)
        path = f"/v1/transactions/{number}"
        voted = await house.post(f"{path}/votes", {"participant": "db", "vote": "abort"})
        assert voted.json() == {
            "id": number,
            "state": "aborted",
            "decision": "abort",
            "reason": "vote",
        }
        assert (await house.post(f"{path}/rollback")).status == 200


@in_loop
async def test_a_decision_is_waited_for() -> None:
    async with served() as house:
        number = await begin(house, decide="auto")
        path = f"/v1/transactions/{number}"
        waiting = asyncio.create_task(house.get(f"{path}?wait=30"))
        await until(lambda: bool(house.gateway.decisions._waits))
        await house.post(f"{path}/votes", {"votes": {"db": "commit", "mail": "commit"}})
        reply = await waiting
        assert reply.json()["decision"] == "commit"
        assert reply.headers["raftcoord-revision"] == "2"
        assert not house.gateway.decisions._waits


@in_loop
async def test_a_wait_for_a_decision_sees_the_timeout_of_the_transaction() -> None:
    async with served() as house:
        number = await begin(house, timeout=5)
        waiting = asyncio.create_task(house.get(f"/v1/transactions/{number}?wait=30"))
        await until(lambda: bool(house.gateway.decisions._waits))
        house.node.advance(5_000)
        assert (await waiting).json()["reason"] == "timeout"


@in_loop
async def test_a_wait_for_a_decision_ends_without_one() -> None:
    async with served() as house:
        number = await begin(house)
        reply = await house.get(f"/v1/transactions/{number}?wait=0.02")
        assert (reply.status, reply.json()["state"]) == (200, "open")
        assert not house.gateway.decisions._waits


@in_loop
async def test_an_unknown_transaction_is_never_answered_from_an_old_state() -> None:
    async with served() as house:
        before = house.node.barriers
        reply = await house.get("/v1/transactions/9?consistency=stale")
        assert (reply.status, reply.json()["type"]) == (404, "unknown-transaction")
        assert house.node.barriers > before
        house.node.has_leader = False
        waiting = asyncio.create_task(house.get("/v1/transactions/9?consistency=stale"))
        await until(lambda: bool(house.gateway.reading._parked))
        assert not waiting.done()
        house.node.has_leader = True
        house.gateway.leader_changed()
        assert (await waiting).status == 404


@in_loop
async def test_transactions_are_listed_by_state() -> None:
    async with served() as house:
        for _ in range(4):
            await begin(house)
        await house.post("/v1/transactions/2/rollback")
        opened = (await house.get("/v1/transactions?state=open&limit=2")).json()
        assert [item["id"] for item in opened["transactions"]] == [1, 3]
        rest = (await house.get(f"/v1/transactions?state=open&after={opened['next']}")).json()
        assert ([item["id"] for item in rest["transactions"]], rest["next"]) == ([4], None)
        aborted = (await house.get("/v1/transactions?state=aborted")).json()
        assert [item["id"] for item in aborted["transactions"]] == [2]
