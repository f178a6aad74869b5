"""/v1/rings."""

from raftcoord.hashring import HashRing
from tests.server.house import in_loop, served


@in_loop
async def test_a_ring_is_made_changed_and_deleted() -> None:
    async with served() as house:
        made = await house.put("/v1/rings/r", {"virtual_nodes": 64, "replicas": 2})
        assert made.json() == {"name": "r", "version": 1, "changed": True}
        assert made.headers["etag"] == '"1"'
        same = await house.put("/v1/rings/r", {"virtual_nodes": 64, "replicas": 2, "hash": "md5"})
        assert same.json() == {"name": "r", "version": 1, "changed": False}
        await house.put("/v1/rings/r/members/a", {"weight": 2, "address": "10.0.0.1:1", "meta": {}})
        await house.put("/v1/rings/r/members/b%2F2")
        ring = await house.get("/v1/rings/r")
        assert ring.headers["etag"] == '"3"'
        assert ring.json() == {
            "name": "r",
            "version": 3,
            "virtual_nodes": 64,
            "replicas": 2,
            "hash": "md5",
            "members": [
                {"id": "a", "weight": 2.0, "address": "10.0.0.1:1", "meta": {}},
                {"id": "b/2", "weight": 1.0},
            ],
        }
        assert (await house.get("/v1/rings")).json() == {
            "rings": [{"name": "r", "version": 3}],
            "next": None,
        }
        left = await house.delete("/v1/rings/r/members/a")
        assert left.json() == {"name": "r", "version": 4, "changed": True}
        assert (await house.get("/v1/rings/r?version=2")).json()["members"][0]["id"] == "a"
        assert (await house.delete("/v1/rings/r")).json() == {"name": "r", "version": 4}
        gone = await house.get("/v1/rings/r")
        assert (gone.status, gone.json()["type"]) == (404, "unknown-ring")


@in_loop
async def test_a_known_version_is_not_sent_again() -> None:
    async with served() as house:
        await house.put("/v1/rings/r")
        for known in ('"1"', 'W/"1"', '"7", "1"', "*"):
            reply = await house.get("/v1/rings/r", {"If-None-Match": known})
            assert (reply.status, reply.body, reply.headers["etag"]) == (304, b"", '"1"')
        reply = await house.get("/v1/rings/r", {"If-None-Match": '"2"'})
        assert reply.status == 200


@in_loop
async def test_keys_are_looked_up_as_clients_do() -> None:
    async with served() as house:
        for member in ("a", "b", "c"):
            await house.put(f"/v1/rings/r/members/{member}")
        ring = HashRing({"a": 1.0, "b": 1.0, "c": 1.0})
        one = (await house.get("/v1/rings/r/lookup?key=user%3A42")).json()
        assert one == {"members": [ring.owner("user:42")], "version": 3, "state": "advice"}
        two = (await house.get("/v1/rings/r/lookup?key=user%3A42&n=2")).json()
        assert two["members"] == ring.lookup("user:42", 2)
        keys = [f"key-{number}" for number in range(100)]
        many = (await house.post("/v1/rings/r/lookup", {"keys": keys, "n": 2})).json()
        assert many["members"] == {key: ring.lookup(key, 2) for key in keys}
        assert many["version"] == 3
        keys = [str(number) for number in range(10_000)]
        much = await house.post("/v1/rings/r/lookup", {"keys": keys, "n": 200})
        assert (much.status, much.json()["type"]) == (400, "malformed")
        assert (much.json()["field"], much.json()["limit"]) == ("keys", 500)


@in_loop
async def test_an_empty_ring_has_nobody_for_a_key() -> None:
    async with served() as house:
        await house.put("/v1/rings/r")
        assert (await house.get("/v1/rings/r/lookup?key=k")).json()["members"] == []
        assert (await house.post("/v1/rings/r/lookup", {"keys": ["k"]})).json()["members"] == {
            "k": []
        }


@in_loop
async def test_a_member_leaves_with_its_session() -> None:
    async with served() as house:
        await house.post("/v1/sessions", {"ttl": 10})
        await house.put("/v1/rings/r/members/a", {"session": 1})
        assert (await house.get("/v1/rings/r")).json()["members"][0]["session"] == 1
        await house.delete("/v1/sessions/1")
        assert (await house.get("/v1/rings/r")).json()["members"] == []


@in_loop
async def test_rings_are_listed_by_pages() -> None:
    async with served() as house:
        for name in "abc":
            await house.put(f"/v1/rings/{name}")
        first = (await house.get("/v1/rings?limit=2")).json()
        assert ([ring["name"] for ring in first["rings"]], first["next"]) == (["a", "b"], "b")
        rest = (await house.get("/v1/rings?limit=2&after=b")).json()
        assert ([ring["name"] for ring in rest["rings"]], rest["next"]) == (["c"], None)
