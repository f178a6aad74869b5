"""The link proxy: all that members say to each other passes here, and can be held, slowed, broken.

    member a ── its peers' configured addresses ──► proxy ──► the port where member b listens

It runs as a process of its own (`python -m chaos.nemesis.proxy`), so that a busy runner slows no
link. Its first line of stdin is a `Table`; each later one is a `Change`, answered by one line with
`Counters`. When stdin ends, it ends.

Who calls is read from the first bytes of the handshake, which name the caller; nothing else of
what passes is looked at. A direction that is held reads on until LIMIT bytes wait and then no more,
as a network that swallows packets looks to the two kernels: nobody is told, and what waits arrives
late when the network heals. A call made meanwhile is answered by nobody until then.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from chaos.nemesis.relay import LIMIT, Counters, Link, Rule, Rules
from raftcoord.consensus.handshake import Hello, Refused

HOST = "127.0.0.1"
HELLO = len(Hello("c", "n", "t", 0, 0, b"").pack())
"""Bytes of the first part of a handshake."""

__all__ = ["LIMIT", "Change", "Counters", "Rule", "Table"]


class Table(Struct, frozen=True):
    """Node → (the port that its peers call, the port where it listens)."""

    nodes: dict[str, tuple[int, int]]
    seed: str = ""


class Change(Struct, frozen=True):
    """What holds from now on, in place of all that held; and links to be broken now.

    Args:
        rules: one for a pair at most.
        broken: pairs of nodes whose connections are reset, whoever called.
    """

    rules: tuple[Rule, ...] = ()
    broken: tuple[tuple[str, str], ...] = ()


class Caller(asyncio.Protocol):
    """A call until it has said who calls; then its link takes over."""

    def __init__(self, proxy: Proxy, target: str) -> None:
        self._proxy = proxy
        self._target = target
        self._said = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A member calls."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """The first bytes."""
        self._said += data
        transport = self._transport
        assert transport is not None
        if len(self._said) >= HELLO:
            try:
                source = Hello.unpack(self._said[:HELLO]).node
            except Refused:
                transport.abort()
                return
            self._proxy.link(transport, source, self._target, self._said)


class Proxy:
    """All links of a cluster."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._rules = Rules(table.seed)
        self._links: set[Link] = set()
        self._storms: dict[Rule, asyncio.TimerHandle] = {}

    async def listen(self) -> None:
        """Take calls for all nodes. Raises OSError."""
        loop = asyncio.get_running_loop()
        for node, (port, _) in self._table.nodes.items():
            await loop.create_server(lambda node=node: Caller(self, node), HOST, port)  # type: ignore[misc]

    def link(self, transport: asyncio.Transport, source: str, target: str, said: bytes) -> None:
        """A call has said who calls."""
        port = self._table.nodes[target][1]
        link = Link(self._rules, source, target, (HOST, port), self._links.discard)
        self._links.add(link)
        link.begin(transport, said)

    def change(self, change: Change) -> Counters:
        """Put other rules in force."""
        self._rules.set(change.rules)
        for pair in change.broken:
            self._break(pair)
        for handle in self._storms.values():
            handle.cancel()
        self._storms.clear()
        for rule in change.rules:
            if rule.storm:
                self._storm(rule)
        for link in list(self._links):
            link.pump()
        return self._rules.counters

    def _storm(self, rule: Rule) -> None:
        self._break((rule.source, rule.target))
        loop = asyncio.get_running_loop()
        self._storms[rule] = loop.call_later(rule.storm, self._storm, rule)

    def _break(self, pair: tuple[str, str]) -> None:
        for link in list(self._links):
            if {link.source, link.target} == set(pair):
                link.reset()


async def serve() -> None:
    """Serve until stdin ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    proxy = Proxy(msgspec.json.decode(await reader.readline(), type=Table))
    await proxy.listen()
    _answer(Counters())
    decoder = msgspec.json.Decoder(Change)
    while line := await reader.readline():
        _answer(proxy.change(decoder.decode(line)))


def _answer(counters: Counters) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(counters) + b"\n")
    sys.stdout.buffer.flush()


def program() -> list[str]:
    """The command that runs it; the working folder is the project's."""
    return [sys.executable, "-m", "chaos.nemesis.proxy"]


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    asyncio.run(serve())
