"""The links between the members, as the runner sees them: it sets rules, the proxy obeys."""

from __future__ import annotations

import contextlib
import itertools
import select
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from chaos.nemesis import proxy
from chaos.nemesis.proxy import Change, Counters, Rule, Table
from cluster.environment import ROOT
from cluster.member import last_line

PATIENCE = 10.0
"""Seconds within which the proxy answers."""
Pair = tuple[str, str]


class LinksFailed(Exception):
    """The proxy is gone or silent, which says nothing about the cluster."""


class Links:
    """The proxy's process, and what every disturbance asks of it.

    Args:
        ports: node → (the port that its peers call, the port where it listens).
        log: takes what the proxy has to complain about.
    """

    def __init__(self, ports: Mapping[str, tuple[int, int]], log: Path, seed: str = "") -> None:
        self.nodes = tuple(ports)
        self._table = Table(dict(ports), seed)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._asked: dict[object, tuple[Rule, ...]] = {}

    def start(self) -> None:
        """Start the proxy, and wait until it takes calls. Raises OSError, LinksFailed."""
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                proxy.program(),
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                start_new_session=True,
            )
        self._say(self._table)

    def stop(self) -> None:
        """End the proxy."""
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill_now(self) -> None:
        """SIGKILL, without waiting; safe in a signal handler."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    def disturb(self, who: object, rules: Iterable[Rule]) -> Counters:
        """Add rules; `who` takes them back with `calm`. Those of several add up."""
        self._asked[who] = tuple(rules)
        return self._put()

    def calm(self, who: object) -> Counters:
        """Take back what `who` asked for."""
        self._asked.pop(who, None)
        return self._put()

    def reset(self, pairs: Iterable[Pair]) -> Counters:
        """Reset all connections between these pairs, once."""
        return self._put(tuple(pairs))

    def counters(self) -> Counters:
        """What passed so far."""
        return self._put()

    def pairs(self, *nodes: str) -> list[Pair]:
        """All pairs, in both directions, that have one of these nodes; without names, all."""
        both = itertools.permutations(self.nodes, 2)
        return [pair for pair in both if not nodes or set(pair) & set(nodes)]

    def _put(self, broken: tuple[Pair, ...] = ()) -> Counters:
        together: dict[Pair, Rule] = {}
        for rule in itertools.chain.from_iterable(self._asked.values()):
            pair = (rule.source, rule.target)
            together[pair] = _both(together[pair], rule) if pair in together else rule
        return self._say(Change(tuple(together.values()), broken))

    def _say(self, said: Table | Change) -> Counters:
        process = self._process
        if process is None:
            raise LinksFailed("the link proxy does not run")
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(msgspec.json.encode(said) + b"\n")
            process.stdin.flush()
            heard = bool(select.select([process.stdout], [], [], PATIENCE)[0])
            answer = process.stdout.readline() if heard else b""
        except OSError:
            answer = b""
        if not answer:
            raise LinksFailed(f"the link proxy does not answer: {last_line(self._log)}")
        return msgspec.json.decode(answer, type=Counters)


def _both(one: Rule, other: Rule) -> Rule:
    storms = [rule.storm for rule in (one, other) if rule.storm]
    return Rule(
        one.source,
        one.target,
        one.hold or other.hold,
        one.delay + other.delay,
        one.jitter + other.jitter,
        max(one.loss, other.loss),
        max(one.reset, other.reset),
        min(storms, default=0.0),
    )
