"""The simple protocol, as stories in data: what is asked, the status, and what is in the answer.

A step is `GET …` for the lock, `TX key expire value [prepared]` for the transaction, or
`after N` to let N seconds of cluster time pass.
"""

from typing import Any
from urllib.parse import urlencode

import pytest

from tests.server.house import House, Reply, in_loop, served
from tests.server.test_bad_input import assert_problem

Step = tuple[str, int, dict[str, Any]]

NONE: dict[str, Any] = {}

STORIES: dict[str, list[Step]] = {
    "a lock is taken, refused to everybody, and released with its value": [
        ("GET key=k&expire=60&value=v", 200, {"state": "locked", "resource": "/v1/locks/k"}),
        ("GET key=k&expire=60&value=u", 409, {"type": "lock-held", "resource": "/v1/locks/k"}),
        ("GET key=k&expire=60&value=v", 409, {"type": "lock-held"}),
        ("GET key=k&expire=0&value=u", 409, {"type": "not-holder"}),
        ("GET key=k&expire=0&value=v", 200, {"state": "free", "resource": "/v1/locks/k"}),
        ("GET key=k&expire=0&value=v", 409, {"type": "not-holder"}),
        ("GET key=k&expire=60&value=u", 200, NONE),
    ],
    "a lock ends by itself": [
        ("GET key=k&expire=5&value=v", 200, {"expires_in": 5.0}),
        ("after 4.999", 0, NONE),
        ("GET key=k&expire=5&value=u", 409, NONE),
        ("after 0.001", 0, NONE),
        ("GET key=k&expire=0&value=v", 409, {"type": "not-holder"}),
        ("GET key=k&expire=5&value=u", 200, NONE),
    ],
    "names and times may be written in many ways": [
        ("GET key=a%2Fb%20c&expire=1.5&value=v", 200, {"resource": "/v1/locks/a%2Fb%20c"}),
        ("GET key=a/b+c&expire=0.0&value=v", 200, {"key": "a/b c"}),
        ("GET key=%C3%A9&expire=86400&value=%C3%A9", 200, {"key": "é"}),
        ("GET key=k&expire=0.001&value=0", 200, {"expires_in": 0.001}),
        ("GET key=k&expire=00&value=0", 200, NONE),
    ],
    "a prepare is committed": [
        ("TX k 60 v", 200, {"state": "prepared", "resource": "/v1/transactions/1"}),
        ("TX k 60 v", 409, {"type": "already-prepared", "resource": "/v1/transactions/1"}),
        ("TX k 60 u", 409, {"type": "already-prepared", "state": "prepared"}),
        ("TX k 0 u", 409, {"type": "not-prepared", "state": "prepared"}),
        ("TX k 0 v", 200, {"state": "committed", "resource": "/v1/transactions/1"}),
        ("TX k 0 v", 200, {"state": "committed"}),
        ("TX k 0 0", 409, {"type": "transaction-decided", "state": "committed"}),
        ("TX k 0 u", 409, {"state": "committed"}),
    ],
    "a prepare is rolled back": [
        ("TX k 60 v", 200, NONE),
        ("TX k 0 0", 200, {"state": "aborted", "resource": "/v1/transactions/1"}),
        ("TX k 0 0", 200, {"state": "aborted"}),
        ("TX k 0 v", 409, {"type": "transaction-decided", "state": "aborted"}),
    ],
    "a rollback may name the prepare it means": [
        ("TX k 60 v", 200, NONE),
        ("TX k 0 0 u", 409, {"type": "not-prepared", "state": "prepared"}),
        ("TX k 0 0 v", 200, {"state": "aborted"}),
        ("TX k 60 w", 200, NONE),
        ("TX k 0 0 v", 200, {"transaction": 1}),
        ("TX k 0 w", 200, {"state": "committed", "transaction": 2}),
        ("TX k 0 0 v", 200, {"state": "aborted"}),
        ("TX k 0 0 w", 409, {"state": "committed"}),
    ],
    "undecided in time is aborted": [
        ("TX k 5 v", 200, NONE),
        ("after 5", 0, NONE),
        ("TX k 0 v", 409, {"type": "transaction-decided", "state": "aborted"}),
        ("TX k 0 0", 200, {"state": "aborted"}),
    ],
    "a decision where nothing was prepared": [
        ("TX k 0 v", 409, {"type": "not-prepared", "state": "none"}),
        ("TX k 0 0", 409, {"state": "none", "resource": "/v1/transactions"}),
        ("TX k 0 0 v", 409, {"state": "none"}),
    ],
    "decisions are kept ten minutes, also beside a new prepare": [
        ("TX k 60 v", 200, NONE),
        ("TX k 0 v", 200, NONE),
        ("TX k 60 w", 200, {"state": "prepared", "transaction": 2}),
        ("TX k 0 v", 200, {"state": "committed", "transaction": 1}),
        ("TX k 0 0", 200, {"state": "aborted", "transaction": 2}),
        ("after 599", 0, NONE),
        ("TX k 0 v", 200, {"state": "committed"}),
        ("after 1", 0, NONE),
        ("TX k 0 v", 409, {"type": "not-prepared"}),
    ],
    "keys do not know of each other": [
        ("TX a 60 v", 200, NONE),
        ("TX b 60 v", 200, {"transaction": 2}),
        ("TX a 0 v", 200, {"transaction": 1}),
        ("TX b 0 0", 200, {"transaction": 2}),
    ],
}


async def lock(house: House, query: str) -> Reply:
    return await house.get(f"/lock?{query}")


async def transaction(house: House, step: str, form: bool) -> Reply:
    names = ("key", "expire", "value", "prepared")
    fields: dict[str, Any] = dict(zip(names, step.split(" "), strict=False))
    if form:
        media = "application/x-www-form-urlencoded"
        return await house.request(
            "POST", "/transaction", urlencode(fields).encode(), {"Content-Type": media}
        )
    fields["expire"] = int(fields["expire"])
    return await house.post("/transaction", fields)


@pytest.mark.parametrize("form", [False, True], ids=["json", "form"])
@pytest.mark.parametrize("story", STORIES)
@in_loop
async def test_a_story(story: str, form: bool) -> None:
    async with served() as house:
        for step, status, within in STORIES[story]:
            kind, _, rest = step.partition(" ")
            if kind == "after":
                house.node.advance(round(float(rest) * 1000))
                continue
            reply = await (lock(house, rest) if kind == "GET" else transaction(house, rest, form))
            assert reply.status == status, (step, reply.body)
            body = reply.json()
            assert {key: body.get(key) for key in within} == within, step
            assert body["resource"].startswith(("/v1/locks", "/v1/transactions"))
            assert reply.headers["cache-control"] == "no-store"
            assert reply.headers["content-type"] in ("application/json", "application/problem+json")
            assert reply.headers["raftcoord-revision"] == str(house.node.applied)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "key"),
        ("key=k", "expire"),
        ("key=k&expire=5", "value"),
        ("key=&expire=5&value=v", "key"),
        ("key=.&expire=5&value=v", "key"),
        ("key=%00&expire=5&value=v", "key"),
        (f"key={'k' * 257}&expire=5&value=v", "key"),
        ("key=k&expire=5&value=", "value"),
        (f"key=k&expire=5&value={'v' * 257}", "value"),
        ("key=k&expire=&value=v", "expire"),
        ("key=k&expire=-1&value=v", "expire"),
        ("key=k&expire=soon&value=v", "expire"),
        ("key=k&expire=nan&value=v", "expire"),
        ("key=k&expire=inf&value=v", "expire"),
        ("key=k&expire=1e3&value=v", "expire"),
        ("key=k&expire=%D9%A3&value=v", "expire"),
        ("key=k&expire=0.0005&value=v", "expire"),
        ("key=k&expire=86400.1&value=v", "expire"),
        ("key=k&expire=99999999999999999999&value=v", "expire"),
        ("key=k&key=l&expire=5&value=v", "key"),
        ("key=k&expire=5&value=v&wait=1", "wait"),
    ],
)
@in_loop
async def test_bad_input_of_a_lock(query: str, field: str) -> None:
    async with served() as house:
        reply = await lock(house, query)
        problem = assert_problem(reply, 400, "malformed")
        assert problem["field"] == field
        assert problem["resource"].startswith("/v1/locks")
        assert reply.headers["cache-control"] == "no-store"
        assert house.node.applied == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"expire": 5, "value": "v"}, "key"),
        ({"key": "k", "value": "v"}, "expire"),
        ({"key": "k", "expire": 5}, "value"),
        ({"key": "k", "expire": 5, "value": "0"}, "value"),
        ({"key": "k", "expire": 5, "value": 0}, "value"),
        ({"key": "k", "expire": -5, "value": "v"}, "expire"),
        ({"key": "k", "expire": True, "value": "v"}, "expire"),
        ({"key": "k", "expire": None, "value": "v"}, "expire"),
        ({"key": "k", "expire": 86_401, "value": "v"}, "expire"),
        ({"key": "k", "expire": "x", "value": "v"}, "expire"),
        ({"key": "k", "expire": 5, "value": ["v"]}, "value"),
        ({"key": ["k"], "expire": 5, "value": "v"}, "key"),
        ({"key": "k", "expire": 5, "value": "v", "prepared": "v"}, "prepared"),
        ({"key": "k", "expire": 0, "value": "v", "prepared": "v"}, "prepared"),
        ({"key": "k", "expire": 5, "value": "v", "more": 1}, "more"),
        (b"{", "body"),
        (b"[]", "body"),
    ],
)
@in_loop
async def test_bad_input_of_a_transaction(body: Any, field: str) -> None:
    async with served() as house:
        reply = await house.post("/transaction", body)
        problem = assert_problem(reply, 400, "malformed")
        assert problem["field"] == field
        assert problem["resource"] == "/v1/transactions"
        assert reply.headers["cache-control"] == "no-store"
        assert house.node.applied == 0


@pytest.mark.parametrize(
    ("form", "field"),
    [
        (b"expire=5&value=v", "key"),
        (b"key=k&value=v", "expire"),
        (b"key=k&expire=5", "value"),
        (b"key=k&expire=5&value=v&value=w", "value"),
        (b"key=k&expire=5&value=v&more=1", "more"),
        (b"key=%FF&expire=5&value=v", "body"),
        (b"key=\xff&expire=5&value=v", "body"),
    ],
)
@in_loop
async def test_bad_forms(form: bytes, field: str) -> None:
    async with served() as house:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        reply = await house.request("POST", "/transaction", form, headers)
        assert assert_problem(reply, 400, "malformed")["field"] == field


@in_loop
async def test_numbers_and_texts_stand_for_each_other() -> None:
    async with served() as house:
        for body, state in (
            ({"key": 7, "expire": "60", "value": 42}, "prepared"),
            ({"key": "7", "expire": "0", "value": "42"}, "committed"),
            ({"key": "7", "expire": 60.5, "value": "43"}, "prepared"),
            ({"key": "7", "expire": 0.0, "value": 0}, "aborted"),
        ):
            reply = await house.post("/transaction", body)
            assert (reply.status, reply.json()["state"]) == (200, state)


@in_loop
async def test_json_that_says_it_is_a_form_is_read_as_json() -> None:
    async with served() as house:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        body = b' {"key":"k","expire":60,"value":"v"}'
        reply = await house.request("POST", "/transaction", body, headers)
        assert (reply.status, reply.json()["state"]) == (200, "prepared")


@in_loop
async def test_the_lock_is_the_one_of_v1() -> None:
    async with served() as house:
        await house.get("/lock?key=a/b&expire=60&value=v")
        lock = (await house.get("/v1/locks/a%2Fb")).json()
        assert (len(lock["holders"]), lock["holders"][0]["token"]) == (1, 1)
        assert (await house.acquire("a%2Fb", "w")).status == 409
        await house.get("/lock?key=a/b&expire=0&value=v")
        assert (await house.acquire("a%2Fb", "w")).status == 200
        assert (await house.get("/lock?key=a/b&expire=60&value=v")).status == 409
        assert (await house.get("/lock?key=a/b&expire=0&value=w")).status == 409


@in_loop
async def test_a_cluster_that_cannot_says_so_here_too(monkeypatch) -> None:
    async with served() as house:
        house.node.faults.extend(["overloaded", "storage-full"])
        for slug in ("overloaded", "storage-full"):
            reply = await house.get("/lock?key=k&expire=60&value=v")
            assert (reply.status, reply.json()["type"]) == (503, slug)
            assert reply.headers["cache-control"] == "no-store"
            assert reply.json()["resource"] == "/v1/locks/k"


@in_loop
async def test_it_can_be_switched_off() -> None:
    async with served(simple_protocol=False) as house:
        assert (await house.get("/lock?key=k&expire=60&value=v")).status == 404
        assert (await house.post("/transaction", {})).status == 404
