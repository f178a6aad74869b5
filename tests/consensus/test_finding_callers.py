"""Findings 12, 15, 16, 23: what callers are told and what is applied, on the library's own class
and on ours in the same scenario."""

from pathlib import Path
from typing import Any

import pytest
from pysyncobj import replicated
from pysyncobj.node import Node

from raftcoord.commands import Envelope, JoinRing, encode
from raftcoord.errors import InternalError
from raftcoord.machine.state import Machine
from tests.consensus.lockstep import Stopped, World, acknowledged, kinds
from tests.consensus.stock import SUCCESS, StockMember, stock


def test_finding_12_stock_a_callers_exception_applies_twice() -> None:
    def closed(result: Any, error: int) -> None:
        raise RuntimeError("the loop is closed")

    with stock() as world:
        world.elect("A")
        world.pump()
        world["A"].put("money", callback=closed)
        for _ in range(8):
            try:
                world.pump(rounds=1)
            except RuntimeError:  # out of the leader's turn
                continue
        assert world["A"].seen == ["money", "money"]
        assert world["B"].seen == ["money"]


def test_finding_12_a_callers_exception_applies_twice() -> None:
    def closed(outcome: Any) -> None:
        raise RuntimeError("the loop is closed")

    world = World()
    world.elect("A")
    world["A"].propose(b"money", closed)
    later = world.propose("A", "later")
    world.pump(rounds=2)
    for name in "ABC":
        assert world.seen(name) == ["money", "later"]
    assert acknowledged(later) == ["later"]
    assert world["A"].counters["caller_errors"] == 1


class Half(StockMember):
    """A method that fails when half of its work is done."""

    @replicated
    def half(self, value: str) -> None:
        """Half of it."""
        self.seen.append("half")
        raise KeyError(value)


def test_finding_12_stock_an_exception_in_apply_wedges_the_cluster() -> None:
    with stock(kind=Half) as world:
        world.elect("A")
        world.pump()
        world["A"].half("x")
        told = world.put("A", "later")
        for _ in range(30):
            for name in "ABC":
                try:
                    world.tick(name, dt=0.05)
                except KeyError:  # every turn again
                    continue
            for a, b in ("AB", "BA", "AC", "CA"):
                world.deliver(a, b)
        assert not told
        assert world["A"].seen.count("half") > 1


def test_finding_12_an_exception_in_apply_wedges_the_cluster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the product's machine: the entry is undone and answered, the next one is applied."""
    world = World(machine=Machine)
    world.elect("A")

    def half(machine: Machine) -> Any:
        join = machine.rings.join

        def fail(command: JoinRing, envelope: Envelope) -> Any:
            reply = join(command, envelope)
            if command.member == "poison":
                raise KeyError(command.member)
            return reply

        return fail

    for member in world.members.values():
        member.machine._handlers[JoinRing] = half(member.machine)
    told: list = []
    for seq, name in enumerate(["poison", "fine"], 1):
        command = JoinRing(ring="r", member=name, weight=1.0)
        envelope = Envelope(gateway="A", boot=1, seq=seq, low=seq, identity="", command=command)
        world["A"].propose(encode(envelope), told.append)
    world.pump(rounds=3)
    assert kinds(told) == ["applied", "applied"]
    assert isinstance(told[0].reply, InternalError)
    for name in "ABC":
        machine = world.members[name].machine
        assert [member.id for member in machine.rings.get("r").members] == ["fine"]
        assert world[name].applied == world["A"].last().index
        assert b"".join(machine.pack()) == b"".join(world.members["A"].machine.pack())


def test_finding_15_stock_a_restarted_follower_takes_an_old_answer() -> None:
    with stock("FGL") as world:
        world.elect("L")
        world.pump()
        world.put("F", "old")
        world.deliver("F", "L")
        entries = world.log("F")
        world.start("F")  # what the journal would have kept:
        for entry in entries[1:]:
            world.field("F", "raftLog").add(*entry)
        world.set_field("F", "raftCurrentTerm", 1)
        world.set_field("F", "raftLeader", Node("L"))
        told = world.put("F", "new")
        world.drop("F", "L")  # it never reached the leader
        world.tick("L")
        world.deliver("L", "F")
        world.pump()
        assert told == [("old", SUCCESS)]
        assert world["L"].seen == ["old"]


def test_finding_15_a_restarted_follower_takes_an_old_answer() -> None:
    world = World("FGL")
    world.elect("L")
    world.pump()
    world.propose("F", "old")
    world.deliver("F", "L")
    world.tick("L")
    late = [m for m in world.under_way("L", "F") if hasattr(m, "entry_term")]
    assert len(late) == 1
    world.restart("F")
    world.pump(rounds=2)
    told = world.propose("F", "new")
    world.drop("F", "L")
    world.hand("L", "F", late[0])
    world.pump(rounds=5)
    assert not told, "nothing is known of it yet"
    world.pump(rounds=200)
    assert kinds(told) == ["unknown"], "the leader did not answer in time"
    assert world.seen("L") == world.seen("F") == ["old"]


def test_finding_16_stock_nobody_is_told_after_a_snapshot() -> None:
    with stock() as world:
        world.elect("A")
        world.pump()
        world.isolate("A")
        told = world.put("A", "mine")
        world.elect("B", "BC")
        world.put("B", *range(20))
        world.pump("BC", rounds=8)
        world.compact("B")
        world.pump("BC", rounds=3)
        world.heal("A")
        world.pump(rounds=200)
        assert world["A"].seen == world["B"].seen
        assert not told
        assert world.field("A", "commandsWaitingCommit"), "and it leaks"


def test_finding_16_nobody_is_told_after_a_snapshot() -> None:
    world = World(keep_behind=0)
    world.elect("A")
    world.pump()
    world.isolate("A")
    told = world.propose("A", "mine")
    world.elect("B", "BC")
    world.propose("B", *map(str, range(20)))
    world.pump("BC", rounds=4)
    world["B"].take_snapshot()
    world.pump("BC", rounds=2)
    world.heal("A")
    world.pump(rounds=8)
    assert world["A"].counters["installs"] == 1
    assert world.seen("A") == world.seen("B")
    assert kinds(told) == ["unknown"]
    assert not any(world["A"].backlog().values())


def test_finding_16_stock_nobody_is_told_when_a_forward_is_lost() -> None:
    with stock("FGL") as world:
        world.elect("L")
        world.pump()
        told = world.put("F", "mine")
        world.drop("F", "L")
        world.wire("F")._onNodeDisconnected(Node("L"))
        world.wire("F")._onNodeConnected(Node("L"))
        world.pump(rounds=3000)
        assert not told
        assert world.field("F", "commandsWaitingReply"), "and it leaks"


def test_finding_16_nobody_is_told_when_a_forward_is_lost() -> None:
    world = World("FGL")
    world.elect("L")
    world.pump()
    told = world.propose("F", "mine")
    world.connect("F", "L")
    world.pump()
    assert kinds(told) == ["unknown"]
    assert not any(world["F"].backlog().values())


def test_finding_23_stock_an_unknown_version_is_skipped() -> None:
    with stock() as world:
        world.elect("A")
        world.pump()
        for name in "AB":  # C is not upgraded yet
            world.set_field(name, "selfCodeVersion", 1)
        world["A"].setCodeVersion(1)
        world.put("A", "p", "q")
        world.pump()
        assert world["A"].seen == world["B"].seen != world["C"].seen


def test_finding_23_an_unknown_version_is_skipped() -> None:
    world = World()
    world.elect("A")
    world.pump()
    world.members["C"].machine.unknown = b"p"
    before = world["C"].applied
    told = world.propose("A", "o", "p", "q")
    world.pump("AB", rounds=2)
    assert acknowledged(told) == ["o", "p", "q"]
    with pytest.raises(Stopped, match="cannot be applied"):
        world.pump(rounds=3)
    assert world["C"].applied == before + 1, "it moved for what could be applied, not further"
    assert world.seen("C") == ["o"]
    world.restart("C")  # upgraded
    world.pump(rounds=3)
    assert world.seen("C") == ["o", "p", "q"]


class Versions(StockMember):
    """A method in two versions."""

    @replicated
    def which(self) -> None:
        """The old one."""
        self.seen.append("old")

    @replicated(ver=1)
    def which(self) -> None:  # noqa: F811  # so the library wants it
        """The new one."""
        self.seen.append("new")


def test_finding_23_stock_a_snapshot_resets_the_versions(tmp_path: Path) -> None:
    with stock("A", Versions, tmp_path) as world:
        world.elect("A")
        world["A"].setCodeVersion(1)
        world.pump(rounds=3)
        world["A"].which()
        world.pump(rounds=3)
        world.compact("A")
        world.pump(rounds=3)
        assert world["A"].seen == ["new"]
        world.kill("A")
        world.start("A")
        world.tick("A")
        world.elect("A")
        world["A"].which()
        world.pump(rounds=3)
        assert world["A"].getCodeVersion() == 1
        assert world["A"].seen == ["new", "old"]


def test_finding_23_a_snapshot_resets_the_versions() -> None:
    """A version belongs to the command (`Envelope.v`), so there is nothing to reset: the
    library's own switch ends the process, and what a snapshot restores is what was packed."""
    world = World()
    world.elect("A")
    with pytest.raises(Stopped, match="code versions"):
        world["A"].setCodeVersion(0)
    world.propose("A", "new")
    world.pump(rounds=2)
    world["A"].take_snapshot()
    world.pump(rounds=2)
    world.restart("A")
    assert world["A"].log.snapshot is not None
    assert world.seen("A") == ["new"]
