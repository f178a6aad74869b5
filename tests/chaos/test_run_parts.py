"""The parts of a run: history files, schedules, requests, what a client makes of an answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from chaos import checkers, history, main
from chaos.clients import Clients
from chaos.history import FORMAT, Fault, Header, Invoke, Result, Unreadable, Writer
from chaos.report import report
from chaos.workloads import WORKLOADS, Probe, Workload, requests
from chaos.workloads.agent import Agent, drive
from chaos.workloads.connections import Connections
from chaos.workloads.requests import Request, request_for
from tests.chaos.histories import acquire
from tests.chaos.histories import history as made

HEADER = Header(FORMAT, ("n1", "n2", "n3"), {"seed": 3})


def write(file: Path, *lines: history.Line) -> Path:
    writer = Writer(file, HEADER)
    for line in lines:
        writer.write(line)
    writer.close()
    return file


def invoke(at: int, name: str, kind: str = "lock.read") -> Invoke:
    return Invoke(at, name, "c1", "n1", kind, {"name": "L"})


def test_a_history_comes_back_as_it_was_written(tmp_path: Path) -> None:
    kill = Fault(15, "kill", 1, ("n1",), "leader")
    one = write(
        tmp_path / "one",
        invoke(10, "a"),
        Result(20, "a", "ok", 200, None, 7, {"holders": []}),
        invoke(30, "b"),
    )
    two = write(tmp_path / "two", kill, invoke(5, "c"), Result(9, "c", "never-sent", why="no"))
    loaded = history.load(one, two)
    assert [item.id for item in loaded.operations] == ["c", "a", "b"]
    assert loaded.faults == (kill,)
    assert loaded.nodes == ("n1", "n2", "n3")
    assert loaded.run == {"seed": 3}
    never, answered, unheard = loaded.operations
    assert (never.outcome, never.why, never.sent) == ("never-sent", "no", False)
    assert (answered.revision, answered.answer, answered.ok) == (7, {"holders": []}, True)
    assert (unheard.outcome, unheard.end) == ("unknown", history.FOREVER)
    merged = tmp_path / "merged"
    history.save(merged, history.read_lines(one) + history.read_lines(two), HEADER)
    assert history.load(merged) == loaded
    assert [getattr(line, "at", 0) for line in history.read_lines(merged)] == [
        0,
        5,
        9,
        10,
        15,
        20,
        30,
    ]


HEAD = '{"line":"history","version":1,"nodes":["n1"]}\n'
READ = (
    '{"line":"invoke","at":5,"id":"a","client":"c","node":"n1","kind":"lock.read","arguments":{}}\n'
)
UNREADABLE = {
    "empty": ("", 1, "empty"),
    "no history": ("hello\n", 1, "malformed"),
    "bytes": ("\x00\x01\n", 1, "malformed"),
    "no header": (READ, 1, "first line"),
    "two headers": (HEAD + HEAD, 2, "first line"),
    "another version": (HEAD.replace("1,", "9,"), 1, "version 9"),
    "torn": (HEAD + READ + READ[:40], 3, "truncated"),
    "a field too many": (HEAD + READ.replace('"at"', '"x":1,"at"'), 2, "unknown field `x`"),
    "a wrong type": (HEAD + READ.replace("5", '"five"'), 2, "$.at"),
    "an unknown line": (HEAD + '{"line":"poem"}\n', 2, "poem"),
    "invoked twice": (HEAD + READ + READ, 3, "invoked twice"),
    "a result of nothing": (
        HEAD + '{"line":"result","at":9,"id":"z","outcome":"ok"}\n',
        2,
        "never invoked",
    ),
    "two results": (
        HEAD + READ + 2 * '{"line":"result","at":9,"id":"a","outcome":"ok"}\n',
        4,
        "two results",
    ),
    "an end before the begin": (
        HEAD + READ + '{"line":"result","at":4,"id":"a","outcome":"ok"}\n',
        3,
        "ends before",
    ),
    "an outcome that is none": (
        HEAD + READ + '{"line":"result","at":9,"id":"a","outcome":"perhaps"}\n',
        3,
        "perhaps",
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_history_is_refused_with_position_and_reason(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text, line, reason = UNREADABLE[name]
    file = tmp_path / "bad.jsonl"
    file.write_text(text)
    with pytest.raises(Unreadable) as refused:
        history.load(file)
    assert (refused.value.line, reason in refused.value.reason) == (line, True), refused.value
    assert main.main(["judge", str(file)]) == main.UNREADABLE
    assert f"{file}, line {line}: " in capsys.readouterr().err


def test_a_line_that_a_killed_client_did_not_finish_is_cut(tmp_path: Path) -> None:
    file = write(tmp_path / "c1.jsonl", invoke(10, "a"), Result(20, "a", "ok", 200))
    whole = file.read_bytes()
    clients = Clients(tmp_path)
    clients.files += [file, tmp_path / "never-begun.jsonl"]
    clients.lines_whole()
    assert file.read_bytes() == whole
    file.write_bytes(whole + b'{"line":"invoke","at"')
    clients.lines_whole()
    assert file.read_bytes() == whole
    file.write_bytes(b'{"line":"his')
    clients.lines_whole()
    assert file.read_bytes() == b""


def test_a_bad_history_is_judged_bad(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = {"name": "L", "owner": "a", "ttl": 10.0}
    file = write(
        tmp_path / "bad",
        Invoke(10**9, "a1", "a", "n1", "lock.acquire", asked),
        Result(2 * 10**9, "a1", "ok", 200, None, 7, {"token": 4}),
        Fault(2 * 10**9, "kill", 1, ("n1",), "leader"),
        Invoke(3 * 10**9, "b1", "b", "n2", "lock.acquire", {**asked, "owner": "b"}),
        Result(4 * 10**9, "b1", "ok", 200, None, 8, {"token": 5}),
    )
    assert main.main(["judge", str(file)]) == 1
    shown = capsys.readouterr().out.partition("VIOLATION")[2].splitlines()
    assert "two holders" in shown[0]
    assert [line.split()[2] for line in shown[1:4]] == ["a1", "round", "b1"]
    assert "kill n1 (leader)" in shown[2]
    assert "token=5" in shown[3]


def test_the_report_says_how_soon_writes_were_accepted() -> None:
    kill = Fault(10**9, "kill", 1, ("n1",), "leader")
    story = made(acquire(1.5, 2, "a", 1), faults=[kill])
    lines = list(report(story, checkers.judge(story)))
    assert any(
        "kill of the leader: median 1.000 s, max 1.000 s (1 kills)" in line for line in lines
    )
    assert any(line.startswith("no violation") for line in lines)


SPELLED = {
    ("lock.read", ("name", "a/b")): Request("GET", "/v1/locks/a%2Fb"),
    ("session.close", ("id", 7)): Request("DELETE", "/v1/sessions/7"),
    ("lock.acquire", ("name", "a/b"), ("owner", "c1"), ("ttl", 2.0)): Request(
        "POST", "/v1/locks/a%2Fb/acquire", b'{"owner":"c1","ttl":2.0}'
    ),
    ("ring.join", ("ring", "r"), ("member", "m/1"), ("weight", 2.0)): Request(
        "PUT", "/v1/rings/r/members/m%2F1", b'{"weight":2.0}'
    ),
    ("transactions.list", ("limit", 9), ("after", 4)): Request(
        "GET", "/v1/transactions?limit=9&after=4"
    ),
    ("simple.unlock", ("key", "k"), ("value", "v")): Request("GET", "/lock?expire=0&key=k&value=v"),
    ("simple.rollback", ("key", "k"), ("prepared", "v")): Request(
        "POST", "/transaction", b'{"expire":0,"value":"0","key":"k","prepared":"v"}'
    ),
}


@pytest.mark.parametrize("asked", SPELLED)
def test_requests_are_spelled_as_the_api_says(asked: tuple[Any, ...]) -> None:
    kind, *arguments = asked
    assert request_for(kind, dict(arguments)) == SPELLED[asked]


class Peer:
    """A server that reads one request of each connection and does what it was told."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.requests: list[bytes] = []
        self.replies: list[bytes] = []
        self.ended = threading.Semaphore(0)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                for reply in self.replies:
                    self.requests.append(connection.recv(65_536))
                    connection.sendall(reply)
            self.ended.release()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.close()


def reply(status: int, body: bytes, *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(head).encode() + body


GET = Request("GET", "/v1/locks/L")


@pytest.mark.parametrize(
    ("answer", "outcome", "slug", "revision"),
    [
        (reply(200, b'{"a": 1}', "Raftcoord-Revision: 7"), "ok", None, 7),
        (reply(409, b'{"type": "lock-held"}', "Raftcoord-Revision: 8"), "refused", "lock-held", 8),
        (reply(503, b'{"type": "no-leader"}'), "refused", "no-leader", None),
        (reply(503, b'{"type": "outcome-unknown"}'), "unknown", "outcome-unknown", None),
        (reply(500, b'{"type": "never-heard-of"}'), "unknown", "never-heard-of", None),
        (reply(502, b"<html>"), "unknown", None, None),
        (reply(200, b'["a"]'), "unknown", None, None),
        (b"HTTP/1.1 200 X\r\nContent-Length: 90\r\n\r\n{", "unknown", None, None),
        (b"garbage\r\n", "unknown", None, None),
        (b"", "unknown", None, None),
    ],
)
def test_what_an_answer_says(
    peer: Peer, answer: bytes, outcome: str, slug: str | None, revision: int | None
) -> None:
    peer.replies = [answer]
    heard = Connections({"n1": peer.port}).ask("n1", GET, 5)
    assert (heard.outcome, heard.slug, heard.revision) == (outcome, slug, revision)
    assert (heard.why is None) == (heard.slug is not None or heard.outcome == "ok")


def test_without_a_listener_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert Connections({"n1": port}).ask("n1", GET, 5).outcome == "never-sent"


def test_silence_is_an_unknown_outcome() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connections = Connections({"n1": listener.getsockname()[1]})
        heard = connections.ask("n1", GET, 0.05)
    assert (heard.outcome, "imeout" in (heard.why or "")) == ("unknown", True)


def test_a_connection_that_the_peer_closed_is_made_anew(peer: Peer) -> None:
    peer.replies = [reply(200, b"{}")]
    connections = Connections({"n1": peer.port})
    for _ in range(3):
        assert connections.ask("n1", GET, 5).outcome == "ok"
        assert peer.ended.acquire(timeout=5)


def test_a_connection_is_kept(peer: Peer) -> None:
    peer.replies = [reply(200, b'{"number": %d}' % number) for number in range(3)]
    connections = Connections({"n1": peer.port})
    answers = [connections.ask("n1", GET, 5).answer for _ in range(3)]
    assert answers == [{"number": 0}, {"number": 1}, {"number": 2}]


@pytest.mark.parametrize("kind", [*WORKLOADS.values(), Probe])
def test_a_workload_asks_what_can_be_asked_and_follows_from_its_seed(
    tmp_path: Path, kind: type[Workload]
) -> None:
    def run(name: str) -> list[tuple[str, dict[str, object]]]:
        # Nobody listens, so only what the seed decides is left.
        agent = Agent("c1.x", {"n1": 1}, Writer(tmp_path / name, HEADER), Random(5))
        agent.stopping.set()
        load = kind(agent)
        for _ in range(60):
            drive(load.step())
        loaded = history.load(tmp_path / name)
        assert {item.outcome for item in loaded.operations} == {"never-sent"}
        return [(item.kind, item.arguments) for item in loaded.operations]

    first = run("first")
    assert len(first) >= 10
    assert {asked for asked, _ in first} <= requests.KINDS
    assert first == run("second")
