"""/v1/locks without waiting."""

import pytest

from tests.server.house import in_loop, served

pytestmark = pytest.mark.usefixtures("each_way")


@in_loop
async def test_a_lock_is_acquired_refreshed_checked_and_released() -> None:
    async with served() as house:
        taken = await house.acquire("orders%2F42", "worker-7", meta={"pid": 7})
        assert (taken.status, taken.headers["raftcoord-revision"]) == (200, "1")
        assert taken.json() == {
            "name": "orders/42",
            "token": 1,
            "holder": {"owner": "worker-7"},
            "expires_in": 30.0,
        }
        path = "/v1/locks/orders%2F42"
        refreshed = await house.post(f"{path}/refresh", {"owner": "worker-7", "token": 1, "ttl": 5})
        assert refreshed.json() == {"name": "orders/42", "token": 1, "expires_in": 5.0}

        held = (await house.post(f"{path}/check", {"token": 1})).json()
        assert (held["holds"], held["holder"]["owner"]) == (True, "worker-7")
        assert (await house.post(f"{path}/check", {"token": 2})).json() == {
            "name": "orders/42",
            "token": 2,
            "holds": False,
        }

        released = await house.post(f"{path}/release", {"owner": "worker-7", "token": 1})
        assert released.json() == {"name": "orders/42", "token": 1}
        assert (await house.get(path)).json() == {"name": "orders/42", "holders": [], "queue": 0}
        again = await house.post(f"{path}/release", {"owner": "worker-7", "token": 1})
        assert (again.status, again.json()["type"], again.json()["token"]) == (409, "not-holder", 1)


@in_loop
async def test_a_held_lock_is_refused_with_its_holders() -> None:
    async with served() as house:
        await house.acquire("a", "w1", meta={"host": "h1"})
        refused = await house.acquire("a", "w2")
        problem = refused.json()
        assert refused.status == 409
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.headers["raftcoord-revision"] == "1"
        assert (problem["type"], problem["status"], problem["reason"]) == ("lock-held", 409, "held")
        assert problem["holders"][0]["owner"] == "w1"
        assert problem["holders"][0]["meta"] == {"host": "h1"}
        assert (problem["queue"], problem["retry_after"]) == (0, 1)

        same = await house.acquire("a", "w1")
        assert (same.status, same.json()["type"]) == (409, "already-held")
        assert same.json()["grant"]["token"] == 1


@in_loop
async def test_what_a_session_holds_ends_with_it() -> None:
    async with served() as house:
        await house.post("/v1/sessions", {"ttl": 10})
        taken = (await house.post("/v1/locks/a/acquire", {"owner": "w", "session": 1})).json()
        assert taken["holder"] == {"owner": "w", "session": 1}
        assert taken["expires_in"] == 10.0
        await house.delete("/v1/sessions/1")
        assert (await house.get("/v1/locks/a")).json()["holders"] == []


@in_loop
async def test_a_lease_of_its_own_ends_by_cluster_time() -> None:
    async with served() as house:
        await house.acquire("a", "w", ttl=0.0001 * 15)
        assert (await house.get("/v1/locks/a")).json()["holders"][0]["expires_in"] > 0
        house.node.advance(1)
        assert (await house.get("/v1/locks/a")).json()["holders"] != []
        house.node.advance(1)
        assert (await house.get("/v1/locks/a")).json()["holders"] == []


@in_loop
async def test_what_is_left_of_a_lease_shrinks_while_nothing_is_written() -> None:
    async with served() as house:
        await house.acquire("a", "w")
        house.node.time += 10_000
        left = (await house.get("/v1/locks/a")).json()["holders"][0]["expires_in"]
        assert 19 < left <= 20


@in_loop
async def test_locks_are_listed_by_prefix_and_pages() -> None:
    async with served() as house:
        for name in ("a", "b%2F1", "b%2F2", "b%2F3", "c"):
            await house.acquire(name, "w")
        first = (await house.get("/v1/locks?prefix=b/&limit=2")).json()
        assert [lock["name"] for lock in first["locks"]] == ["b/1", "b/2"]
        assert first["next"] == "b/2"
        rest = (await house.get("/v1/locks?prefix=b/&limit=2&after=b/2")).json()
        assert ([lock["name"] for lock in rest["locks"]], rest["next"]) == (["b/3"], None)
        everything = (await house.get("/v1/locks")).json()
        assert len(everything["locks"]) == 5


@in_loop
async def test_any_text_is_a_name_when_it_is_percent_encoded() -> None:
    async with served() as house:
        for path, name in (
            ("%C3%A9t%C3%A9", "été"),
            ("a%2Fb%20c", "a/b c"),
            ("%25", "%"),
            ("a+b", "a+b"),
            ("...", "..."),
            ("x" * 256, "x" * 256),
        ):
            assert (await house.acquire(path, "w")).json()["name"] == name
            assert (await house.get(f"/v1/locks/{path}")).json()["name"] == name
