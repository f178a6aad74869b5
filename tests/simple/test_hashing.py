"""ConsistentHash gives the answers of the server's ring."""

import subprocess
import sys

import pytest

from raftcoord.errors import Malformed
from raftcoord.hashring import HashRing
from raftcoord.simple import ConsistentHash

NODES = ["cache-1", "cache-2", "cache-3", "日本"]


def test_it_gives_the_answers_of_the_ring() -> None:
    ring = HashRing(dict.fromkeys(NODES, 1.0))
    hashed = ConsistentHash(NODES)
    for number in range(500):
        assert hashed.get(f"key-{number}") == ring.owner(f"key-{number}")


def test_the_order_of_nodes_and_the_process_do_not_matter() -> None:
    program = (
        "from raftcoord.simple import ConsistentHash as C;"
        "print(','.join(C(['c','a','b']).get(str(i)) for i in range(50)))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()
    hashed = ConsistentHash(("a", "b", "c"))
    assert said == ",".join(hashed.get(str(number)) for number in range(50))


def test_few_keys_move_when_a_node_comes() -> None:
    before, after = ConsistentHash(["a", "b", "c"]), ConsistentHash(["a", "b", "c", "d"])
    moved = [key for key in map(str, range(2_000)) if before.get(key) != after.get(key)]
    assert all(after.get(key) == "d" for key in moved)
    assert 200 < len(moved) < 800


@pytest.mark.parametrize(
    "nodes", [[], [""], [1], ["a", None], None, 5, "", ["a", "\ud800"], [b"a"]]
)
def test_what_is_no_list_of_names(nodes: list[str]) -> None:
    with pytest.raises(Malformed) as raised:
        ConsistentHash(nodes)
    assert raised.value.fields["field"] == "nodes"
    assert raised.value.fields["allowed"]
    str(raised.value).encode()


@pytest.mark.parametrize("key", [5, None, b"key", "\ud800"])
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(Malformed) as raised:
        ConsistentHash(["a"]).get(key)
    assert raised.value.fields["field"] == "key"
    assert raised.value.fields["allowed"]
    raised.value.detail.encode()
