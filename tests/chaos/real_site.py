"""Three real nodes with a fault's face on them, callers, and the verdict on what they were told."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from chaos.nemesis.fault import Fault, NotReached, Site
from chaos.nemesis.faulty_nodes import FaultyFault
from chaos.nemesis.members import status_of
from chaos.nemesis.nodes import Nodes
from cluster.folder import held
from cluster.places import Places, free_port

PATIENCE = 60.0
PROGRAM = (sys.executable, "-m", "raftcoord")
_runs = itertools.count()
FaultT = TypeVar("FaultT", bound=FaultyFault)


class Waits:
    """Lets time pass as a run does."""

    def __init__(self) -> None:
        self.nodes: Nodes | None = None

    def wait(self, reached: Callable[[], bool], what: str, seconds: float | None = None) -> None:
        until = time.monotonic() + (PATIENCE if seconds is None else seconds)
        while not reached():
            ended = self.nodes.ended() if self.nodes is not None else {}
            if ended:
                raise NotReached(f"{ended} ended by itself")
            if time.monotonic() > until:
                raise NotReached(what)
            time.sleep(0.005)

    def rest(self, seconds: float) -> None:
        raise AssertionError("a fault of the disk does not rest")


class Nobody:
    """No client processes: the callers are threads of the test."""

    working: tuple[str, ...] = ()

    def kill(self, client: str) -> None: ...

    def pause(self, client: str) -> None: ...

    def resume(self, client: str) -> None: ...


@contextlib.contextmanager
def real_site(
    folder: Path, *kinds: type[Fault], program: Sequence[str] = PROGRAM, start: bool = True
) -> Iterator[Site]:
    """Three nodes that run and are ready, for faults of these kinds; without `start`, none run."""
    with held(Places(folder / "cluster"), make=True) as data:
        data.prepare(data.settle(3, free_port(3)))
        waits = Waits()
        nodes = Nodes(data, list(program))
        site = Site(folder, nodes, Nobody(), waits, own=nodes)
        try:
            for kind in kinds:
                kind.prepare(site)
            if start:
                nodes.start(*nodes.ids)
                waits.nodes = nodes
                site.until_ready()
            yield site
        finally:
            nodes.stop()
            for kind in kinds:
                kind.clear(site)


def of(kind: type[FaultT], site: Site, monkeypatch: pytest.MonkeyPatch, *, leader: bool) -> FaultT:
    """A fault that hits the leader, or a follower."""
    choose, aim = kind.choose, float(leader)
    monkeypatch.setattr(kind, "choose", lambda self, leader: choose(self, leader=aim))
    return kind(site, 0.4)


class Load:
    """Callers that take locks of their own through all nodes, and keep them."""

    def __init__(self, site: Site, callers: int = 3, pad: int = 0, pause: float = 0.008) -> None:
        self._site = site
        self._run = next(_runs)
        self._pause = pause
        self._meta = {"pad": "x" * pad}
        self.granted: dict[str, int] = {}
        self.conflicts: list[str] = []
        self.refused: set[str] = set()
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._call, args=(number,)) for number in range(callers)
        ]
        for thread in self._threads:
            thread.start()

    def _call(self, caller: int) -> None:
        ports = list(self._site.nodes.ports.values())
        turn = itertools.cycle(ports[caller % len(ports) :] + ports[: caller % len(ports)])
        body = json.dumps({"owner": f"caller-{caller}", "ttl": 3600, "meta": self._meta})
        connection: http.client.HTTPConnection | None = None
        for number in itertools.count():
            if self._ended.is_set():
                return
            name = f"held-{self._run}-{caller}-{number}"
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", next(turn), timeout=5)
                path = f"/v1/locks/{name}/acquire"
                connection.request("POST", path, body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                read = json.loads(answer.read())
            except (OSError, http.client.HTTPException, ValueError):
                connection = None  # it may have been granted; nobody was told
                self._ended.wait(0.01)
                continue
            # As fast as it goes, the callers would starve the nodes that start.
            self._ended.wait(self._pause)
            if answer.status == 200:
                self.granted[name] = read["token"]
            elif answer.status == 409:
                self.conflicts.append(f"{name}: {read}")
            else:
                self.refused.add(read["type"])
                self._ended.wait(0.01)

    def more(self, count: int = 30) -> None:
        """Wait until that many more were granted."""
        target = len(self.granted) + count
        self._site.wait(lambda: len(self.granted) >= target, f"{count} more grants")

    def end(self) -> None:
        """No more calls."""
        self._ended.set()
        for thread in self._threads:
            thread.join(20)


@contextlib.contextmanager
def judged(site: Site, **how: Any) -> Iterator[Load]:
    """Load; behind it every node knows every grant that was acknowledged, under its token."""
    load = Load(site, **how)
    try:
        load.more()
        yield load
        load.more()
        site.until_ready()
    finally:
        load.end()
    assert not load.conflicts, load.conflicts[:3]
    assert len(set(load.granted.values())) == len(load.granted)
    for node in site.nodes.ids:
        found = listed(site.nodes.ports[node])
        lost = {name: token for name, token in load.granted.items() if found.get(name) != token}
        assert not lost, f"{node}: {len(lost)} of {len(load.granted)} lost, e.g. {list(lost)[:3]}"


def listed(port: int) -> dict[str, int]:
    """Every held lock and its token, page by page."""
    found: dict[str, int] = {}
    after = ""
    while True:
        more = f"&after={after}" if after else ""
        page = get(port, f"/v1/locks?prefix=held-&limit=1000{more}")["locks"]
        if not page:
            return found
        found.update((lock["name"], lock["holders"][0]["token"]) for lock in page)
        after = page[-1]["name"]


def get(port: int, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = json.loads(answer.read())
    finally:
        connection.close()
    assert answer.status == 200, body
    return body


def status(site: Site, node: str) -> dict[str, Any]:
    """What /v1/status of a node says."""
    return status_of(site.nodes.addresses[node], 2.0)
