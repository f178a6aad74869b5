"""Consistent hashing without a server."""

from collections.abc import Iterable
from typing import Any

from raftcoord.errors import Malformed
from raftcoord.hashring import HashRing
from raftcoord.simple.checks import check_text


class ConsistentHash:
    """Says which node is responsible for a key: MD5, 128 points a node, the same answers as a
    ring of the server with these members.

    Args:
        nodes: their names, in any order.

    Raises:
        Malformed: there are none, or one is no text.
    """

    def __init__(self, nodes: Iterable[str]) -> None:
        names: list[Any] = _listed(nodes)
        if not names or "" in names:
            raise Malformed("nodes must be one name or more", field="nodes", allowed="texts")
        for name in names:
            check_text("nodes", name)
        self._ring = HashRing(dict.fromkeys(names, 1.0))

    def get(self, key: str) -> str:
        """The node for a key. Raises Malformed where it is no text."""
        check_text("key", key)
        owner = self._ring.owner(key)
        assert owner is not None, "a ring with nodes has an owner for every key"
        return owner


def _listed(nodes: Any) -> list[Any]:
    if isinstance(nodes, str):
        return [nodes]
    if not isinstance(nodes, Iterable):
        raise Malformed(f"nodes is {nodes!r:.100}", field="nodes", allowed="a list of texts")
    return list(nodes)
