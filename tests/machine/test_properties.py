"""What must hold for any log: judged from outside, and against the machine's own copies."""

from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raftcoord.machine import Machine, state
from raftcoord.machine.ledger import Ledger
from tests.machine.judge import Judge
from tests.machine.logs import Entry, LogMaker, make

LOGS = st.randoms(use_true_random=False)
LENGTH = 120


def packed(machine: Machine) -> bytes:
    return b"".join(machine.pack())


def copy_of(machine: Machine) -> Machine:
    copy = Machine()
    copy.restore(machine.pack())
    return copy


def check_inside(machine: Machine) -> None:
    """Every index says what the tables say."""
    copy = copy_of(machine)
    assert copy.sessions.holdings == machine.sessions.holdings
    assert copy.locks.queues._places == machine.locks.queues._places
    assert copy.rings._inside == machine.rings._inside
    sizes = {name: size for name, size in machine.answers._sizes.items() if size}
    assert copy.answers._sizes == sizes
    assert copy.next_deadline() == machine.next_deadline()
    deadlines = machine._deadlines
    found = {id(entry) for entry in deadlines._heap + deadlines._former}
    assert all(id(entry) in found for entry in deadlines.armed.values())
    for table in machine._tables():
        assert None not in table.rows.values()
        if table.order is not None:
            assert list(table.order.after(None)) == sorted(table.rows)
    locks = machine.locks
    assert {lock.token for lock in locks.table.rows.values()} == set(locks.grants.table.rows)
    waiting = sum(lock.waiting for lock in locks.table.rows.values())
    assert waiting == len(locks.queues.waiters)


def judged(random: Random, length: int, expiries: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "EXPIRIES_PER_ENTRY", expiries)
        machine, judge = Machine(), Judge()
        maker = LogMaker(random, machine)
        for _ in range(length):
            entry = maker.entry()
            judge.see(machine.apply(*entry), entry[2], machine.clock)
            due = machine.next_deadline()
            if due is None or due > machine.clock:
                judge.nothing_late()
        check_inside(machine)


EXPIRIES = pytest.mark.parametrize("expiries", [256, 1], ids=["all due", "one due an entry"])


@EXPIRIES
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(random=LOGS)
def test_rules_hold_in_any_log(expiries: int, random: Random) -> None:
    judged(random, LENGTH, expiries)


@EXPIRIES
@pytest.mark.parametrize("seed", range(30))
def test_rules_hold_in_long_logs(expiries: int, seed: int) -> None:
    judged(Random(seed), 400, expiries)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(random=LOGS, at=st.integers(0, LENGTH - 1))
def test_a_restored_machine_goes_on_alike(random: Random, at: int) -> None:
    machine = Machine()
    copy: Machine | None = None
    maker = LogMaker(random, machine)
    for number in range(LENGTH):
        if number == at:
            copy = copy_of(machine)
            assert packed(copy) == packed(machine)
        entry = maker.entry()
        applied = machine.apply(*entry)
        if copy is not None:
            assert copy.apply(*entry) == applied
    assert copy is not None
    assert packed(copy) == packed(machine)
    assert copy.digest() == machine.digest()


class FaultError(Exception):
    """A bug, as the tests inject it."""


def apply_with_fault(machine: Machine, entry: Entry, after: int) -> int:
    """Apply with a fault in the command after so many changes of it; how many there were."""
    ledger = machine._ledger
    seen = 0

    def counting(method: Any) -> Any:
        def call(*arguments: Any) -> None:
            nonlocal seen
            if seen == after:
                seen += 1
                raise FaultError
            seen += 1
            method(*arguments)

        return call

    def faulty(handler: Any) -> Any:
        def run(*arguments: Any) -> Any:
            changing = {name: counting(getattr(ledger, name)) for name in CHANGING}
            for name, method in changing.items():
                setattr(ledger, name, method)
            try:
                if after == 0:
                    raise FaultError
                return handler(*arguments)
            finally:
                for name in CHANGING:
                    delattr(ledger, name)

        return run

    handlers = dict(machine._handlers)
    machine._handlers.update({kind: faulty(handler) for kind, handler in handlers.items()})
    machine.apply(*entry)
    machine._handlers.update(handlers)
    return seen


CHANGING = ("put", "delete", "set", "unset", "emit")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(random=LOGS)
def test_an_undone_command_leaves_nothing(random: Random) -> None:
    """A fault after any number of changes is as if nothing had been tried."""
    machine = Machine()
    maker = LogMaker(random, machine)
    for number in range(60):
        entry = maker.entry()
        if number % 6 == 5:
            before_any, later = copy_of(machine), copy_of(machine)
            apply_with_fault(before_any, entry, 0)
            after = random.randrange(1, 14)
            if apply_with_fault(later, entry, after) > after:
                assert packed(later) == packed(before_any)
                assert later.next_deadline() == before_any.next_deadline()
                check_inside(later)
                machine = later
                maker._machine = machine
                continue
        machine.apply(*entry)
    machine.apply(1_000, 1, 10**9, b"")
    check_inside(machine)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(random=LOGS)
def test_a_failed_expiry_leaves_nothing_but_its_alarm(random: Random) -> None:
    """A fault in an expiry after any number of changes: what it began is undone."""
    machine = Machine()
    maker = LogMaker(random, machine)
    for _ in range(50):
        machine.apply(*maker.entry())
    due = machine.next_deadline()
    if due is None:
        return
    before_any, later = copy_of(machine), copy_of(machine)
    for copy, after in ((before_any, 0), (later, random.randrange(1, 9))):
        _fail_one_expiry(copy, after)
        copy.apply(maker._index + 1, 1, max(due, copy.clock), b"")
    if later.alarms[-1:] == before_any.alarms[-1:]:
        assert packed(later) == packed(before_any)
    check_inside(later)


def _fail_one_expiry(machine: Machine, after: int) -> None:
    ledger, handlers = machine._ledger, dict(machine._due)

    def faulty(handler: Any) -> Any:
        def run(which: Any) -> None:
            machine._due.update(handlers)
            if after == 0:
                raise FaultError
            mark = ledger.mark()
            handler(which)
            if ledger.changed_since(mark) >= after:
                raise FaultError

        return run

    machine._due.update({kind: faulty(handler) for kind, handler in handlers.items()})


@pytest.mark.parametrize("seed", [1, 2])
def test_out_of_memory_changes_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """MemoryError anywhere in an entry undoes all of it, the clock and what was due too."""
    log = make(seed, 150)
    machine = Machine()
    put, room = Ledger.put, [10**9]

    def scarce(ledger: Ledger, *arguments: Any) -> None:
        room[0] -= 1
        if room[0] < 0:
            raise MemoryError
        put(ledger, *arguments)

    monkeypatch.setattr(Ledger, "put", scarce)
    failures = 0
    for number, entry in enumerate(log):
        before, events = packed(machine), None
        room[0] = number % 5
        try:
            events = machine.apply(*entry)
        except MemoryError:
            failures += 1
            contents_before, contents_after = copy_of(machine), packed(machine)
            assert sorted(before) == sorted(contents_after)
            check_inside(contents_before)
            room[0] = 10**9
            events = machine.apply(*entry)
        assert events is not None
        room[0] = 10**9
    assert failures > 20
    monkeypatch.undo()
    twin = Machine()
    for entry in log:
        twin.apply(*entry)
    assert twin.digest() == machine.digest()
    assert twin.clock == machine.clock
