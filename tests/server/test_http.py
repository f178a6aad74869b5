"""HTTP itself: formats, headers, sizes, connections, strangers."""

import asyncio

import msgspec
import pytest

from tests.server.house import PATIENCE, Connection, in_loop, served, until
from tests.server.test_bad_input import assert_problem

MSGPACK = {"Content-Type": "application/msgpack"}


@in_loop
async def test_msgpack_is_read_and_written() -> None:
    async with served() as house:
        body = msgspec.msgpack.encode({"ttl": 10})
        reply = await house.request("POST", "/v1/sessions", body, MSGPACK)
        assert reply.headers["content-type"] == "application/msgpack"
        assert reply.msgpack() == {"id": 1, "ttl": 10.0}

        for accept, kind in (
            ("application/msgpack", "application/msgpack"),
            ("application/vnd.msgpack", "application/msgpack"),
            ("text/html, application/msgpack;q=0.9", "application/msgpack"),
            ("application/json", "application/json"),
            ("text/html", "application/json"),
            ("*/*", "application/json"),
        ):
            reply = await house.get("/v1/sessions/1", {"Accept": accept})
            assert reply.headers["content-type"] == kind, accept

        headers = {**MSGPACK, "Accept": "application/json"}
        reply = await house.request("POST", "/v1/sessions", body, headers)
        assert reply.json()["id"] == 2

        wrong = await house.request("POST", "/v1/sessions", b"\x80", MSGPACK)
        assert_problem(wrong, 400, "malformed")


@in_loop
async def test_media_types_that_are_not_read() -> None:
    async with served() as house:
        for media in ("text/plain", "application/x-www-form-urlencoded", "application/xml", "json"):
            reply = await house.request(
                "POST", "/v1/sessions", b'{"ttl":10}', {"Content-Type": media}
            )
            problem = assert_problem(reply, 415, "unsupported-media")
            assert "application/json" in problem["allowed"]
        reply = await house.request(
            "POST",
            "/v1/sessions",
            b'{"ttl":10}',
            {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        )
        assert_problem(reply, 415, "unsupported-media")
        assert house.node.applied == 0
        for media in ("application/json; charset=utf-8", "Application/JSON"):
            headers = {"Content-Type": media}
            reply = await house.request("POST", "/v1/sessions", b'{"ttl":10}', headers)
            assert reply.status == 200


@in_loop
async def test_a_body_without_a_type_is_json() -> None:
    async with served() as house:
        assert (await house.request("POST", "/v1/sessions", b'{"ttl":10}')).status == 200


@in_loop
async def test_the_largest_body_and_one_byte_more() -> None:
    async with served() as house:
        keys = b'{"keys":["k"]' + b" " * ((1 << 20) - 14) + b"}"
        assert len(keys) == 1 << 20
        await house.put("/v1/rings/r")
        assert (await house.request("POST", "/v1/rings/r/lookup", keys)).status == 200
        reply = await house.request("POST", "/v1/rings/r/lookup", keys + b" ")
        problem = assert_problem(reply, 413, "body-too-large")
        assert problem["limit"] == 1 << 20
        assert (await house.get("/livez")).status == 200


@in_loop
async def test_an_announced_giant_is_refused_before_it_comes() -> None:
    async with served() as house:
        connection = await house.connect()
        connection.send("POST", "/v1/sessions", None, {"Content-Length": str(1 << 40)})
        reply = await connection.answer()
        assert_problem(reply, 413, "body-too-large")
        assert reply.headers["connection"] == "close"
        connection.close()


@in_loop
async def test_chunked_bodies_are_bounded_too() -> None:
    async with served() as house:
        connection = await house.connect()
        connection.send("POST", "/v1/sessions", None, {"Transfer-Encoding": "chunked"})
        connection.writer.write(b'5\r\n{"ttl\r\n5\r\n":10}\r\n0\r\n\r\n')
        assert (await connection.answer()).json()["id"] == 1
        connection.send("POST", "/v1/sessions", None, {"Transfer-Encoding": "chunked"})
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        connection.writer.write(chunk * 17)
        assert_problem(await connection.answer(), 413, "body-too-large")
        connection.close()

        connection = await house.connect()
        connection.send("POST", "/v1/sessions", None, {"Transfer-Encoding": "chunked"})
        connection.writer.write(b"zz\r\n")
        assert_problem(await connection.answer(), 400, "malformed")
        connection.close()


@in_loop
async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch) -> None:
    monkeypatch.setattr("raftcoord.server.calls.BODY_PATIENCE", 0.05)
    async with served() as house:
        connection = await house.connect()
        connection.send("POST", "/v1/sessions", None, {"Content-Length": "10"})
        connection.writer.write(b'{"ttl')
        problem = assert_problem(await connection.answer(), 400, "malformed")
        assert problem["field"] == "body"
        connection.close()


@in_loop
async def test_who_expects_to_be_told_to_go_on_is_told() -> None:
    async with served() as house:
        connection = await house.connect()
        headers = {"Content-Length": "10", "Expect": "100-continue"}
        connection.send("POST", "/v1/sessions", None, headers)
        assert (await connection.answer()).status == 100
        connection.writer.write(b'{"ttl":10}')
        assert (await connection.answer()).json()["id"] == 1
        connection.close()


@in_loop
async def test_a_connection_serves_many_requests_in_order() -> None:
    async with served() as house:
        connection = await house.connect()
        for number in range(1, 4):
            connection.send("POST", "/v1/sessions", {"ttl": 10 + number})
        connection.send("GET", "/nope")
        connection.send("HEAD", "/v1/sessions/1")
        connection.send("GET", "/v1/sessions/3")
        for number in range(1, 4):
            assert (await connection.answer()).json() == {"id": number, "ttl": 10.0 + number}
        assert (await connection.answer()).status == 404
        head = await connection.answer("HEAD")
        assert (head.status, head.body) == (200, b"")
        assert int(head.headers["content-length"]) > 20
        assert (await connection.answer()).json()["id"] == 3
        connection.close()


@in_loop
async def test_connections_close_when_asked_and_for_http_1_0() -> None:
    async with served() as house:
        connection = await house.connect()
        reply = await connection.request("GET", "/livez", None, {"Connection": "close"})
        assert reply.headers["connection"] == "close"
        assert await connection.reader.read() == b""
        connection.close()

        connection = await house.connect()
        connection.writer.write(b"GET /livez HTTP/1.0\r\n\r\n")
        reply = await connection.answer()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert await connection.reader.read() == b""
        connection.close()

        connection = await house.connect()
        connection.writer.write(b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert (await connection.answer()).headers["connection"] == "keep-alive"
        assert (await connection.request("GET", "/livez")).status == 200
        connection.close()


@pytest.mark.parametrize(
    "noise",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00.\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon here\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"z" * 20_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"POST /v1/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/sessions HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    ],
)
@in_loop
async def test_what_is_no_request_gets_a_problem_and_the_end(noise: bytes) -> None:
    async with served() as house:
        connection = await house.connect()
        connection.writer.write(noise)
        reply = await connection.answer()
        problem = assert_problem(reply, reply.status, "malformed")
        assert 400 <= problem["status"] < 500
        async with asyncio.timeout(PATIENCE):
            assert await connection.reader.read() == b""
        connection.close()
        assert (await house.get("/livez")).status == 200


@pytest.mark.parametrize("target", ["/v1/sessions", "/lock?key=k&expire=1&value=v"])
@in_loop
async def test_pages_of_other_sites_are_refused(target: str) -> None:
    async with served() as house:
        for headers in (
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:9999"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Host": "evil.example"},
            {"Host": "evil.example:8080"},
            {"Host": "localhost.evil.example"},
            {"Host": ""},
            {"Host": "127.0.0.1.evil.example"},
        ):
            reply = await house.get(target, headers)
            assert_problem(reply, 403, "forbidden")
            simple = target.startswith(("/lock", "/transaction"))
            assert reply.headers.get("cache-control") == ("no-store" if simple else None)
        assert house.node.applied == 0


@in_loop
async def test_names_and_pages_of_this_node_are_not_refused() -> None:
    async with served() as house:
        for headers in (
            {"Host": "localhost"},
            {"Host": "LOCALHOST:8080"},
            {"Host": "[::1]:8080"},
            {"Host": "node-1.example:80"},
            {"Host": f"127.0.0.1:{house.port}", "Origin": f"http://127.0.0.1:{house.port}"},
            {"Sec-Fetch-Site": "same-origin"},
            {"Sec-Fetch-Site": "none"},
        ):
            assert (await house.get("/v1/sessions", headers)).status == 200, headers


@in_loop
async def test_a_bug_is_an_answer_with_a_name(monkeypatch, caplog) -> None:
    async with served() as house:

        def bug(*_: object) -> None:
            raise RuntimeError("secret of the house")

        monkeypatch.setattr(house.machine.locks, "get", bug)
        reply = await house.get("/v1/locks/a")
        problem = assert_problem(reply, 500, "internal-error")
        assert problem["incident"] == "i1"
        assert "secret" not in reply.body.decode()
        assert "i1" in caplog.text
        assert "secret of the house" in caplog.text
        assert (await house.get("/livez")).status == 200


@in_loop
async def test_the_number_of_connections_is_bounded(monkeypatch) -> None:
    async with served(connections=3) as house:
        kept: list[Connection] = [await house.connect() for _ in range(3)]
        for connection in kept:
            assert (await connection.request("GET", "/livez")).status == 200
        refused = await house.connect()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await refused.request("GET", "/livez")
        refused.close()
        kept.pop().close()
        await until(lambda: house.manager._open == 2)
        assert (await house.get("/livez")).status == 200
        for connection in kept:
            connection.close()
