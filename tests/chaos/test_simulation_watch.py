"""What observers are told of a world is what happens in it, once and in order."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest

from chaos.simulation.observer import Observer
from chaos.simulation.profiles import PROFILES, replace
from chaos.simulation.world import World

CALM = replace(PROFILES["three"], seconds=5.0)


class Notes(Observer):
    """Notes everything."""

    def __init__(self) -> None:
        self.world: World | None = None
        self.logs: dict[str, dict[int, tuple[int, bytes]]] = defaultdict(dict)
        self.entries: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self.lives: list[tuple[str, str, int]] = []
        self.roles: list[tuple[str, str, int]] = []
        self.counts = Counter[str]()
        self.outcomes: list[tuple[str, int]] = []
        self.reads: list[tuple[float, float, int | None]] = []
        self.links = Counter[tuple[str, str]]()
        self.times: list[float] = []
        self.operations = Counter[str]()

    def began(self, world: World) -> None:
        self.world = world

    def started(self, time: float, member: str, life: int) -> None:
        self.lives.append(("started", member, life))

    def opened(
        self, time: float, member: str, life: int, log: list[tuple[int, int, bytes]]
    ) -> None:
        self.lives.append(("opened", member, life))
        self.logs[member] = {index: (term, command) for index, term, command in log}

    def stopped(self, time: float, member: str, life: int, why: str) -> None:
        self.lives.append((why, member, life))

    def delivered(self, time: float, source: str, target: str, sent: float, data: bytes) -> None:
        assert 0 < time - sent < 0.1
        assert data
        self.times.append(time)
        self.links[source, target] += 1

    def wrote(self, time: float, member: str, operation: str, path: str, size: int) -> None:
        self.operations[operation] += 1

    def role(self, time: float, member: str, role: str, term: int) -> None:
        self.roles.append((member, role, term))

    def appended(self, time: float, member: str, index: int, term: int, command: bytes) -> None:
        assert index not in self.logs[member]
        self.logs[member][index] = (term, command)

    def cut(self, time: float, member: str, index: int) -> None:
        self.counts["cut"] += 1
        log = self.logs[member]
        assert index in log
        for behind in [at for at in log if at >= index]:
            del log[behind]

    def applied(self, time: float, member: str, index: int, *rest: Any) -> None:
        self.entries[member].append((index, rest[-1].digest()))

    def told(self, time: float, member: str, payload: bytes, kind: str, index: int) -> None:
        self.outcomes.append((kind, index))

    def barrier(self, time: float, member: str, asked: float, index: int | None) -> None:
        self.reads.append((asked, time, index))

    def invoked(self, time: float, line: Any) -> None:
        self.counts["invoked"] += 1
        assert line.at == round(time * 1e9)

    def answered(self, time: float, line: Any) -> None:
        self.counts["answered"] += 1

    def looked(self, time: float, world: World) -> None:
        self.counts["looked"] += 1


@pytest.fixture(scope="module")
def notes() -> Notes:
    notes = Notes()
    world = World(4, profile=CALM, observers=(notes,))
    world.begin()
    world.run(3)
    world.kill("n1")
    world.run(0.2)
    world.start("n1")
    world.run(2)
    return notes


def test_logs_are_those_of_the_members(notes: Notes) -> None:
    assert notes.world is not None
    for name, member in notes.world.members.items():
        assert member.node is not None
        log = {index: (term, command) for command, index, term in member.node.raft.log[:]}
        assert len(log) > 30
        assert {index: notes.logs[name][index] for index in log} == log


def test_entries_are_applied_one_after_the_other_and_to_the_same_effect(notes: Notes) -> None:
    digests: dict[int, int] = {}
    for name in ("n2", "n3"):
        indices = [index for index, _ in notes.entries[name]]
        assert indices == list(range(indices[0], indices[-1] + 1))
    for entries in notes.entries.values():
        for index, digest in entries:
            assert digests.setdefault(index, digest) == digest


def test_lives_are_counted(notes: Notes) -> None:
    assert [(what, life) for what, member, life in notes.lives if member == "n1"] == [
        ("started", 1),
        ("opened", 1),
        ("kill", 1),
        ("started", 2),
        ("opened", 2),
    ]


def test_a_leader_is_told_when_it_leads(notes: Notes) -> None:
    assert notes.world is not None
    terms = [term for _, role, term in notes.roles if role == "leader"]
    assert terms == sorted(set(terms))
    leader = notes.world.leader()
    assert leader is not None
    node = notes.world.members[leader].node
    assert node is not None
    assert (leader, "leader", node.raft.term) in notes.roles
    assert all(a != b for a, b in zip(notes.roles, notes.roles[1:], strict=False))


def test_callers_and_readers_learn_of_theirs_once(notes: Notes) -> None:
    applied = [index for kind, index in notes.outcomes if kind == "applied"]
    assert len(applied) == len(set(applied)) > 30
    assert max(applied) <= max(notes.logs["n2"])
    assert sum(index is not None for *_, index in notes.reads) > 5
    assert all(asked <= time for asked, time, _ in notes.reads)


def test_messages_disks_and_clients_are_seen(notes: Notes) -> None:
    assert notes.world is not None
    assert {("n1", "n2"), ("n2", "n1"), ("c1", "n1"), ("n1", "c1")} <= set(notes.links)
    assert notes.times == sorted(notes.times)
    assert notes.operations["sync"] > 50
    assert notes.operations["write"] > 50
    open_requests = len(notes.world.clients.waiting)
    assert notes.counts["invoked"] == notes.counts["answered"] + open_requests > 100
    assert notes.counts["looked"] == 10
