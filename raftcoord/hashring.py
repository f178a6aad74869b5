"""Consistent hashing, the one reckoning that the server, the clients and the tests share.

The algorithm `md5`:

- point i of a member is MD5 of utf8(id + str(i)) read as a 128-bit big-endian number,
  for i = 0 .. max(1, floor(virtual_nodes * weight + 0.5)) - 1;
- a key's position is MD5 of utf8(key), read alike;
- a key belongs to the member of the first point at or behind its position, and behind the last
  point to that of the first one;
- equal points are in the order of their members' ids, bytewise, whatever the order of joining;
- n members for a key are the first n different ones met from its position on.

A position is written as 32 lower-case hexadecimal digits.

Source: Karger et al., Consistent Hashing and Random Trees (STOC 1997) §4; the points as in
libketama's use of MD5, with all 128 bits.
"""

from bisect import bisect_left
from collections.abc import Container, Iterable, Mapping
from hashlib import md5
from heapq import nsmallest
from math import floor

DEFAULT_VIRTUAL_NODES = 128
_DIGEST = 16
_PATIENCE = 8
"""Points met for each member wanted before `HashRing.lookup` goes on by member."""


def position(text: str) -> int:
    """Where a text stands on the ring: 0 .. 2^128 - 1."""
    return int.from_bytes(md5(text.encode(), usedforsecurity=False).digest())


def position_hex(text: str) -> str:
    """The same as 32 lower-case hexadecimal digits."""
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def point_count(virtual_nodes: int, weight: float) -> int:
    """How many points a member has."""
    return max(1, floor(virtual_nodes * weight + 0.5))


def points(member: str, count: int) -> list[int]:
    """A member's first `count` points, in the order of their number."""
    start = md5(member.encode(), usedforsecurity=False)
    result = []
    for number in range(count):
        point = start.copy()
        point.update(b"%d" % number)
        result.append(int.from_bytes(point.digest()))
    return result


def _entries(member: str, count: int) -> list[bytes]:
    """A member's first `count` points as bytes that sort as the ring does: position, then id."""
    name = member.encode()
    copy = md5(name, usedforsecurity=False).copy
    result = []
    for number in range(count):
        point = copy()
        point.update(b"%d" % number)
        result.append(point.digest() + name)
    return result


class HashRing:
    """A ring that does not change; `joined` and `left` give new ones.

    Args:
        members: id → weight.
        virtual_nodes: points of a member of weight 1.
    """

    __slots__ = ("_by_member", "_points", "_weights", "virtual_nodes")

    def __init__(
        self,
        members: Mapping[str, float] | Iterable[tuple[str, float]] = (),
        virtual_nodes: int = DEFAULT_VIRTUAL_NODES,
    ) -> None:
        self.virtual_nodes = virtual_nodes
        self._weights = dict(members)
        self._by_member: dict[bytes, list[bytes]] | None = None
        # Bytes, because they are compared at once: pairs would take twice as long to sort.
        self._points: list[bytes] = []
        for member, weight in self._weights.items():
            self._points += _entries(member, point_count(virtual_nodes, weight))
        self._points.sort()

    @property
    def members(self) -> dict[str, float]:
        """id → weight."""
        return dict(self._weights)

    @property
    def size(self) -> int:
        """How many points it has."""
        return len(self._points)

    def __len__(self) -> int:
        return len(self._weights)

    def joined(self, member: str, weight: float = 1.0) -> "HashRing":
        """This ring with the member in it at that weight; O(points) without hashing anew."""
        base = self.left(member) if member in self._weights else self
        result = HashRing((), self.virtual_nodes)
        result._weights = {**base._weights, member: weight}
        count = point_count(self.virtual_nodes, weight)
        # Two sorted runs: the sort merges them instead of sorting anew.
        result._points = base._points + sorted(_entries(member, count))
        result._points.sort()
        return result

    def left(self, member: str) -> "HashRing":
        """This ring without the member."""
        result = HashRing((), self.virtual_nodes)
        result._weights = {name: w for name, w in self._weights.items() if name != member}
        name = member.encode()
        result._points = [entry for entry in self._points if entry[_DIGEST:] != name]
        return result

    def lookup(self, key: str, count: int = 1) -> list[str]:
        """The first `count` different members from the key's position on; fewer if it has fewer."""
        entries = self._points
        size = len(entries)
        wanted = min(count, len(self._weights))
        found: dict[bytes, None] = {}
        digest = md5(key.encode(), usedforsecurity=False).digest()
        first = bisect_left(entries, digest)  # a point at the key's position sorts behind it
        for at in range(first, first + min(size, wanted * _PATIENCE)):
            if len(found) >= wanted:
                break
            found[entries[at if at < size else at - size][_DIGEST:]] = None
        if len(found) < wanted:  # the rest have few of the points, which may be far away
            found.update(dict.fromkeys(self._behind(digest, found, wanted - len(found))))
        return [name.decode() for name in found]

    def _behind(self, digest: bytes, found: Container[bytes], wanted: int) -> list[bytes]:
        """The first members from a position on, without those in `found`."""
        if self._by_member is None:
            self._by_member = {name.encode(): [] for name in self._weights}
            for entry in self._points:
                self._by_member[entry[_DIGEST:]].append(entry)
        nexts = []
        for name, own in self._by_member.items():
            if name not in found:
                at = bisect_left(own, digest)
                wraps = at == len(own)
                nexts.append((wraps, own[0 if wraps else at]))
        return [entry[_DIGEST:] for _, entry in nsmallest(wanted, nexts)]

    def owner(self, key: str) -> str | None:
        """The member a key belongs to; None in an empty ring."""
        entries = self._points
        if not entries:
            return None
        at = bisect_left(entries, md5(key.encode(), usedforsecurity=False).digest())
        return entries[at if at < len(entries) else 0][_DIGEST:].decode()
