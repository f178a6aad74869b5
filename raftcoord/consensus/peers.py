"""Who a peer is and where it listens."""

import zlib
from dataclasses import dataclass
from functools import lru_cache

from pysyncobj.node import Node


@dataclass(frozen=True)
class PeerAddress:
    """Where a member listens for other members. `host` is a name or an IP literal."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class PeerNode(Node):
    """The library's Node under a member's id.

    The hash is a CRC-32 of the id: the order of the library's sets of nodes is then the same in
    every process, whatever PYTHONHASHSEED is, and so is a simulated run.
    """

    def __init__(self, id: str) -> None:  # noqa: A002 - the library's word
        super().__init__(id)
        self._name = id
        self._hash = zlib.crc32(id.encode())

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Node) and self._name == other.id)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"PeerNode({self._name!r})"


@lru_cache(maxsize=4096)
def peer_node(name: str) -> PeerNode:
    """The node of this id, the same object every time."""
    return PeerNode(name)
