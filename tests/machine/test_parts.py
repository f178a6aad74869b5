"""The parts below the tables: order, deadlines, the ledger."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftcoord.machine import deadlines as deadlines_module
from raftcoord.machine import order
from raftcoord.machine.deadlines import Deadlines
from raftcoord.machine.ledger import Ledger, Record, Table
from raftcoord.machine.order import SortedKeys


class Item(Record, frozen=True):
    value: int


@pytest.mark.parametrize("seed", range(20))
def test_sorted_keys_are_a_sorted_set(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "CHUNK", 8)
    random = Random(seed)
    keys: SortedKeys[int] = SortedKeys()
    reference: set[int] = set()
    for step in range(800):
        key = random.randrange(150)
        growing = step // 200 % 2 == 0
        present = random.randrange(10) < (8 if growing else 2)
        keys.settle(key, present)
        (reference.add if present else reference.discard)(key)
        if step % 5 == 0:
            assert list(keys.after(None)) == sorted(reference)
            assert list(keys.after(key)) == sorted(item for item in reference if item > key)
            assert len(keys) == len(reference)
            assert all(keys._chunks)
            assert keys._lasts == [chunk[-1] for chunk in keys._chunks]
    assert list(SortedKeys(reference).after(None)) == sorted(reference)


def drained(deadlines: Deadlines, ledger: Ledger) -> list[tuple[int, int]]:
    found = []
    while (entry := deadlines.first()) is not None:
        found.append(entry[:2])
        deadlines.disarm(entry[2])
        ledger.seal()
        deadlines.tidy()
    return found


@given(st.integers(0, 2**32))
def test_deadlines_come_in_order_however_often_they_moved(seed: int) -> None:
    random, ledger = Random(seed), Ledger()
    deadlines = Deadlines(ledger)
    with pytest.MonkeyPatch.context() as patch:
        # Small, so that entries are on the move from heap to heap most of the time.
        patch.setattr(deadlines_module, "SLACK", 2)
        patch.setattr(deadlines_module, "MOVED_PER_PUSH", 1)
        for _ in range(300):
            key = ("lock", random.randrange(40))
            mark = ledger.mark()
            if random.randrange(3):
                deadlines.arm(key, random.randrange(50))
            else:
                deadlines.disarm(key)
            if random.randrange(4) == 0:
                ledger.undo(mark)
            ledger.seal()
            deadlines.tidy()
            assert deadlines.first() == min(deadlines.armed.values(), default=None)
        expected = sorted((at, number) for at, number, _ in deadlines.armed.values())
        assert drained(deadlines, ledger) == expected


def test_deadlines_that_move_for_ever_do_not_pile_up() -> None:
    ledger = Ledger()
    deadlines = Deadlines(ledger)
    for number in range(10):
        deadlines.arm(("session", number), 10**9)
    sizes = []
    for turn in range(20_000):
        deadlines.arm(("session", turn % 7), turn if turn % 2 else 10**9 - turn)
        ledger.seal()
        deadlines.tidy()
        sizes.append(deadlines.heap_size())
    assert max(sizes) < 3_000
    assert len(deadlines.armed) == 10
    expected = sorted((at, number) for at, number, _ in deadlines.armed.values())
    assert drained(deadlines, ledger) == expected


def test_equal_deadlines_come_in_the_order_of_arming() -> None:
    ledger = Ledger()
    deadlines = Deadlines(ledger)
    for number in (5, 3, 9, 1):
        deadlines.arm(("x", number), 100)
    deadlines.arm(("x", 3), 100)
    keys = []
    while (entry := deadlines.first()) is not None:
        keys.append(entry[2][1])
        deadlines.disarm(entry[2])
    assert keys == [5, 9, 1, 3]


@given(st.integers(0, 2**32))
def test_undo_gives_back_rows_order_and_digest(seed: int) -> None:
    random, ledger = Random(seed), Ledger()
    table: Table[int, Item] = Table("t", int, Item, ordered=True)
    index: dict[int, int] = {}

    def change() -> None:
        key = random.randrange(8)
        choice = random.randrange(4)
        if choice == 0 and table.get(key) is not None:
            ledger.delete(table, key)
        elif choice == 1:
            ledger.unset(index, key)
        elif choice == 2:
            ledger.set(index, key, random.randrange(1, 9))
            ledger.emit("kind", "key", None)
        else:
            ledger.put(table, key, Item(random.randrange(9)))

    def picture() -> object:
        return (
            list(table.rows.items()),
            list(index.items()),
            ledger.digest,
            ledger.clock,
            len(ledger.events),
        )

    for _ in range(12):
        for _ in range(random.randrange(6)):
            change()
        before, mark = picture(), ledger.mark()
        for _ in range(random.randrange(6)):
            change()
        ledger.clock += 5
        if random.randrange(2):
            ledger.undo(mark)
            assert picture() == before
        if random.randrange(2):
            ledger.seal()
            assert None not in table.rows.values()
            assert None not in index.values()
            assert table.order is not None
            assert list(table.order.after(None)) == sorted(table.rows)


def test_the_digest_sees_every_change() -> None:
    seen = set()
    for changes in (
        [(1, 5)],
        [(1, 6)],
        [(2, 5)],
        [(1, 5), (1, None)],
        [(1, 5), (1, 5)],
        [(1, 5), (2, 5)],
        [(2, 5), (1, 5)],
    ):
        ledger = Ledger()
        table: Table[int, Item] = Table("t", int, Item)
        for key, value in changes:
            if value is None:
                ledger.delete(table, key)
            else:
                ledger.put(table, key, Item(value))
        seen.add(ledger.digest)
    assert len(seen) == 7
