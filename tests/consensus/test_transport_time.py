"""How soon members find each other, and how often they call: in virtual time, hence exact."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chaos.simulation.loop import VirtualLoop
from raftcoord.consensus.transport import PeerAddress, PeerNode, PeerTransport

PORTS = {"n1": 7001, "n2": 7002, "n3": 7003}


class SeededEdges:
    """Clock and randomness of the virtual world."""

    def __init__(self, loop: VirtualLoop, seed: int) -> None:
        self.monotonic = loop.time
        self._random = random.Random(seed)
        self.random = self._random.random
        self.random_bytes = self._random.randbytes


class Member:
    """One life of a member, on its host."""

    def __init__(self, room: "Room", name: str, boot: int) -> None:
        self.name = name
        self.told: list[tuple[float, str, Any]] = []
        loop = room.loop
        with loop.host(name):
            self.net = PeerTransport(
                SeededEdges(loop, boot),  # type: ignore[arg-type]
                cluster="blue",
                node=name,
                incarnation=1,
                boot=boot,
                secret=b"secret",
                on_wake=lambda: None,
            )
            tell = self.told.append
            self.net.setOnNodeConnectedCallback(lambda n: tell((loop.time(), "linked", n.id)))
            self.net.setOnNodeDisconnectedCallback(lambda n: tell((loop.time(), "lost", n.id)))
            self.net.setOnMessageReceivedCallback(lambda n, m: tell((loop.time(), n.id, m)))
            for other, port in PORTS.items():
                if other != name:
                    self.net.add_peer(other, PeerAddress("127.0.0.1", port))
            loop.create_task(self.net.listen("127.0.0.1", PORTS[name]))

    def last(self, what: str) -> float:
        """When that was told last."""
        return max(time for time, event, _ in self.told if event == what)

    def times(self, what: str) -> int:
        """How often that was told."""
        return sum(event == what for _, event, _ in self.told)


class Room:
    """Three members on three hosts."""

    def __init__(self, seed: int) -> None:
        self.loop = VirtualLoop(seed)
        self.lives = 0
        self.members: dict[str, Member] = {}

    def start(self, *names: str) -> None:
        for name in names:
            self.lives += 1
            self.members[name] = Member(self, name, self.lives)
        self.run(0)

    def run(self, seconds: float) -> None:
        self.loop.run_until(self.loop.time() + seconds)

    def linked(self) -> bool:
        """Whether all that live are linked with all that live."""
        alive = [name for name in self.members if self.loop.is_alive(name)]
        return all(set(alive) - {name} <= set(self.members[name].net.connected) for name in alive)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """After the block all are linked in so many seconds."""
        yield
        assert self.loop.run_until_condition(self.linked, seconds)


SEEDS = range(20)


@pytest.mark.parametrize("seed", SEEDS)
def test_members_that_start_together_are_linked_at_once_and_stay(seed: int):
    room = Room(seed)
    with room.within(0.05):
        room.start("n1", "n2", "n3")
    room.run(5)
    for member in room.members.values():
        assert (member.times("linked"), member.times("lost")) == (2, 0)
        assert member.net.counters["refused_closed"] + member.net.counters["calls"] < 10
    assert room.loop.net.connections("n1", "n2") == 1


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["n1", "n2", "n3"])
def test_a_member_that_comes_back_after_long_is_linked_in_a_tenth_of_a_second(seed: int, name: str):
    room = Room(seed)
    room.start("n1", "n2", "n3")
    room.run(5)
    room.loop.kill(name)
    began = room.loop.time()
    room.run(20)
    for other in room.members.values():
        if other.name != name:
            assert other.last("lost") - began < 0.002, "a death is told at once"
            calls = other.net.counters["calls"]
            assert calls < 2 + 20 / 0.5 + 10, "the dead are called about once a second"
    with room.within(0.1):
        room.start(name)
    room.run(5)
    for other in room.members.values():
        assert other.times("linked") - other.times("lost") == 2


@pytest.mark.parametrize("seed", SEEDS)
def test_a_broken_connection_is_back_at_once(seed: int):
    room = Room(seed)
    room.start("n1", "n2", "n3")
    room.run(5)
    room.loop.net.reset("n1", "n2")
    room.run(0.001)
    with room.within(0.02):
        pass
    room.run(1)
    assert room.members["n1"].times("lost") == room.members["n2"].times("lost") == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_when_only_the_higher_id_can_call_it_does(seed: int):
    """The lower one does not know where the other is."""
    room = Room(seed)
    room.start("n1", "n2")
    room.run(1)
    room.members["n1"].net.drop_peer("n2")
    room.loop.net.reset("n1", "n2")
    room.run(0.01)
    assert list(room.members["n2"].net.connected) == []
    with room.within(0.5):
        pass


@pytest.mark.parametrize("seed", SEEDS)
def test_connections_that_break_all_the_time_are_not_made_all_the_time(seed: int):
    room = Room(seed)
    room.start("n1", "n2")
    for _ in range(1000):
        room.run(0.01)
        room.loop.net.reset("n1", "n2")
    assert sum(member.net.counters["calls"] for member in room.members.values()) < 100
    with room.within(2):
        pass


@pytest.mark.parametrize("seed", SEEDS)
def test_cuts_pauses_and_kills_leave_the_room_linked(seed: int):
    """And nothing of an older life or an older connection is heard after a newer one came."""
    room = Room(seed)
    room.start(*PORTS)
    dice = random.Random(seed)
    count = 0
    for _ in range(60):
        one, other = dice.sample(sorted(PORTS), 2)
        fault = dice.choice(["cut", "heal", "reset", "pause", "kill", "slow", "none"])
        if fault == "cut":
            room.loop.net.cut(one, other, both=dice.random() < 0.5)
        elif fault == "heal":
            room.loop.net.heal_all()
        elif fault == "reset":
            room.loop.net.reset(one, other)
        elif fault == "slow":
            room.loop.net.slow(one, other, dice.random())
        elif fault == "pause":
            room.loop.pause(one)
            room.run(dice.random() * 3)
            room.loop.resume(one)
        elif fault == "kill":
            room.loop.kill(one)
            room.run(dice.random() * 3)
            room.start(one)
        for member in room.members.values():
            for name in PORTS:
                if name != member.name:
                    count += 1
                    member.net.send(PeerNode(name), {"life": member.net._me.boot, "n": count})
            member.net.flush()
        room.run(dice.random())
    room.loop.net.heal_all()
    with room.within(15):
        pass
    room.run(15)
    assert room.linked()
    for member in room.members.values():
        for name in PORTS:
            heard = [
                (message["life"], message["n"])
                for _, source, message in member.told
                if source == name
            ]
            assert heard == sorted(set(heard))


def test_the_same_seed_is_the_same_run():
    def trace() -> tuple[int, int]:
        room = Room(5)
        room.start(*PORTS)
        room.run(2)
        room.loop.kill("n2")
        room.run(2)
        return room.loop.net.trace, room.loop.steps

    assert trace() == trace()
