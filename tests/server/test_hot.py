"""The short way of plain requests for locks: that it is taken, and what happens around it.

That its answers are those of the long way is in test_hot_same.
"""

import asyncio
import gc
import http.client
import json
import shutil
import urllib.request
from typing import Any

import aiohttp
import pytest

from raftcoord.commands import CancelAcquire, decode
from raftcoord.server import hot
from tests.server.house import House, in_loop, opened, served, until
from tests.server.test_hot_same import ODD, OTHER, PLAIN, SESSION, STATUS, post, splits
from tests.server.wire import Wire, furnished, quiet

WAIT = post(target="/v1/locks/held/acquire", body={"owner": "w", "ttl": 1, "wait": 60})
BODY = b'{"owner":"w","ttl":30}'


def taken(house: House) -> int:
    assert house.manager.hot is not None
    return house.manager.hot.taken


def cancels(house: House) -> int:
    return sum(isinstance(decode(entry).command, CancelAcquire) for entry in house.node.entries)


def wired(**options: Any) -> tuple[House, Wire]:
    house = furnished()
    opened(house, hot=True, **options)
    return house, Wire(house)


# It is taken.


def test_this_aiohttp_has_what_is_needed() -> None:
    assert hot.possible()


@in_loop
async def test_another_aiohttp_goes_the_long_way(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hot, "_NEEDED", ("_waiter", "_of_another_release"))
    house, wire = wired()
    assert "_of_another_release" in caplog.text
    assert house.manager.hot is None
    wire.send(PLAIN)
    await quiet(house, wire)
    assert wire.written.startswith(b"HTTP/1.1 200 OK")


@in_loop
async def test_plain_requests_are_taken_between_others() -> None:
    house, wire = wired()
    for count, data in enumerate((PLAIN, OTHER, PLAIN), 1):
        for other in (STATUS, SESSION, SESSION + STATUS, ODD["cookie"], ODD["refresh"]):
            wire.send(other)
            await quiet(house, wire)
        wire.send(data)
        await quiet(house, wire)
        assert taken(house) == count
    for one, two in splits(STATUS + SESSION):
        for piece in (one, two, PLAIN):
            wire.send(piece)
            await quiet(house, wire)
    assert taken(house) == 3 + len(STATUS + SESSION) - 1


@in_loop
async def test_a_wait_is_taken() -> None:
    house, wire = wired()
    wire.send(WAIT)
    await quiet(house, wire)
    house.node.advance(60_000)
    await quiet(house, wire)
    assert taken(house) == 1
    assert b"lock-held" in wire.written


@in_loop
async def test_a_body_that_comes_behind_its_head_is_taken() -> None:
    house, wire = wired()
    for data in (PLAIN[:-22], PLAIN[-22:-10], PLAIN[-10:]):
        await quiet(house, wire)
        wire.send(data)
    await quiet(house, wire)
    assert taken(house) == 1
    assert wire.written.startswith(b"HTTP/1.1 200 OK")


@in_loop
async def test_python_is_taken_as_it_speaks() -> None:
    async with served() as house:

        def speak() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=10)
            for owner in "vw":
                headers = {"Content-Type": "application/json"}
                connection.request("POST", f"/v1/locks/{owner}/acquire", BODY, headers)
                assert json.load(connection.getresponse())["holder"] == {"owner": "w"}
            connection.close()
            # It closes each connection, and says so: that is no plain request.
            url = f"http://127.0.0.1:{house.port}/v1/locks/u/acquire"
            request = urllib.request.Request(url, BODY, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=10) as reply:
                assert reply.status == 200

        await asyncio.to_thread(speak)
        assert taken(house) == 2


@in_loop
async def test_aiohttp_is_taken_as_it_speaks() -> None:
    async with served() as house, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{house.port}/v1/locks/orders%2F42"
        async with session.post(f"{url}/acquire", json={"owner": "w", "ttl": 30}) as reply:
            token = (await reply.json())["token"]
        async with session.post(f"{url}/release", json={"owner": "w", "token": token}) as reply:
            assert reply.status == 200
        assert taken(house) == 2


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@in_loop
async def test_curl_is_taken_as_it_speaks() -> None:
    async with served() as house:
        process = await asyncio.create_subprocess_exec(
            *("curl", "-s", "-H", "Content-Type: application/json", "-d", BODY.decode()),
            f"http://127.0.0.1:{house.port}/v1/locks/a/acquire",
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate()
        assert json.loads(said)["token"] == 1
        assert taken(house) == 1


@in_loop
async def test_where_our_count_is_not_the_parsers_the_long_way_is_taken() -> None:
    house, wire = wired()
    wire.send(STATUS)
    await quiet(house, wire)
    wire.protocol._request_count += 1
    wire.send(PLAIN)
    await quiet(house, wire)
    assert taken(house) == 0
    assert wire.written.count(b"HTTP/1.1 200 OK") == 2


# Who goes away.


@in_loop
async def test_a_grant_that_is_not_written_yet_is_given_back() -> None:
    house, wire = wired()
    house.node.hold()
    wire.send(PLAIN)
    await quiet(house, wire)
    house.node.let_go()
    assert house.machine.locks.get("a").holders
    assert not wire.written  # not within the turn of consensus
    wire.protocol.connection_lost(None)
    await quiet(house, wire)
    assert not wire.written
    assert cancels(house) == 1
    assert house.machine.locks.get("a").holders == ()


@pytest.mark.parametrize("data", [PLAIN, OTHER])
@in_loop
async def test_nothing_is_written_to_a_connection_that_closes(data: bytes) -> None:
    house, wire = wired()
    house.node.hold()
    wire.send(data)
    await quiet(house, wire)
    wire.closing = True  # the transport knows, and has not said so yet
    house.node.let_go()
    await quiet(house, wire)
    assert cancels(house) == (data is PLAIN)
    wire.protocol.connection_lost(None)
    await quiet(house, wire)
    assert cancels(house) == (data is PLAIN)
    async with asyncio.timeout(1):
        await house.manager._door.drained(10)


# The connection's own life.


@in_loop
async def test_a_node_that_stops_waits_for_the_answer_and_closes_then() -> None:
    house, wire = wired()
    house.node.hold()
    wire.send(PLAIN)
    await quiet(house, wire)
    house.manager.pre_shutdown()
    drained = asyncio.create_task(house.manager._door.drained(60))
    for _ in range(hot.MAX_PIECES):
        wire.send(OTHER)
    assert wire.paused
    await quiet(house, wire)
    assert not drained.done()
    assert not wire.closing
    house.node.let_go()
    await asyncio.wait_for(drained, 10)
    await quiet(house, wire)
    assert wire.written.startswith(b"HTTP/1.1 200 OK")
    assert wire.written.count(b"HTTP/1.1") == 1
    assert wire.closing


@in_loop
async def test_a_connection_is_idle_when_its_last_answer_is_old() -> None:
    house, wire = wired()
    protocol = wire.protocol

    async def after(seconds: float) -> None:
        """The timer rings, so many seconds after the connection was idle last."""
        protocol._next_keepalive_close_time -= seconds
        protocol._process_keepalive()
        await quiet(house, wire)

    await after(599)
    wire.send(PLAIN)
    await quiet(house, wire)
    await after(599)  # since that answer
    assert not wire.closing
    wire.send(WAIT)
    await quiet(house, wire)
    await after(601)  # somebody waits: it is not idle
    assert not wire.closing
    house.node.advance(60_000)
    await quiet(house, wire)
    await after(599)
    assert not wire.closing
    await after(2)
    assert wire.closing


@pytest.mark.parametrize("size", [1, 100, 10_000])
@in_loop
async def test_what_comes_before_the_answer_is_kept_up_to_a_bound(size: int) -> None:
    house, wire = wired()
    house.node.hold()
    wire.send(PLAIN)
    rest = (STATUS + OTHER + SESSION) * 100
    sent = 0
    while not wire.paused:
        assert sent < 2 * max(hot.MAX_KEPT, size * hot.MAX_PIECES)
        wire.send(rest[sent : sent + size])
        sent += size
    await quiet(house, wire)
    assert not wire.written
    house.node.let_go()
    await quiet(house, wire)
    assert not wire.paused
    wire.send(rest[sent:])
    async with asyncio.timeout(10):
        while wire.written.count(b"HTTP/1.1 ") < 301:
            await quiet(house, wire)
    assert wire.written.count(b"HTTP/1.1 ") == 301
    assert wire.written.count(b"HTTP/1.1 200 OK") == 1 + 200 + 1  # one release was the right one


@in_loop
async def test_a_body_that_does_not_come_is_left_to_aiohttp(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hot, "PATIENCE", 0.01)
    monkeypatch.setattr("raftcoord.server.calls.BODY_PATIENCE", 0.05)
    house, wire = wired()
    wire.send(PLAIN[:-1])
    await until(lambda: bool(wire.written))
    assert wire.written.startswith(b"HTTP/1.1 400 ")
    assert b"did not come within" in wire.written
    assert taken(house) == 0


@in_loop
async def test_a_caller_who_does_not_read_is_left_to_aiohttp() -> None:
    house, wire = wired()
    wire.protocol.pause_writing()
    wire.send(PLAIN)
    await quiet(house, wire)
    assert taken(house) == 0


# What goes wrong.


@pytest.mark.parametrize("where", ["request", "answer"])
@in_loop
async def test_a_bug_is_an_answer_with_a_name(
    where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def bug(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret of the house")

    house, wire = wired()
    if where == "request":
        monkeypatch.setattr(house.gateway, "send_acquire", bug)
    else:
        monkeypatch.setattr(hot, "settled", bug)
    wire.send(PLAIN)
    await quiet(house, wire)
    assert wire.written.startswith(b"HTTP/1.1 500 ")
    assert b'"incident":"i1"' in wire.written
    assert b"secret" not in wire.written
    assert "incident i1: POST /v1/locks/a/acquire" in caplog.text
    assert "secret of the house" in caplog.text
    monkeypatch.undo()
    wire.send(OTHER)
    await quiet(house, wire)
    assert wire.written.count(b"HTTP/1.1 ") == 2
    assert taken(house) == 2


@in_loop
async def test_a_request_leaves_the_collector_nothing() -> None:
    house, wire = wired()

    async def cycles() -> None:
        for _ in range(20):
            wire.send(PLAIN)
            await quiet(house, wire)
            token = house.machine.locks.get("a").holders[0].token
            wire.send(post("release", {"owner": "w", "token": token}))
            await quiet(house, wire)

    await cycles()
    gc.collect()
    gc.disable()
    try:
        await cycles()
        assert gc.collect() < 20
    finally:
        gc.enable()
    assert taken(house) == 80
