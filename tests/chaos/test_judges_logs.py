"""The judges of leaders, logs, applied entries and reads, by hand-made sequences."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.simulation.judges.chronicle import Chronicle
from chaos.simulation.judges.elections import ElectionSafety
from chaos.simulation.judges.logs import Logs
from chaos.simulation.judges.membership import Membership
from chaos.simulation.judges.once import Once
from chaos.simulation.judges.reads import Reads
from raftcoord.commands import OpenSession
from raftcoord.consensus.contents import PLACEHOLDER
from raftcoord.consensus.membership import Configuration, ConfigurationHistory, Member
from raftcoord.machine.state import Applied
from tests.chaos.judged import Log, World, broken

NOTHING = Applied(None, (), None)


class Machine:
    """A machine that says what it is told to."""

    def __init__(self, applied: int = 0, clock: int = 0, digest: int = 7) -> None:
        self.applied = applied
        self.clock = clock
        self._digest = digest

    def digest(self) -> int:
        return self._digest


def applied(
    judge: Any,
    member: str,
    index: int,
    term: int = 1,
    *,
    stamp: int = 0,
    payload: bytes = b"",
    machine: Any = None,
) -> None:
    judge.applied(
        index * 1.0,
        member,
        index,
        term,
        stamp,
        payload,
        NOTHING,
        machine or Machine(index, stamp),
    )


# Elections.


def test_leaders_of_different_terms_are_fine() -> None:
    judge = ElectionSafety()
    judge.started(0, "n1", 1)
    judge.started(0, "n2", 1)
    judge.role(1, "n1", "leader", 1)
    judge.role(1, "n1", "leader", 1)
    judge.role(2, "n2", "candidate", 2)
    judge.role(2, "n2", "leader", 2)
    judge.role(3, "n1", "follower", 2)


def test_two_lead_one_term() -> None:
    judge = ElectionSafety()
    judge.role(1, "n1", "leader", 1)
    with broken("election safety", r"n1 \(life 0\) led term 1, now n2"):
        judge.role(2, "n2", "leader", 1)


def test_another_life_leads_the_same_term() -> None:
    judge = ElectionSafety()
    judge.started(0, "n1", 1)
    judge.role(1, "n1", "leader", 1)
    judge.stopped(2, "n1", 1, "kill")
    judge.started(3, "n1", 2)
    with broken("election safety", "life 2"):
        judge.role(4, "n1", "leader", 1)


def test_a_leader_that_stepped_down_leads_its_term_again() -> None:
    judge = ElectionSafety()
    judge.role(1, "n1", "leader", 1)
    judge.role(2, "n1", "follower", 1)
    with broken("election safety", "led term 1"):
        judge.role(3, "n1", "leader", 1)


def test_a_term_that_falls() -> None:
    judge = ElectionSafety()
    judge.role(1, "n1", "follower", 3)
    with broken("election safety", "back from term 3 to 2"):
        judge.role(2, "n1", "follower", 2)


# Logs.


@pytest.fixture
def logs() -> Logs:
    """Two members that hold entries 0 to 3, of which 0 to 2 are applied."""
    chronicle = Chronicle(Once())
    judge = Logs(chronicle)
    for member in ("n1", "n2"):
        judge.opened(0, member, 1, [(0, 0, b"\1"), (1, 1, b"\1")])
        judge.appended(1, member, 2, 1, b"\0two")
        judge.appended(1, member, 3, 1, b"\0three")
    applied(chronicle, "n1", 1)
    applied(chronicle, "n1", 2)
    return judge


def test_logs_that_match_and_give_way_are_fine(logs: Logs) -> None:
    logs.role(2, "n2", "leader", 2)
    logs.appended(2, "n2", 4, 2, b"\1")
    logs.appended(2, "n1", 4, 1, b"\0old")
    logs.cut(3, "n1", 4)
    logs.appended(3, "n1", 4, 2, b"\1")
    logs.reset(4, "n1", 2, 1, True)
    logs.appended(4, "n1", 5, 2, b"\0five")
    logs.stopped(5, "n1", 1, "kill")
    logs.opened(6, "n1", 2, [(2, 1, PLACEHOLDER), (3, 1, b"\0three"), (4, 2, b"\1")])


def test_a_leader_cuts_its_log(logs: Logs) -> None:
    logs.role(2, "n1", "leader", 2)
    with broken("leader append-only", "leads term 2 and cuts its log at entry 3"):
        logs.cut(3, "n1", 3)


def test_a_leader_that_stepped_down_may_cut(logs: Logs) -> None:
    logs.role(2, "n1", "leader", 2)
    logs.role(3, "n1", "follower", 3)
    logs.cut(3, "n1", 3)


def test_a_leader_appends_of_another_term(logs: Logs) -> None:
    logs.role(2, "n1", "leader", 2)
    with broken("leader append-only", "appends entry 4 of term 1"):
        logs.appended(2, "n1", 4, 1, b"\0x")


def test_the_same_entry_with_another_command(logs: Logs) -> None:
    logs.appended(2, "n1", 4, 1, b"\0x")
    with broken("log matching", "another command in the log of n2"):
        logs.appended(2, "n2", 4, 1, b"\0y")


def test_the_same_entry_with_another_command_in_another_life(logs: Logs) -> None:
    with broken("log matching", "entry 3 of term 1 has another command"):
        logs.opened(5, "n3", 1, [(2, 1, PLACEHOLDER), (3, 1, b"\0other")])


def test_the_same_entry_behind_another(logs: Logs) -> None:
    logs.appended(2, "n1", 4, 1, b"\0x")
    logs.appended(2, "n1", 5, 3, b"\0z")
    logs.appended(2, "n2", 4, 2, b"\0w")
    with broken("log matching", "another predecessor's term"):
        logs.appended(2, "n2", 5, 3, b"\0z")


def test_a_gap(logs: Logs) -> None:
    with broken("log matching", "appends entry 5 to a log that ends at 3"):
        logs.appended(2, "n1", 5, 1, b"\0x")


def test_an_applied_entry_is_cut(logs: Logs) -> None:
    with broken("state machine safety", "cuts entry 2 of term 1, which was applied"):
        logs.cut(2, "n2", 2)


def test_a_log_begins_behind_an_entry_nobody_applied(logs: Logs) -> None:
    with broken("state machine safety", "behind entry 3"):
        logs.reset(2, "n2", 3, 1, False)
    with broken("state machine safety", "behind entry 2 of term 7"):
        logs.reset(2, "n2", 2, 7, False)


def test_a_snapshot_takes_what_matches_along(logs: Logs) -> None:
    with broken("log matching", "loses those behind it, up to 3"):
        logs.reset(2, "n2", 2, 1, False)


def test_a_leader_without_an_applied_entry(logs: Logs) -> None:
    logs.opened(2, "n3", 1, [(0, 0, b"\1"), (1, 1, b"\1")])
    with broken("state machine safety", "leads term 2 without entry 2 of term 1"):
        logs.role(3, "n3", "leader", 2)


def test_a_leader_with_another_entry_where_one_was_applied(logs: Logs) -> None:
    logs.opened(2, "n3", 1, [(0, 0, b"\1"), (1, 1, b"\1")])
    logs.appended(2, "n3", 2, 2, b"\0mine")
    with broken("state machine safety", "without entry 2 of term 1"):
        logs.role(3, "n3", "leader", 3)


# Who the members are.


class Follower:
    """A node with so much applied, by whose books these are the members."""

    def __init__(self, applied: int, *known: Configuration) -> None:
        self.raft = self
        self.history = ConfigurationHistory()
        self.applied = applied
        for index, configuration in enumerate(known, 1):
            self.history.append(index, configuration)


def test_a_member_that_goes_by_other_members(logs: Logs) -> None:
    old = Configuration({"n1": Member("n1:1", "n1:2")})
    new = old.with_member("n2", Member("n2:1", "n2:2", incarnation=10))
    logs.configurations |= {(1, 1): old, (2, 1): new, (3, 1): old, (2, 7): old}
    judge, world = Membership(logs), World("n1", "n2", "n3")
    world.hosts["n1"].node = Follower(2, old, new)
    world.hosts["n2"].node = Follower(1, old, new)
    world.hosts["n3"].node = Follower(0)
    judge.looked(1, world)
    world.hosts["n2"].node = Follower(2, old)
    with broken("state machine safety", "n2 has applied entry 2 and goes by n1 of 0; entry 2 says"):
        judge.looked(2, world)


# What is applied.


def test_members_that_apply_the_same_are_fine() -> None:
    judge = Chronicle(Once())
    for member in ("n1", "n2"):
        judge.started(0, member, 1)
        for index in (1, 2, 3):
            applied(judge, member, index)
    judge.stopped(4, "n2", 1, "kill")
    judge.started(5, "n2", 2)
    judge.restored(5, "n2", Machine(2))
    applied(judge, "n2", 3)
    judge.told(6, "n1", b"", "applied", 3)
    judge.ended(7, None)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"term": 2}, "term differ"),
        ({"stamp": 5}, "stamp differ"),
        ({"payload": b"x"}, "payload differ"),
        ({"machine": Machine(1, 0, 8)}, "digest differ"),
    ],
)
def test_another_entry_at_an_index(changed: dict[str, Any], words: str) -> None:
    judge = Chronicle(Once())
    applied(judge, "n1", 1)
    with broken("state machine safety", words):
        applied(judge, "n2", 1, **changed)


def test_indices_advance_by_one() -> None:
    judge = Chronicle(Once())
    applied(judge, "n1", 1)
    with broken("state machine safety", "entry 1 after entry 1"):
        applied(judge, "n1", 1)
    with broken("state machine safety", "entry 3 after entry 1"):
        applied(judge, "n1", 3)


def test_a_term_that_falls_along_the_log() -> None:
    judge = Chronicle(Once())
    applied(judge, "n1", 1, 2)
    with broken("state machine safety", "entry 2 has term 1"):
        applied(judge, "n1", 2, 1)


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (Machine(2, 0, 9), "clock and digest"),
        (Machine(2, 4, 7), "clock and digest"),
        (Machine(3), "nobody applied"),
        (Machine(1), "goes back"),
    ],
)
def test_a_restored_state_that_is_not_what_others_had(machine: Machine, words: str) -> None:
    judge = Chronicle(Once())
    for index in (1, 2):
        applied(judge, "n1", index)
        applied(judge, "n2", index)
    with broken("state machine safety", words):
        judge.restored(3, "n2", machine)


def test_a_caller_is_told_of_another_entry() -> None:
    judge = Chronicle(Once())
    applied(judge, "n1", 1)
    with broken("state machine safety", "did not apply as told"):
        judge.told(2, "n1", b"mine", "applied", 1)
    with broken("state machine safety", "did not apply as told"):
        judge.told(2, "n1", b"", "applied", 2)


def test_a_member_ends_without_what_was_acknowledged() -> None:
    judge = Chronicle(Once())
    judge.started(0, "n2", 1)
    applied(judge, "n1", 1)
    judge.told(1, "n1", b"", "applied", 1)
    with broken("durability", "n2 ends at entry 0, 1 was acknowledged"):
        judge.ended(2, None)


def test_a_clock_that_goes_another_way() -> None:
    judge = Chronicle(Once())
    with broken("state machine safety", "it is 50 ms, a machine says 49"):
        applied(judge, "n1", 1, stamp=50, machine=Machine(1, 49))


def test_an_alarm_is_a_bug() -> None:
    log = Log()
    log.machine.sessions.open = None  # type: ignore[assignment]
    log.machine._handlers[OpenSession] = lambda command, envelope: 1 // 0  # type: ignore[return-value]
    with broken("crash", "ZeroDivisionError"):
        log.apply(OpenSession(5000))


# Reads.


def test_reads_that_see_what_was_acknowledged_are_fine() -> None:
    judge = Reads()
    for index in (1, 2):
        judge.applied(index, "n1", index)
        judge.applied(index, "n2", index)
    judge.told(2.0, "n1", b"", "applied", 2)
    judge.barrier(2.5, "n2", 1.9, 1)
    judge.barrier(2.5, "n2", 2.1, 2)
    judge.barrier(2.5, "n2", 2.1, None)


def test_a_read_that_misses_an_acknowledged_write() -> None:
    judge = Reads()
    judge.applied(1, "n1", 2)
    judge.told(2.0, "n1", b"", "applied", 2)
    with broken("reads", "answers a read at entry 1 that was asked at 2.1"):
        judge.barrier(2.5, "n1", 2.1, 1)


def test_a_read_that_misses_what_an_earlier_read_saw() -> None:
    judge = Reads()
    judge.applied(1, "n1", 5)
    judge.barrier(2.0, "n1", 1.0, 5)
    with broken("reads", "when entry 5 was acknowledged"):
        judge.barrier(3.0, "n1", 2.5, 4)


def test_a_read_ahead_of_what_is_applied_here() -> None:
    judge = Reads()
    judge.applied(1, "n1", 3)
    with broken("reads", "answers a read at entry 4, with 3 applied"):
        judge.barrier(2.0, "n1", 1.0, 4)
