"""DistributedLock against the front door."""

import re
import socket
import threading
import time
from typing import Any

import pytest

from raftcoord.errors import Malformed, NoLeader, NotHolder, NotReady, OutcomeUnknown
from raftcoord.simple import DistributedLock, DistributedTransaction
from tests.simple.world import Silent, World, world


def lock(made: World, **fields: float) -> DistributedLock:
    return DistributedLock(made.url("/lock"), key="a/b", **fields)


def holders(made: World) -> int:
    return len(made.do(lambda house: house.machine.locks.get("a/b").holders))


def test_it_is_held_and_given_back() -> None:
    with world() as made:
        one = lock(made)
        assert one.acquire() is True
        assert holders(made) == 1
        one.release()
        assert holders(made) == 0
        with pytest.raises(NotHolder):
            one.release()


def test_a_block_holds_it() -> None:
    with world() as made:
        with lock(made) as held:
            assert isinstance(held, DistributedLock)
            assert holders(made) == 1
        assert holders(made) == 0
        with pytest.raises(KeyError), lock(made):
            raise KeyError
        assert holders(made) == 0


def test_two_objects_are_two_holders() -> None:
    with world() as made:
        one, two = lock(made), lock(made)
        one.acquire()
        with pytest.raises(NotHolder):
            two.release()
        got = threading.Event()

        def wait() -> None:
            two.acquire()
            got.set()

        waiter = threading.Thread(target=wait)
        waiter.start()
        # It has been refused at least once before the lock becomes free.
        until = time.monotonic() + 10
        while made.do(lambda house: house.node.barriers) < 2:
            assert time.monotonic() < until
        assert not got.is_set()
        one.release()
        assert got.wait(10)
        waiter.join(10)
        two.release()


def test_many_threads_are_never_two_at_once() -> None:
    with world() as made:
        inside: list[int] = []
        most: list[int] = []

        def work(number: int) -> None:
            for _ in range(5):
                with lock(made):
                    inside.append(number)
                    most.append(len(inside))
                    inside.remove(number)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(most) == 30
        assert max(most) == 1


def test_a_lock_that_ran_out_is_no_longer_held() -> None:
    with world() as made:
        one = lock(made, expire=5)
        one.acquire()
        made.do(lambda house: house.node.advance(5_000))
        with pytest.raises(NotHolder):
            one.release()
        with pytest.raises(NotHolder), lock(made, expire=5):
            made.do(lambda house: house.node.advance(5_000))
        # The block's own error is the one that is seen.
        with pytest.raises(KeyError):
            _lose_it_and_fail(made)


def _lose_it_and_fail(made: World) -> None:
    with lock(made, expire=5):
        made.do(lambda house: house.node.advance(5_000))
        raise KeyError


def test_an_election_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raftcoord.server.gateway.SUBMIT_TIMEOUT", 0.05)
    with world() as made:
        made.do(lambda house: house.node.faults.extend(["overloaded", "no-leader"]))
        assert lock(made).acquire()


def test_a_cluster_without_a_leader_is_an_error_in_the_end() -> None:
    with world() as made:
        made.do(lambda house: setattr(house.gateway, "acquire", _refuse))
        with pytest.raises(NoLeader):
            lock(made, timeout=0.2).acquire()


async def _refuse(*_: object) -> None:
    raise NoLeader("none", retry_after=1)


def value_of(request: str) -> str:
    return re.findall(r"value=(\w+)", request)[0]


def test_after_an_acquire_without_an_answer_it_first_frees_what_it_may_have() -> None:
    server = Silent([None, None, 200, 409, 200, None, 409])
    one = DistributedLock(f"http://127.0.0.1:{server.port}/lock", key="k", expire=7)
    assert one.acquire()
    one.release()
    expires = [re.findall(r"expire=(\w+)", request)[0] for request in server.requests]
    # Taken (lost), freed (lost), freed, taken (somebody has it), taken; released (lost): gone.
    assert expires == ["7", "0", "0", "7", "7", "0", "0"]
    assert len({value_of(request) for request in server.requests}) == 1
    server.close()


def test_who_never_answers_is_an_error_in_the_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/lock"
        with pytest.raises(OutcomeUnknown) as raised:
            DistributedLock(url, timeout=0.05).acquire()
    assert raised.value.blame == "unknown"


def test_who_cannot_be_reached_is_an_error_in_the_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/lock"
    with pytest.raises(NotReady) as raised:
        DistributedLock(url, timeout=0.1).acquire()
    assert raised.value.fields["reason"] == "unreachable"


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "localhost:8080/lock"},
        {"url": "ftp://localhost/lock"},
        {"url": "http://localhost:99999/lock"},
        {"timeout": 0},
        {"expire": 0},
        {"expire": -1},
        {"expire": 86_401},
        {"expire": float("nan")},
        {"expire": "5"},
        {"expire": None},
        {"expire": True},
        {"expire": 10**400},
        {"timeout": None},
        {"timeout": "5"},
        {"timeout": 10**400},
        {"timeout": 1e300},
        {"timeout": float("inf")},
        {"timeout": float("nan")},
        {"key": None},
        {"key": 5},
        {"key": "\ud800"},
        {"url": None},
        {"url": "http://[::1/lock"},
        {"url": "http://localhost/\ud800"},
    ],
)
@pytest.mark.parametrize("kind", [DistributedLock, DistributedTransaction])
def test_what_cannot_work_is_refused_at_once(kind: Any, fields: dict[str, object]) -> None:
    with pytest.raises(Malformed) as raised:
        kind(**fields)
    assert raised.value.fields["field"] == next(iter(fields))
    assert raised.value.fields["allowed"]
    raised.value.detail.encode()


def test_a_key_that_is_no_name_is_refused_by_the_server() -> None:
    with world() as made, pytest.raises(Malformed) as raised:
        DistributedLock(made.url("/lock"), key="").acquire()
    assert raised.value.fields["field"] == "key"
