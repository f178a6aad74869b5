"""The generator counts what was answered and right, and nothing else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from bench import generator
from bench.dialects import EtcdSpeaker, RaftcoordSpeaker
from bench.generator import Job, Outcome
from bench.load import generate
from bench.processes import BenchError, free_ports
from bench.wire import Connection
from tests.bench.stub import HANG_UP, SILENCE, Answer, LockServer, Misbehave, response


def job(port: int, connections: int = 4, warmup: float = 0.0) -> Job:
    return Job("raftcoord", "127.0.0.1", port, connections, 0.2, warmup, "try")


def load(misbehave: Misbehave | None = None, connections: int = 4) -> tuple[Outcome, LockServer]:
    async def both() -> tuple[Outcome, LockServer]:
        async with LockServer(misbehave) as server:
            return await generator.run(job(server.port, connections)), server

    return asyncio.run(both())


def test_counts_each_cycle_once_and_leaves_nothing_held() -> None:
    outcome, server = load()
    assert outcome.errors == {}
    assert server.held == {}
    assert server.requests["acquire"] == server.requests["release"]
    # What is still in flight at the end of the window is answered after it and not counted.
    assert 0 <= server.requests["release"] - outcome.cycles <= 4
    assert outcome.cycles > 10
    assert 0 <= outcome.requests - 2 * outcome.cycles <= 4
    assert 0 < outcome.p50 <= outcome.p90 <= outcome.p99 <= outcome.longest
    assert outcome.cycles_per_second == pytest.approx(outcome.cycles / outcome.seconds)


def test_what_happens_before_the_window_does_not_count() -> None:
    async def both() -> tuple[Outcome, LockServer]:
        async with LockServer() as server:
            return await generator.run(job(server.port, warmup=0.2)), server

    outcome, server = asyncio.run(both())
    assert outcome.seconds == pytest.approx(0.2, abs=0.15)
    assert server.requests["release"] > outcome.cycles + 10


def test_each_connection_has_a_lock_of_its_own() -> None:
    _, server = load(connections=7)
    assert server.names == {f"try-{number}" for number in range(7)}


def every_fifth(answer: bytes, only: str) -> Misbehave:
    def misbehave(path: str, number: int) -> Answer:
        return answer if number % 5 == 4 and path.endswith(only) else None

    return misbehave


@pytest.mark.parametrize(
    ("answer", "only", "reason"),
    [
        (response(503, {"type": "no-leader"}), "acquire", "acquire: 503"),
        (response(200, {"holder": "somebody"}), "acquire", "acquire: 200"),
        (response(409, {"type": "not-holder"}), "release", "release: 409"),
        (HANG_UP, "acquire", "connection closed by the server"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", "release", "unreadable answer"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", "acquire", "unreadable answer"),
        (response(200, {"token": 1}) * 2, "acquire", "unreadable answer"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20000, "acquire", "unreadable answer"),
    ],
)
def test_a_wrong_answer_is_an_error_and_no_cycle(answer: bytes, only: str, reason: str) -> None:
    outcome, server = load(every_fifth(answer, only))
    assert list(outcome.errors) != []
    assert all(found.startswith(reason) for found in outcome.errors), outcome.errors
    # It goes on under another name, and right answers still count.
    assert outcome.cycles > 0
    assert outcome.cycles <= server.requests["release"]


def test_an_answer_that_never_comes_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "DRAIN", 0.1)
    outcome, _ = load(lambda path, number: SILENCE if number >= 20 else None)
    assert outcome.errors == {"no answer within 0.1 s": 4}


def test_a_run_in_which_nothing_was_answered_is_not_a_figure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(generator, "DRAIN", 0.1)
    outcome, _ = load(lambda path, number: SILENCE)
    assert outcome.cycles == 0
    assert "nothing was answered inside the window" in outcome.errors


def test_reads_an_answer_in_whatever_pieces_it_comes() -> None:
    whole = response(200, {"token": 12}, head="Server: stub\r\n")
    for cut in range(1, len(whole)):
        seen: list[tuple[int, bytes]] = []
        connection = Connection(lambda *answer: seen.append(answer), print)  # noqa: B023
        connection.data_received(whole[:cut])
        assert seen == []
        connection.data_received(whole[cut:])
        assert seen == [(200, b'{"token": 12}')]


def test_speaks_the_lock_service_of_etcd() -> None:
    speaker = EtcdSpeaker("h:1", "name", 60)
    assert speaker.introduction() == (
        b"POST /v3/lease/grant HTTP/1.1\r\nHost: h:1\r\nContent-Type: application/json\r\n"
        b'Content-Length: 13\r\n\r\n{"TTL": "60"}'
    )
    assert not speaker.introduced(503, b'{"ID":"77"}')
    assert speaker.introduced(200, b'{"header":{},"ID":"77","TTL":"60"}')
    assert speaker.acquire().endswith(b'{"name": "bmFtZQ==", "lease": "77"}')
    assert speaker.token(200, b'{"header":{},"key":"bmFtZS80ZA=="}') == b"bmFtZS80ZA=="
    assert speaker.token(200, b'{"header":{}}') is None
    assert speaker.release(b"bmFtZS80ZA==").endswith(b'{"key":"bmFtZS80ZA=="}')
    assert speaker.released(200, b'{"header":{"revision":"3"}}')
    assert not speaker.released(200, b"{}")


def test_speaks_the_locks_of_raftcoord() -> None:
    speaker = RaftcoordSpeaker("h:1", "name", 60)
    assert speaker.introduction() is None
    assert speaker.acquire().startswith(b"POST /v1/locks/name/acquire HTTP/1.1\r\nHost: h:1\r\n")
    assert speaker.acquire().endswith(b'{"owner": "name", "ttl": 60}')
    assert speaker.token(200, b'{"token": 41, "holder": {}}') == b"41"
    assert speaker.token(409, b'{"token": 41}') is None
    assert speaker.release(b"41").endswith(b'{"owner":"name","token":41}')


@pytest.fixture
def server() -> Iterator[LockServer]:
    """The stub in a thread, for callers that are processes."""
    stub = LockServer()
    started = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with stub:
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(10)
    yield stub
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


def test_runs_as_a_process_of_its_own(server: LockServer) -> None:
    outcome = generate(job(server.port))
    assert outcome.errors == {}
    assert 0 < outcome.cycles <= server.requests["release"]
    assert 0 < outcome.processor <= 1.5


def test_says_when_nobody_is_there() -> None:
    (port,) = free_ports(1)
    with pytest.raises(BenchError, match=f"cannot reach raftcoord at 127.0.0.1:{port}"):
        generate(job(port))
