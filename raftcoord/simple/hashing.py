"""Consistent hashing without a server."""

from collections.abc import Iterable
from typing import Any

from raftcoord.errors import Malformed
from raftcoord.hashring import HashRing


class ConsistentHash:
    """Says which node is responsible for a key: MD5, 128 points a node, the same answers as a
    ring of the server with these members.

    Args:
        nodes: their names, in any order.

    Raises:
        Malformed: there are none, or one is no text.
    """

    def __init__(self, nodes: Iterable[str]) -> None:
        names: list[Any] = [nodes] if isinstance(nodes, str) else list(nodes)
        if not names or not all(isinstance(name, str) and name for name in names):
            raise Malformed("nodes must be one name or more", field="nodes", allowed="texts")
        self._ring = HashRing(dict.fromkeys(names, 1.0))

    def get(self, key: str) -> str:
        """The node for a key."""
        owner = self._ring.owner(key)
        assert owner is not None, "a ring with nodes has an owner for every key"
        return owner
