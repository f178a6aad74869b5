"""Bad input: every refusal is a problem that names the field and what is allowed."""

from typing import Any

import msgspec
import pytest

from tests.server.house import Reply, in_loop, served

ACQUIRE = "POST /v1/locks/a/acquire"
LONG = "x" * 257

CASES: list[tuple[str, Any, str]] = [
    # Names.
    (ACQUIRE, {"owner": "", "ttl": 1}, "owner"),
    (ACQUIRE, {"owner": LONG, "ttl": 1}, "owner"),
    (ACQUIRE, {"owner": "é" * 129, "ttl": 1}, "owner"),
    (ACQUIRE, {"owner": "a\u0000b", "ttl": 1}, "owner"),
    (ACQUIRE, {"owner": "a\u009fb", "ttl": 1}, "owner"),
    (ACQUIRE, {"owner": ".", "ttl": 1}, "owner"),
    (ACQUIRE, {"owner": "..", "ttl": 1}, "owner"),
    (f"POST /v1/locks/{LONG}/acquire", {"owner": "w", "ttl": 1}, "name"),
    ("POST /v1/locks/%0A/acquire", {"owner": "w", "ttl": 1}, "name"),
    ("POST /v1/locks/../acquire", {"owner": "w", "ttl": 1}, "name"),
    ("POST /v1/locks/%2E/acquire", {"owner": "w", "ttl": 1}, "name"),
    ("POST /v1/locks//acquire", {"owner": "w", "ttl": 1}, "name"),
    ("GET /v1/locks/%FF", None, "path"),
    ("GET /v1/locks/%7F", None, "name"),
    (f"PUT /v1/rings/r/members/{LONG}", {}, "member"),
    ("PUT /v1/rings/r/members/m", {"address": LONG}, "address"),
    # Types, missing fields, unknown fields.
    (ACQUIRE, {"ttl": 1}, "owner"),
    (ACQUIRE, {"owner": 7, "ttl": 1}, "owner"),
    (ACQUIRE, {"owner": "w"}, "ttl"),
    (ACQUIRE, {"owner": "w", "ttl": "1"}, "ttl"),
    (ACQUIRE, {"owner": "w", "ttl": True}, "ttl"),
    (ACQUIRE, {"owner": "w", "ttl": None, "session": None}, "ttl"),
    (ACQUIRE, {"owner": "w", "ttl": 1, "session": "1"}, "session"),
    (ACQUIRE, {"owner": "w", "ttl": 1, "session": 1.5}, "session"),
    (ACQUIRE, {"owner": "w", "ttl": 1, "session": 1 << 80}, "session"),
    (ACQUIRE, {"owner": "w", "ttl": 1, "mode": "shared"}, "mode"),
    (ACQUIRE, {"owner": "w", "ttl": 1, "permits": 2}, "permits"),
    (ACQUIRE, [1], "body"),
    (ACQUIRE, b'"text"', "body"),
    (ACQUIRE, b"null", "body"),
    ("POST /v1/locks/a/release", {"owner": "w"}, "token"),
    ("POST /v1/locks/a/release", {"owner": "w", "token": "1"}, "token"),
    ("POST /v1/locks/a/release", {"owner": "w", "token": -1}, "token"),
    ("POST /v1/locks/a/check", {}, "token"),
    ("POST /v1/transactions/1/commit", {"force": True}, "force"),
    # Malformed bodies.
    (ACQUIRE, b"{", "body"),
    (ACQUIRE, b'{"owner":"w","ttl":1}x', "body"),
    (ACQUIRE, b"{'owner': 'w'}", "body"),
    (ACQUIRE, b'{"owner":"\xff","ttl":1}', "body"),
    (ACQUIRE, b'{"owner":"\\ud800","ttl":1}', "body"),
    (ACQUIRE, b'{"owner":"w","ttl":NaN}', "body"),
    (ACQUIRE, b'{"owner":"w","ttl":1e999}', "ttl"),
    (ACQUIRE, b"[" * 100_000, "body"),
    (ACQUIRE, b'{"owner":"w","ttl":1,"meta":{"a":' + b"[" * 100_000, "body"),
    # Durations.
    (ACQUIRE, {"owner": "w", "ttl": 0}, "ttl"),
    (ACQUIRE, {"owner": "w", "ttl": -1}, "ttl"),
    (ACQUIRE, {"owner": "w", "ttl": 0.0009}, "ttl"),
    (ACQUIRE, {"owner": "w", "ttl": 86_400.001}, "ttl"),
    (ACQUIRE, {"owner": "w", "ttl": 1e300}, "ttl"),
    (ACQUIRE, {"owner": "w", "ttl": 1, "wait": -1}, "wait"),
    (ACQUIRE, {"owner": "w", "ttl": 1, "wait": 3_601}, "wait"),
    (ACQUIRE, {"owner": "w", "ttl": 1, "wait": 0.0005}, "wait"),
    ("POST /v1/sessions", {"ttl": 1.999}, "ttl"),
    ("POST /v1/sessions", {"ttl": 86_401}, "ttl"),
    # Attachments.
    (ACQUIRE, {"owner": "w", "ttl": 1, "meta": {"a": "x" * 4096}}, "meta"),
    (ACQUIRE, {"owner": "w", "ttl": 1, "meta": {"a": [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}}, "meta"),
    (ACQUIRE, {"owner": "w", "ttl": 1, "meta": {"a": 1 << 70}}, "meta"),
    (ACQUIRE, {"owner": "w", "ttl": 1, "meta": [1]}, "meta"),
    # Rings.
    ("PUT /v1/rings/r", {"virtual_nodes": 0}, "virtual_nodes"),
    ("PUT /v1/rings/r", {"virtual_nodes": 1_025}, "virtual_nodes"),
    ("PUT /v1/rings/r", {"virtual_nodes": 1.5}, "virtual_nodes"),
    ("PUT /v1/rings/r", {"replicas": 0}, "replicas"),
    ("PUT /v1/rings/r", {"hash": "xxh64"}, "hash"),
    ("PUT /v1/rings/r", {"handoff": True}, "handoff"),
    ("PUT /v1/rings/r/members/m", {"weight": 0}, "weight"),
    ("PUT /v1/rings/r/members/m", {"weight": 100.1}, "weight"),
    ("PUT /v1/rings/r/members/m", {"zone": "z"}, "zone"),
    ("GET /v1/rings/r/lookup", None, "key"),
    ("GET /v1/rings/r/lookup?key=k&n=0", None, "n"),
    ("GET /v1/rings/r/lookup?key=k&n=x", None, "n"),
    ("POST /v1/rings/r/lookup", {"keys": []}, "keys"),
    ("POST /v1/rings/r/lookup", {"keys": ["k"] * 10_001}, "keys"),
    ("POST /v1/rings/r/lookup", {"keys": [1]}, "keys[0]"),
    ("POST /v1/rings/r/lookup", {"keys": ["k"], "n": 1_001}, "n"),
    ("GET /v1/rings/r?version=-1", None, "version"),
    # Transactions.
    ("POST /v1/transactions", {"participants": [], "timeout": 1}, "participants"),
    ("POST /v1/transactions", {"participants": ["a", "a"], "timeout": 1}, "participants"),
    (
        "POST /v1/transactions",
        {"participants": [f"p{number}" for number in range(65)], "timeout": 1},
        "participants",
    ),
    ("POST /v1/transactions", {"participants": [""], "timeout": 1}, "participants"),
    ("POST /v1/transactions", {"participants": ["a"]}, "timeout"),
    ("POST /v1/transactions", {"participants": ["a"], "timeout": 0}, "timeout"),
    ("POST /v1/transactions", {"participants": ["a"], "timeout": 1, "decide": "x"}, "decide"),
    ("POST /v1/transactions", {"participants": ["a"], "timeout": 1, "guards": []}, "guards"),
    ("POST /v1/transactions/1/votes", {}, "participant"),
    ("POST /v1/transactions/1/votes", {"participant": "a"}, "vote"),
    ("POST /v1/transactions/1/votes", {"participant": "a", "vote": "yes"}, "vote"),
    ("POST /v1/transactions/1/votes", {"votes": {}}, "votes"),
    ("POST /v1/transactions/1/votes", {"votes": {"a": "yes"}}, "votes[...]"),
    ("POST /v1/transactions/1/votes", {"votes": {"a": "abort"}, "vote": "abort"}, "votes"),
    ("POST /v1/transactions/one/commit", {}, "id"),
    ("GET /v1/transactions/1?wait=nan", None, "wait"),
    ("GET /v1/transactions/1?wait=3601", None, "wait"),
    ("GET /v1/transactions/1?wait=1_0", None, "wait"),
    ("GET /v1/transactions/1?wait=-1", None, "wait"),
    ("GET /v1/transactions?state=lost", None, "state"),
    # Queries.
    ("GET /v1/locks?limit=0", None, "limit"),
    ("GET /v1/locks?limit=1001", None, "limit"),
    ("GET /v1/locks?limit=ten", None, "limit"),
    ("GET /v1/locks?limit=1&limit=2", None, "limit"),
    ("GET /v1/locks?colour=red", None, "colour"),
    ("GET /v1/locks?prefix=%0A", None, "prefix"),
    ("GET /v1/locks?prefix=%FF", None, "query"),
    ("GET /v1/locks?prefix", None, "query"),
    ("GET /v1/locks/a?consistency=eventual", None, "consistency"),
    ("GET /v1/locks/a?min_revision=-1", None, "min_revision"),
    ("GET /v1/locks/a?min_revision=99999999999999999999", None, "min_revision"),
    ("GET /v1/sessions?after=x", None, "after"),
    (f"{ACQUIRE}?wait=1", {"owner": "w", "ttl": 1}, "wait"),
    ("GET /v1/status?full=1", None, "full"),
]


def assert_problem(reply: Reply, status: int, slug: str) -> dict[str, Any]:
    """The shape of RFC 9457."""
    assert reply.status == status, reply.body
    assert reply.headers["content-type"] == "application/problem+json"
    assert "raftcoord-revision" in reply.headers
    problem: dict[str, Any] = reply.json()
    assert problem["type"] == slug
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert "Traceback" not in problem["detail"]
    return problem


@pytest.mark.parametrize(
    ("asked", "body", "field"), CASES, ids=[f"{case[0][:40]}-{case[2]}" for case in CASES]
)
@in_loop
async def test_bad_input_is_refused_by_field(asked: str, body: Any, field: str) -> None:
    method, target = asked.split(" ", 1)
    async with served() as house:
        reply = await house.request(method, target, body)
        problem = assert_problem(reply, 400, "malformed")
        assert problem["field"] == field
        assert problem["allowed"]
        assert house.node.applied == 0
        assert (await house.get("/livez")).status == 200


@in_loop
async def test_a_refusal_does_not_repeat_a_megabyte() -> None:
    async with served() as house:
        name = "x" * 500_000
        for reply in (
            await house.post("/v1/sessions", {name: 1}),
            await house.post("/v1/transactions/1/votes", {"votes": {name: 1}}),
            await house.post("/v1/transactions/1/votes", {"votes": {"a": name}}),
            await house.get(f"/v1/{name[:6000]}"),
            await house.get(f"/v1/locks?{name[:6000]}=1"),
            await house.get(f"/v1/locks?limit={name[:6000]}"),
            await house.get("/livez", {"Origin": name[:6000]}),
        ):
            assert 400 <= reply.status < 500
            assert len(reply.body) < 2_000


@in_loop
async def test_a_bound_is_in_the_refusal() -> None:
    async with served() as house:
        for fields, limit in (
            ({"ttl": 86_401}, 86_400),
            ({"ttl": 0}, 0.001),
            ({"wait": 3_601}, 3_600),
            ({"meta": {"a": "x" * 5_000}}, 4_096),
        ):
            problem = (await house.acquire("a", "w", **fields)).json()
            assert (problem["field"], problem["limit"]) == (next(iter(fields)), limit)


@pytest.mark.parametrize(
    "body",
    [
        {"owner": "w", "ttl": float("nan")},
        {"owner": "w", "ttl": float("inf")},
        {"owner": "w", "ttl": float("-inf")},
        {"owner": "w", "ttl": 1, "meta": {"a": float("nan")}},
        {"owner": "w", "ttl": 1, "meta": {"a": b"bytes"}},
        {"owner": "w", "ttl": 1, "meta": {"a": {1: 2}}},
        {"owner": "w", "ttl": 1, "meta": {"a": msgspec.msgpack.Ext(1, b"x")}},
        {"owner": b"w", "ttl": 1},
    ],
)
@in_loop
async def test_msgpack_says_no_more_than_json(body: Any) -> None:
    async with served() as house:
        reply = await house.request(
            "POST",
            "/v1/locks/a/acquire",
            msgspec.msgpack.encode(body),
            {"Content-Type": "application/msgpack"},
        )
        assert_problem(reply, 400, "malformed")
        assert house.node.applied == 0


@pytest.mark.parametrize("meta", [{1: 2}, {"a": 1, 2: {}}])
@in_loop
async def test_a_key_that_is_no_text_names_its_field(meta: Any) -> None:
    async with served() as house:
        body = msgspec.msgpack.encode({"owner": "w", "ttl": 1, "meta": meta})
        headers = {"Content-Type": "application/msgpack"}
        reply = await house.request("POST", "/v1/locks/a/acquire", body, headers)
        problem = assert_problem(reply, 400, "malformed")
        assert (problem["field"], problem["allowed"]) == (
            "meta",
            "a JSON object of at most 4096 bytes",
        )


@pytest.mark.parametrize(
    ("target", "body", "said"),
    [
        ("POST /v1/locks/a/acquire", {"owner": "w", "ttl": 86400.001}, "ttl is 86400.001;"),
        ("POST /v1/locks/a/acquire", {"owner": "w", "ttl": 86401}, "ttl is 86401;"),
        ("POST /v1/locks/a/acquire", {"owner": "w", "ttl": -0.5}, "ttl is -0.5;"),
        ("PUT /v1/rings/r/members/m", {"weight": 100.0000001}, "weight is 100.0000001;"),
        ("PUT /v1/rings/r", {"virtual_nodes": 10**400}, f"virtual_nodes is 1{'0' * 39};"),
        ("PUT /v1/rings/r", {"virtual_nodes": -(10**400)}, f"virtual_nodes is -1{'0' * 38};"),
        ("POST /transaction", {"key": "k", "value": "v", "expire": 10**400}, "expire is 1000"),
        ("POST /transaction", {"key": "k", "value": "v", "expire": "-1"}, "expire is '-1';"),
        ("GET /lock?key=k&value=v&expire=-1", None, "expire is '-1';"),
        ("GET /lock?key=k&value=v&expire=abc", None, "expire is 'abc';"),
        ("GET /lock?key=k&value=v&expire=86400.001", None, "expire is 86400.001;"),
        ("GET /v1/transactions/1?wait=1_0", None, "wait is '1_0';"),
    ],
)
@in_loop
async def test_a_refusal_repeats_what_was_sent(target: str, body: Any, said: str) -> None:
    async with served() as house:
        reply = await house.request(*target.split(" "), body)
        assert assert_problem(reply, 400, "malformed")["detail"].startswith(said)


@pytest.mark.parametrize("data", [b"\xc1", b"\x81", b"\xdf\xff\xff\xff\xff", b"\x91" * 100_000])
@in_loop
async def test_malformed_msgpack_is_refused(data: bytes) -> None:
    async with served() as house:
        headers = {"Content-Type": "application/vnd.msgpack"}
        reply = await house.request("POST", "/v1/sessions", data, headers)
        assert assert_problem(reply, 400, "malformed")["field"] == "body"


@pytest.mark.parametrize(
    ("asked", "status", "slug"),
    [
        ("GET /", 404, "not-found"),
        ("GET /v1", 404, "not-found"),
        ("GET /v1/locks/a/b", 404, "not-found"),
        ("GET /v1/status/", 404, "not-found"),
        ("GET /v2/status", 404, "not-found"),
        ("POST /v1/locks/a/steal", 404, "not-found"),
        ("GET /v1/sessions/first", 404, "unknown-session"),
        ("GET /v1/sessions/99999999999999999999", 404, "unknown-session"),
        ("DELETE /v1/rings/r", 404, "unknown-ring"),
        ("GET /v1/rings/r/lookup?key=k", 404, "unknown-ring"),
        ("GET /v1/transactions/1", 404, "unknown-transaction"),
        ("DELETE /v1/locks/a", 405, "method-not-allowed"),
        ("PATCH /v1/sessions", 405, "method-not-allowed"),
        ("OPTIONS /v1/sessions", 405, "method-not-allowed"),
        ("GET /v1/locks/a/acquire", 405, "method-not-allowed"),
        ("POST /lock", 405, "method-not-allowed"),
        ("HEAD /lock?key=k&expire=1&value=v", 405, "method-not-allowed"),
        ("GET /transaction", 405, "method-not-allowed"),
    ],
)
@in_loop
async def test_what_is_not_there(asked: str, status: int, slug: str) -> None:
    method, target = asked.split(" ", 1)
    async with served() as house:
        reply = await house.request(method, target)
        if method != "HEAD":
            assert_problem(reply, status, slug)
        assert reply.status == status
        if status == 405:
            assert method not in reply.headers["allow"]
            assert reply.headers["allow"]
            simple = target.startswith(("/lock", "/transaction"))
            assert reply.headers.get("cache-control") == ("no-store" if simple else None)


@in_loop
async def test_headers_that_promise_too_much_are_refused() -> None:
    async with served() as house:
        for header in ("Idempotency-Key", "If-Match"):
            reply = await house.request("POST", "/v1/sessions", {"ttl": 10}, {header: '"1"'})
            assert assert_problem(reply, 400, "malformed")["field"] == header
        assert house.node.applied == 0
