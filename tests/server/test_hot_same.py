"""The short way of plain requests for locks answers as the long way, byte for byte.

Each play is done twice, on connections that differ in nothing else, and must look the same to the
caller and to the log: answers but for their Date, in the same number of writes, the same entries,
the same end of the connection, and the same that is given back after it.
"""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raftcoord.commands import Envelope, ReleaseLock, encode
from tests.server.house import House, in_loop
from tests.server.test_bad_input import CASES
from tests.server.wire import Step, both

LINES = [b"Host: 127.0.0.1", b"Content-Type: application/json"]
TAKE = b'{"owner":"w","ttl":30}'


def post(
    what: str = "acquire",
    body: Any = TAKE,
    *,
    target: str | None = None,
    lines: list[bytes] | None = None,
    length: bytes | None = None,
    version: bytes = b"HTTP/1.1",
    method: bytes = b"POST",
) -> bytes:
    """A request. lines: instead of the usual ones. length: its Content-Length line instead."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    path = (f"/v1/locks/a/{what}" if target is None else target).encode("latin-1")
    given_lines = LINES if lines is None else lines
    if length is None:
        length = b"Content-Length: %d" % len(data)
    head = [b"%b %b %b" % (method, path, version), *given_lines, *([length] if length else [])]
    return b"\r\n".join(head) + b"\r\n\r\n" + data


PLAIN = post()
OTHER = post("release", {"owner": "w", "token": 2})
STATUS = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
SESSION = post(target="/v1/sessions", body=b'{"ttl":10}')


def release(owner: str, token: int, name: str = "held") -> Step:
    """Somebody else releases a lock."""

    def step(house: House) -> None:
        command = ReleaseLock(name, owner, token)
        house.node.append(encode(Envelope("other", 1, 3, 3, "", command)))

    return step


def hold(house: House) -> None:
    house.node.hold()


def let_go(house: House) -> None:
    house.node.let_go()


GOOD: dict[str, list[Step]] = {
    "take and free": [PLAIN, OTHER],
    "twice": [PLAIN, PLAIN],
    "held": [post(target="/v1/locks/held/acquire")],
    "free what another has": [post("release", {"owner": "w", "token": 1})],
    "free what is free": [post("release", {"owner": "w", "token": 7})],
    "with a session": [post(body={"owner": "w", "session": 1})],
    "with no session": [post(body={"owner": "w", "session": 9})],
    "with a session and a ttl": [post(body={"owner": "w", "session": 1, "ttl": 5})],
    "free with a session": [
        post(body={"owner": "w", "session": 1}),
        post("release", {"owner": "w", "session": 1, "token": 2}),
    ],
    "with meta": [post(body={"owner": "w", "ttl": 1, "meta": {"a": [1, None, "é"]}})],
    "spaces": [post(body=b' { "owner" : "w" ,\r\n "ttl" : 1.5e0 } ')],
    "a field twice": [post(body=b'{"owner":"v","owner":"w","ttl":1}')],
    "levels": [post(target="/v1/locks/orders%2F42/acquire")],
    "percent": [post(target="/v1/locks/%C3%A9%20%25/acquire")],
    "no utf-8": [post(target="/v1/locks/%FF/acquire")],
    "half a percent": [post(target="/v1/locks/%4/acquire"), post(target="/v1/locks/%/acquire")],
    "marks": [post(target="/v1/locks/a+b~c_d-e.f:g@h!i$j&k'l(m)n*o,p;q=r/acquire")],
    "a long name": [post(target=f"/v1/locks/{'n' * 256}/acquire")],
    "a name of dots": [post(target=f"/v1/locks/{dots}/acquire") for dots in ("...", "..", ".")],
    "a wait that is not needed": [post(body={"owner": "w", "ttl": 1, "wait": 5})],
    "a wait": [
        post(target="/v1/locks/held/acquire", body={"owner": "w", "ttl": 1, "wait": 60}),
        release("other", 1),
    ],
    "a wait that ends": [
        post(target="/v1/locks/held/acquire", body={"owner": "w", "ttl": 1, "wait": 60}),
        lambda house: house.node.advance(60_000),
    ],
    "a wait, and the caller goes": [
        post(target="/v1/locks/held/acquire", body={"owner": "w", "ttl": 1, "wait": 60})
    ],
    "a wait, and more behind it": [
        post(target="/v1/locks/held/acquire", body={"owner": "w", "ttl": 1, "wait": 60}),
        PLAIN,
        STATUS,
        release("other", 1),
    ],
    "the caller goes before the outcome": [hold, PLAIN],
    "the caller goes before the outcome of a release": [PLAIN, hold, OTHER],
    "more comes before the outcome": [hold, PLAIN, SESSION, OTHER, STATUS, let_go],
    "another is asked first": [hold, SESSION, PLAIN, OTHER, let_go],
    "two in one piece": [PLAIN + OTHER],
    "at once": [(PLAIN, OTHER, PLAIN)],
    "at once behind another": [(SESSION, PLAIN, STATUS, OTHER)],
    "at once behind half of another": [(SESSION[:-3], SESSION[-3:], PLAIN), (STATUS[:-1], b"\n")],
    "a body at once behind its head": [(PLAIN[:-22], PLAIN[-22:]), (OTHER[:-5], OTHER[-5:])],
    "all in one piece": [STATUS + PLAIN + SESSION + OTHER + STATUS + PLAIN],
    "forty in one piece": [(PLAIN + OTHER) * 20],
    "a thousand refusals in one piece": [post(body=b"{") * 1_000],
    "a large body": [post(body=b'{"owner":"w","ttl":1' + b" " * 20_000 + b"}")],
    "the largest plain body": [post(body=b'{"owner":"w","ttl":1' + b" " * 8_171 + b"}")],
    "no room": [
        lambda house: setattr(house.gateway.acquires, "_limit", 0),
        PLAIN,
        post("release", {"owner": "w", "token": 1}),
    ],
    "room for releases only": [
        PLAIN,
        lambda house: house.gateway.submissions._load.__setitem__(False, 1 << 20),
        post(target="/v1/locks/b/acquire"),
        OTHER,
    ],
    "refused": [lambda house: house.node.faults.append("storage-full"), PLAIN],
    "overloaded": [lambda house: house.node.faults.append("overloaded"), OTHER],
    "answer lost": [lambda house: house.node.faults.append("answer-lost"), PLAIN],
    "the node stops": [lambda house: house.gateway.close(), PLAIN, OTHER],
    "the node stops meanwhile": [
        hold,
        PLAIN,
        lambda house: house.manager.pre_shutdown(),
        OTHER,
        let_go,
    ],
    "the node gives up": [hold, PLAIN, lambda house: house.gateway.abort()],
    "idle and the node stops": [PLAIN, lambda house: house.manager.pre_shutdown(), OTHER],
    "a bug": [lambda house: setattr(house.gateway.submissions, "_next", None), PLAIN],
}

ODD: dict[str, bytes] = {
    "lower case": post(lines=[b"host: 127.0.0.1", b"content-type: application/json"]),
    "upper case": post(lines=[b"HOST: 127.0.0.1", b"CONTENT-TYPE: application/json"]),
    "no space": post(lines=[b"Host:127.0.0.1"]),
    "much space": post(lines=[b"Host: \t 127.0.0.1 \t "]),
    "no host": post(lines=[]),
    "two hosts": post(lines=[b"Host: 127.0.0.1", b"Host: 127.0.0.1"]),
    "empty host": post(lines=[b"Host:"]),
    "strange host": post(lines=[b"Host: evil.example"]),
    "host with port": post(lines=[b"Host: LOCALHOST:8080"]),
    "host and user": post(lines=[b"Host: u@127.0.0.1"]),
    "our name": post(lines=[b"Host: node-1.example:1"]),
    "a page": post(lines=[*LINES, b"Origin: http://evil.example"]),
    "our page": post(lines=[*LINES, b"Origin: http://127.0.0.1"]),
    "cross-site": post(lines=[*LINES, b"Sec-Fetch-Site: cross-site"]),
    "same-site": post(lines=[*LINES, b"sec-fetch-site: same-origin"]),
    "folded": post(lines=[*LINES, b"User-Agent: a\r\n b"]),
    "folded length": post(length=b"Content-Length:\r\n 22"),
    "bare LF": post(lines=[*LINES, b"User-Agent: a\nOrigin: http://evil.example"]),
    "bare CR": post(lines=[*LINES, b"User-Agent: a\rOrigin: http://evil.example"]),
    "only LF": PLAIN.replace(b"\r\n", b"\n"),
    "NUL in a value": post(lines=[*LINES, b"User-Agent: a\0b"]),
    "NUL in a name": post(lines=[*LINES, b"User\0Agent: a"]),
    "NUL in the path": post(target="/v1/locks/a\0/acquire"),
    "control in a value": post(lines=[*LINES, b"User-Agent: a\x01b"]),
    "tab in a value": post(lines=[*LINES, b"User-Agent: a\tb"]),
    "bytes in a value": post(lines=[*LINES, b"User-Agent: \xc3\xa9\xff"]),
    "bytes in the path": post(target="/v1/locks/\xc3\xa9/acquire"),
    "space before the colon": post(lines=[*LINES, b"User-Agent : a"]),
    "no colon": post(lines=[*LINES, b"User-Agent"]),
    "no name": post(lines=[*LINES, b": a"]),
    "empty value": post(lines=[*LINES, b"User-Agent:"]),
    "empty accept": post(lines=[*LINES, b"Accept:"]),
    "leading space": post(lines=[b" Host: 127.0.0.1", *LINES]),
    "two agents": post(lines=[*LINES, b"User-Agent: a", b"User-Agent: b"]),
    "two types": post(lines=[*LINES, b"Content-Type: text/plain"]),
    "no type": post(lines=LINES[:1]),
    "text": post(lines=[LINES[0], b"Content-Type: text/plain"]),
    "a form": post(lines=[LINES[0], b"Content-Type: application/x-www-form-urlencoded"]),
    "charset": post(lines=[LINES[0], b"Content-Type: application/json; charset=utf-8"]),
    "loud type": post(lines=[LINES[0], b"Content-Type: APPLICATION/JSON"]),
    "msgpack in a type": post(lines=[LINES[0], b"Content-Type: application/json; x=msgpack"]),
    "msgpack": post(
        body=b"\x82\xa5owner\xa1w\xa3ttl\x01",
        lines=[LINES[0], b"Content-Type: application/msgpack"],
    ),
    "reads msgpack": post(lines=[*LINES, b"Accept: application/msgpack"]),
    "reads msgpack too": post(lines=[*LINES, b"Accept: text/html, application/vnd.msgpack;q=0.1"]),
    "reads all": post(lines=[*LINES, b"Accept: */*"]),
    "reads html": post(lines=[*LINES, b"Accept: text/html,*/*;q=0.8"]),
    "coded": post(lines=[*LINES, b"Content-Encoding: gzip"]),
    "identity": post(lines=[*LINES, b"Content-Encoding: identity"]),
    "idempotency": post(lines=[*LINES, b"Idempotency-Key: 1"]),
    "if match": post(lines=[*LINES, b"If-Match: *"]),
    "expect": post(lines=[*LINES, b"Expect: 100-continue"]),
    "expect more": post(lines=[*LINES, b"Expect: the-unexpected"]),
    "upgrade": post(lines=[*LINES, b"Connection: upgrade", b"Upgrade: websocket"]),
    "upgrade h2c": post(lines=[*LINES, b"Connection: Upgrade", b"Upgrade: h2c"]),
    "upgrade alone": post(lines=[*LINES, b"Upgrade: websocket"]),
    "close": post(lines=[*LINES, b"Connection: close"]),
    "keep": post(lines=[*LINES, b"Connection: Keep-Alive"]),
    "keep and close": post(lines=[*LINES, b"Connection: keep-alive, close"]),
    "two connections": post(lines=[*LINES, b"Connection: keep-alive", b"Connection: close"]),
    "1.0": post(version=b"HTTP/1.0"),
    "1.0 keep": post(lines=[*LINES, b"Connection: keep-alive"], version=b"HTTP/1.0"),
    "1.2": post(version=b"HTTP/1.2"),
    "2.0": post(version=b"HTTP/2.0"),
    "loud version": post(version=b"http/1.1"),
    "no version": post(version=b""),
    "two spaces": post(target=" /v1/locks/a/acquire"),
    "space in the path": post(target="/v1/locks/a b/acquire"),
    "GET": post(method=b"GET"),
    "PUT": post(method=b"PUT"),
    "quiet method": post(method=b"post"),
    "empty lines first": b"\r\n\r\n" + PLAIN,
    "absolute": post(target="http://127.0.0.1/v1/locks/a/acquire"),
    "absolute elsewhere": post(target="http://evil.example/v1/locks/a/acquire"),
    "two slashes": post(target="//v1/locks/a/acquire"),
    "no name in the path": post(target="/v1/locks//acquire"),
    "a slash too many": post(target="/v1/locks/a/acquire/"),
    "a level too many": post(target="/v1/locks/a/b/acquire"),
    "query": post(target="/v1/locks/a/acquire?wait=1"),
    "empty query": post(target="/v1/locks/a/acquire?"),
    "fragment": post(target="/v1/locks/a/acquire#b"),
    "percent in the action": post(target="/v1/locks/a/%61cquire"),
    "percent in the room": post(target="/v1/%6Cocks/a/acquire"),
    "refresh": post("refresh", {"owner": "w", "token": 1}),
    "check": post("check", {"token": 1}),
    "nothing": post("steal"),
    "long name": post(target=f"/v1/locks/{'n' * 257}/acquire"),
    "longer name": post(target=f"/v1/locks/{'n' * 800}/acquire"),
    "longest name": post(target=f"/v1/locks/{'n' * 9_000}/acquire"),
    "long value": post(lines=[*LINES, b"User-Agent: " + b"a" * 2_000]),
    "longest value": post(lines=[*LINES, b"User-Agent: " + b"a" * 9_000]),
    "many lines": post(lines=[*LINES, *(b"X-%d: 1" % number for number in range(130))]),
    "another line": post(lines=[*LINES, b"X-Request-Id: 1"]),
    "cookie": post(lines=[*LINES, b"Cookie: a=b"]),
    "authorization": post(lines=[*LINES, b"Authorization: Bearer x"]),
    # What two readers could take for two different requests.
    "no length": post(length=b""),
    "length 0": post(length=b"Content-Length: 0", body=b""),
    "length +22": post(length=b"Content-Length: +22"),
    "length -22": post(length=b"Content-Length: -22"),
    "length 022": post(length=b"Content-Length: 022"),
    "length 0x16": post(length=b"Content-Length: 0x16"),
    "length 2 2": post(length=b"Content-Length: 2 2"),
    "length 22, 22": post(length=b"Content-Length: 22, 22"),
    "length 22.0": post(length=b"Content-Length: 22.0"),
    "length of nothing": post(length=b"Content-Length:"),
    "length of other digits": post(length="Content-Length: ²²".encode()),
    "length too large": post(length=b"Content-Length: 99999999999999999999"),
    "length just large": post(length=b"Content-Length: 18446744073709551615"),
    "two lengths": post(length=b"Content-Length: 22\r\nContent-Length: 22"),
    "two other lengths": post(length=b"Content-Length: 22\r\nContent-Length: 5"),
    "length and chunks": post(length=b"Content-Length: 22\r\nTransfer-Encoding: chunked"),
    "chunks and length": post(
        body=b"0\r\n\r\n" + OTHER, length=b"Transfer-Encoding: chunked\r\nContent-Length: 5"
    ),
    "chunks": post(body=b"16\r\n" + TAKE + b"\r\n0\r\n\r\n", length=b"Transfer-Encoding: chunked"),
    "chunks with a trailer": post(
        body=b"16\r\n" + TAKE + b"\r\n0\r\nOrigin: a\r\n\r\n", length=b"Transfer-Encoding: chunked"
    ),
    "other chunks": post(length=b"Transfer-Encoding: xchunked\r\nContent-Length: 22"),
    "chunks somewhere": post(length=b"Transfer-Encoding: gzip, chunked\r\nContent-Length: 22"),
    "chunks behind a tab": post(length=b"Transfer-Encoding:\tchunked\r\nContent-Length: 22"),
    "chunks behind a space": post(length=b"Transfer-Encoding : chunked\r\nContent-Length: 22"),
    "length behind LF": post(lines=[*LINES, b"User-Agent: a\nContent-Length: 0"]),
    "a request in a body": post(
        target="/v1/sessions", body=PLAIN, lines=[LINES[0], b"Content-Type: text/plain"]
    ),
    "a request in a value": b"GET /livez HTTP/1.1\r\nX: " + PLAIN,
}


def splits(data: bytes) -> list[tuple[bytes, bytes]]:
    return [(data[:at], data[at:]) for at in range(1, len(data))]


@pytest.mark.parametrize("steps", GOOD.values(), ids=GOOD.keys())
@in_loop
async def test_what_is_right_or_refused_by_its_meaning(steps: list[Step]) -> None:
    await both(steps)


@pytest.mark.parametrize(
    ("asked", "body"),
    [
        (asked, body)
        for asked, body, _ in CASES
        if asked.startswith("POST /v1/locks/") and asked.endswith(("/acquire", "/release"))
    ],
)
@in_loop
async def test_bad_input(asked: str, body: Any) -> None:
    target = asked.removeprefix("POST ")
    record = await both([post(target=target, body=body), PLAIN])
    assert record.answers.startswith(b"HTTP/1.1 400 ")
    assert record.taken >= 1


@pytest.mark.parametrize("data", ODD.values(), ids=ODD.keys())
@in_loop
async def test_odd_requests(data: bytes) -> None:
    await both([data])
    await both([data, PLAIN])
    await both([data + PLAIN])
    await both([PLAIN, data, OTHER])
    await both([PLAIN + data + OTHER])


@pytest.mark.parametrize("patience", [0.0, 60.0])
@pytest.mark.parametrize("name", ["a", "b%2F1", "%FF", "."])
@in_loop
async def test_pieces(monkeypatch: pytest.MonkeyPatch, name: str, patience: float) -> None:
    monkeypatch.setattr("raftcoord.server.hot.PATIENCE", patience)
    request = post(target=f"/v1/locks/{name}/acquire")
    for one, two in splits(request + STATUS):
        await both([one, two, PLAIN])


@pytest.mark.parametrize("patience", [0.0, 60.0])
@in_loop
async def test_one_byte_after_the_other(monkeypatch: pytest.MonkeyPatch, patience: float) -> None:
    monkeypatch.setattr("raftcoord.server.hot.PATIENCE", patience)
    data = PLAIN + SESSION + OTHER + STATUS + PLAIN
    record = await both([data[at : at + 1] for at in range(len(data))])
    assert record.answers.count(b"HTTP/1.1 200 OK") == 5
    await both([PLAIN, *(ODD["chunks"][at : at + 1] for at in range(len(ODD["chunks"]))), OTHER])


@pytest.mark.parametrize("data", [PLAIN, SESSION, ODD["chunks"], ODD["a request in a body"]])
@in_loop
async def test_the_rest_never_comes(data: bytes) -> None:
    for one, _ in splits(data):
        await both([PLAIN, one])
        await both([one])


@pytest.mark.parametrize("cut", [b"X: ", b"X: 1\r\n", b"X", b""])
@in_loop
async def test_what_looks_like_a_request_within_another(cut: bytes) -> None:
    begun = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n" + cut
    await both([begun, PLAIN, PLAIN])
    for length in (1, len(PLAIN) - 1, len(PLAIN), len(PLAIN) + 1, 3 * len(PLAIN)):
        head = post(target="/v1/sessions", body=b"", length=b"Content-Length: %d" % length)
        await both([head, PLAIN, PLAIN, PLAIN])


NAMES = st.sampled_from(["a", "b", "held", "a%2Fb", "%FF", ".", "n" * 257])
BODIES = st.sampled_from(
    [
        TAKE,
        b'{"owner":"v","ttl":30}',
        b'{"owner":"w","ttl":30,"wait":5}',
        b'{"owner":"w","session":1}',
        b'{"owner":"w","token":2}',
        b'{"owner":"w","token":3}',
        b'{"owner":"w"}',
        b"{",
        b"",
    ]
)
MORE_LINES = st.lists(
    st.sampled_from(
        [
            b"Host: 127.0.0.1",
            b"host: localhost:8080",
            b"Content-Type: application/json",
            b"ACCEPT: */*",
            b"Accept: application/msgpack",
            b"Accept-Encoding: gzip, deflate",
            b"User-Agent: a/1.0 (b)",
            b"Connection: keep-alive",
            b"Connection: close",
            b"X-Any: thing",
            b"Expect: 100-continue",
            b"Origin: http://127.0.0.1",
            b"User-Agent: a\n",
        ]
    ),
    max_size=5,
    unique=True,
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from(["acquire", "acquire", "release", "refresh", "odd", "other"]))
    if kind == "odd":
        return draw(st.sampled_from(sorted(ODD.values())))
    if kind == "other":
        return draw(st.sampled_from([STATUS, SESSION, b"\r\n", b"POST /v1/locks/"]))
    body = draw(BODIES)
    lines = [*draw(MORE_LINES), b"Content-Length: %d" % len(body)]
    if draw(st.booleans()):
        lines.append(b"Host: 127.0.0.1")
    return post(
        target=f"/v1/locks/{draw(NAMES)}/{kind}",
        body=body,
        lines=draw(st.permutations(lines)),
        length=b"",
    )


@st.composite
def plays(draw: st.DrawFn) -> list[Step]:
    """Some requests as one stream, in pieces, with events between them."""
    stream = b"".join(draw(st.lists(requests(), min_size=1, max_size=6)))
    ends = draw(st.lists(st.integers(0, len(stream)), max_size=6).map(sorted))
    starts = [0, *ends]
    pieces: list[Step] = [
        stream[start:end] for start, end in zip(starts, [*ends, len(stream)], strict=True)
    ]
    events: list[Step] = [hold, let_go, release("other", 1)]
    for event in draw(st.lists(st.sampled_from(events), max_size=3)):
        pieces.insert(draw(st.integers(0, len(pieces))), event)
    pieces = [piece for piece in pieces if piece != b""]
    if draw(st.booleans()):
        return pieces
    # The first bytes come at once.
    first = [piece for piece in pieces[:3] if isinstance(piece, bytes)]
    return [tuple(first), *pieces[len(first) :]] if first == pieces[: len(first)] else pieces


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plays())
def test_any_stream_in_any_pieces(steps: list[Step]) -> None:
    in_loop(both)(steps)
