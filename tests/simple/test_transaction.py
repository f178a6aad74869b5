"""DistributedTransaction against the front door."""

import json

import pytest

from raftcoord.errors import NotPrepared, TransactionDecided
from raftcoord.simple import DistributedTransaction
from tests.simple.world import Silent, World, world


def transaction(made: World, **fields: float) -> DistributedTransaction:
    return DistributedTransaction(made.url("/transaction"), key="t", **fields)


def test_it_commits_and_the_contrary_raises() -> None:
    with world() as made:
        one = transaction(made)
        assert one.prepare() is True
        one.commit()
        one.commit()
        with pytest.raises(TransactionDecided) as raised:
            one.rollback()
        assert raised.value.fields["state"] == "committed"


def test_it_rolls_back_and_the_contrary_raises() -> None:
    with world() as made:
        one = transaction(made)
        assert one.prepare()
        one.rollback()
        one.rollback()
        with pytest.raises(TransactionDecided):
            one.commit()


def test_one_is_prepared_at_a_time() -> None:
    with world() as made:
        one, two = transaction(made), transaction(made)
        assert one.prepare()
        assert two.prepare() is False
        assert one.prepare() is False
        with pytest.raises(NotPrepared):
            two.commit()
        with pytest.raises(NotPrepared):
            two.rollback()
        one.commit()
        assert two.prepare()
        # What is asked of the first is not done to the second.
        one.commit()
        with pytest.raises(TransactionDecided):
            one.rollback()
        two.rollback()


def test_time_aborts_it() -> None:
    with world() as made:
        one = transaction(made, expire=5)
        assert one.prepare()
        made.do(lambda house: house.node.advance(5_000))
        with pytest.raises(TransactionDecided):
            one.commit()
        one.rollback()


def test_a_new_prepare_of_the_same_object_is_a_new_transaction() -> None:
    with world() as made:
        one = transaction(made)
        for _ in range(3):
            assert one.prepare()
            one.commit()
        assert one.prepare()
        one.rollback()


def test_answers_that_are_lost_change_nothing() -> None:
    with world() as made:
        one = transaction(made)
        made.do(lambda house: house.node.faults.append("answer-lost"))
        assert one.prepare()
        made.do(lambda house: house.node.faults.append("answer-lost"))
        one.commit()


def test_after_a_prepare_without_an_answer_it_rolls_that_back_first() -> None:
    server = Silent([None, None, 409, 200, None, 200])
    one = DistributedTransaction(f"http://127.0.0.1:{server.port}/transaction", key="k", expire=7)
    assert one.prepare()
    one.commit()
    asked = [json.loads(request.partition(" /transaction ")[2]) for request in server.requests]
    first, second = asked[0]["value"], asked[3]["value"]
    assert first != second
    rollback = {"key": "k", "expire": 0, "value": "0", "prepared": first}
    commit = {"key": "k", "expire": 0, "value": second}
    assert asked[1:3] == [rollback, rollback]
    assert asked[4:] == [commit, commit]
    server.close()
