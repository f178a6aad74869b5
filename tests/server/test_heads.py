"""What is said of heads without a parser is what the parser says of them, or nothing is said."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from aiohttp.http import HttpProcessingError, HttpRequestParser
from hypothesis import given, settings
from hypothesis import strategies as st

from raftcoord.server import heads, hot
from raftcoord.server.heads import END, Head, Heads, Place
from tests.server.test_hot_same import LINES, ODD, OTHER, PLAIN, SESSION, STATUS, post


def knows(host: str) -> bool:
    return host == "127.0.0.1"


def head(*lines: bytes, known: Heads | None = None) -> Head:
    return (known or Heads(knows)).read(b"".join(line + b"\r\n" for line in lines) + b"\r\n")


HOST = b"Host: 127.0.0.1"

CLIENTS = {
    "bench": [HOST, b"Content-Type: application/json", b"Content-Length: 31"],
    "wrk": [HOST, b"Content-Type: application/json", b"Content-Length: 31"],
    "curl": [
        HOST,
        b"User-Agent: curl/8.9.1",
        b"Accept: */*",
        b"Content-Type: application/json",
        b"Content-Length: 31",
    ],
    "http.client": [HOST, b"Accept-Encoding: identity", b"Content-Length: 31"],
    "urllib": [
        b"Accept-Encoding: identity",
        b"Content-Type: application/json",
        b"User-Agent: Python-urllib/3.11",
        b"Content-Length: 31",
        HOST,
    ],
    "requests": [
        HOST,
        b"User-Agent: python-requests/2.32.3",
        b"Accept-Encoding: gzip, deflate, br, zstd",
        b"Accept: */*",
        b"Connection: keep-alive",
        b"Content-Length: 31",
        b"Content-Type: application/json",
    ],
    "httpx": [
        HOST,
        b"Accept: */*",
        b"Accept-Encoding: gzip, deflate",
        b"Connection: keep-alive",
        b"User-Agent: python-httpx/0.27.2",
        b"Content-Length: 31",
        b"Content-Type: application/json",
    ],
    "aiohttp": [
        HOST,
        b"Accept: */*",
        b"Accept-Encoding: gzip, deflate",
        b"User-Agent: Python/3.11 aiohttp/3.14.5",
        b"Content-Length: 31",
        b"Content-Type: application/json",
    ],
    "Go": [
        HOST,
        b"User-Agent: Go-http-client/1.1",
        b"Content-Length: 31",
        b"Content-Type: application/json",
        b"Accept-Encoding: gzip",
    ],
    "Java": [
        b"Content-Length: 31",
        HOST,
        b"User-Agent: Java-http-client/21.0.1",
        b"Content-Type: application/json; charset=utf-8",
    ],
    "axios": [
        b"Accept: application/json, text/plain, */*",
        b"Content-Type: application/json",
        b"User-Agent: axios/1.7.7",
        b"Content-Length: 31",
        b"Accept-Encoding: gzip, compress, deflate, br",
        HOST,
        b"Connection: keep-alive",
    ],
}


@pytest.mark.parametrize("lines", CLIENTS.values(), ids=CLIENTS.keys())
def test_what_clients_send_is_plain(lines: list[bytes]) -> None:
    assert head(*lines).plain


@pytest.mark.parametrize(
    "line",
    [
        b"Accept: application/msgpack",
        b"Authorization: Bearer x",
        b"Connection: close",
        b"Content-Encoding: identity",
        b"Content-Length: 8193",
        b"Content-Type: text/plain",
        b"Cookie: a=b",
        b"Expect: 100-continue",
        b"Host: 127.0.0.1",
        b"Host: localhost",
        b"Idempotency-Key: 1",
        b"If-Match: *",
        b"Origin: http://127.0.0.1",
        b"Sec-Fetch-Site: none",
        b"Transfer-Encoding: chunked",
        b"Upgrade: websocket",
        b"User-Agent: " + b"x" * 2_048,
        b"X-Anything: 1",
    ],
)
def test_a_line_that_may_mean_something_is_not_plain(line: bytes) -> None:
    assert head(HOST).plain
    assert not head(HOST, line).plain


def test_a_host_is_asked_for_until_it_is_known() -> None:
    known: set[str] = set()
    asked = Heads(lambda host: host in known)
    assert not head(b"Host: new.example", known=asked).plain
    known.add("new.example")
    assert head(b"Host: new.example", known=asked).plain
    known.clear()
    assert head(b"Host: new.example", known=asked).plain  # now it is remembered


def test_what_is_remembered_is_bounded() -> None:
    known = Heads(knows)
    for number in range(2_000):
        head(HOST, b"User-Agent: %d" % number, known=known)
        head(HOST, b"User-Agent: %d" % number + b"x" * heads.MAX_LINES, known=known)
    assert len(known._remembered) <= 512
    assert max(map(len, known._remembered)) <= heads.MAX_LINES


class Parser:
    """aiohttp's, and what it found."""

    def __init__(self) -> None:
        self._parser = HttpRequestParser(
            self,
            asyncio.get_running_loop(),
            1 << 16,
            max_line_size=8190,
            max_field_size=8190,
            max_headers=128,
            auto_decompress=False,
        )
        self.found: list[tuple[Any, Any]] = []
        self.failed = False
        self.upgraded = False

    def feed(self, data: bytes) -> None:
        try:
            messages, upgraded, _ = self._parser.feed_data(data)
        except HttpProcessingError:
            self.failed = True
            return
        self.found += messages
        self.upgraded = self.upgraded or upgraded

    def pause_reading(self) -> None: ...
    def resume_reading(self, resume_parser: bool = True) -> None: ...


REQUESTS = st.sampled_from([PLAIN, OTHER, STATUS, SESSION, *ODD.values()]).filter(
    lambda data: len(data) < 4_000
)
BITS = st.sampled_from(
    [
        *(bytes([byte]) for byte in b'\r\n\t :;,0129/%#?aAx-_"\\\0\x01\x7f\x80\xff'),
        b"\r\n",
        b"\r\n\r\n",
        b"\n\n",
        b"\r\n ",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Host: 127.0.0.1\r\n",
        b"HTTP/1.1",
        b"",
    ]
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A request with a few bytes put in, left out or replaced."""
    data = draw(REQUESTS)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(BITS) + data[at + draw(st.integers(0, 2)) :]
    return data


def pieces(data: bytes, ends: list[int]) -> list[bytes]:
    cuts = [0, *sorted(end % (len(data) + 1) for end in ends), len(data)]
    return [data[start:end] for start, end in pairwise(cuts) if start < end]


@settings(max_examples=300, deadline=None)
@given(st.lists(damaged(), min_size=1, max_size=4), st.lists(st.integers(0, 10_000), max_size=5))
def test_a_place_between_requests_is_one_for_the_parser(stream: list[bytes], ends: list[int]):
    async def run() -> None:
        place, parser = Place(Heads(knows)), Parser()
        for piece in pieces(b"".join(stream), ends):
            place.feed(piece)
            parser.feed(piece)
            if parser.failed or parser.upgraded:
                assert parser.failed or place.lost
                return
            if place.between:
                assert len(parser.found) == place.given
                assert all(payload.is_eof() for _, payload in parser.found)
        if place.between:
            parser.feed(PLAIN)
            assert not parser.failed
            assert len(parser.found) == place.given + 1
            assert parser.found[-1][0].path == "/v1/locks/a/acquire"

    asyncio.run(run())


@settings(max_examples=500, deadline=None)
@given(damaged().filter(lambda data: hot._LINE.match(data) is not None))
def test_a_plain_request_is_the_same_for_the_parser(data: bytes) -> None:
    async def run() -> None:
        line = hot._LINE.match(data)
        assert line is not None
        end = data.find(END, line.end() - 2) + len(END)
        said = Heads(knows).read(data[line.end() : end])
        if end < len(END) or not said.plain or len(data) != end + said.length:
            return
        parser = Parser()
        parser.feed(data)
        assert not parser.failed
        ((message, payload),) = parser.found
        assert (message.method, message.version) == ("POST", (1, 1))
        assert message.path == line[0].split(b" ")[1].decode()
        assert not any((message.should_close, message.upgrade, message.chunked))
        assert message.headers["Host"] == "127.0.0.1"
        assert payload.is_eof()
        assert payload.read_nowait() == data[end:]

    asyncio.run(run())


def test_places() -> None:
    place = Place(Heads(knows))
    for data, between, requests in (
        (b"", True, 0),
        (PLAIN, True, 1),
        (PLAIN[:10], False, 1),
        (PLAIN[10:-5], False, 2),
        (PLAIN[-5:-1], False, 2),
        (PLAIN[-1:] + STATUS + SESSION, True, 4),
        (STATUS + SESSION[:-1], False, 6),
        (SESSION[-1:], True, 6),
    ):
        place.feed(data)
        assert (place.between, place.given, place.lost) == (between, requests, False)
    place.feed(post(length=b"Transfer-Encoding: chunked", lines=LINES))
    assert place.lost
    place.feed(PLAIN)
    assert not place.between


def test_a_head_without_an_end_is_not_kept_for_ever() -> None:
    place = Place(Heads(knows))
    place.feed(STATUS[:-2])
    for _ in range(20):
        place.feed(b"X: " + b"x" * 1_000 + b"\r\n")
    assert place.lost
    assert place._begun == b""
