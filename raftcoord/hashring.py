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
from collections.abc import Iterable, Mapping
from hashlib import md5
from math import floor

DEFAULT_VIRTUAL_NODES = 128


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


class HashRing:
    """A ring that does not change; `joined` and `left` give new ones.

    Args:
        members: id → weight.
        virtual_nodes: points of a member of weight 1.
    """

    __slots__ = ("_points", "_weights", "virtual_nodes")

    def __init__(
        self,
        members: Mapping[str, float] | Iterable[tuple[str, float]] = (),
        virtual_nodes: int = DEFAULT_VIRTUAL_NODES,
    ) -> None:
        self.virtual_nodes = virtual_nodes
        self._weights = dict(members)
        self._points = sorted(
            (point, member)
            for member, weight in self._weights.items()
            for point in points(member, point_count(virtual_nodes, weight))
        )

    @property
    def members(self) -> dict[str, float]:
        """id → weight."""
        return dict(self._weights)

    def __len__(self) -> int:
        return len(self._weights)

    def joined(self, member: str, weight: float = 1.0) -> "HashRing":
        """This ring with the member in it at that weight; O(points) without hashing anew."""
        base = self.left(member) if member in self._weights else self
        result = HashRing((), self.virtual_nodes)
        result._weights = {**base._weights, member: weight}
        count = point_count(self.virtual_nodes, weight)
        # Two sorted runs: the sort merges them instead of sorting anew.
        result._points = base._points + sorted((point, member) for point in points(member, count))
        result._points.sort()
        return result

    def left(self, member: str) -> "HashRing":
        """This ring without the member."""
        result = HashRing((), self.virtual_nodes)
        result._weights = {name: w for name, w in self._weights.items() if name != member}
        result._points = [entry for entry in self._points if entry[1] != member]
        return result

    def lookup(self, key: str, count: int = 1) -> list[str]:
        """The first `count` different members from the key's position on; fewer if it has fewer."""
        entries = self._points
        size = len(entries)
        wanted = min(count, len(self._weights))
        found: dict[str, None] = {}
        at = bisect_left(entries, (position(key), ""))
        while len(found) < wanted:
            found[entries[at if at < size else at - size][1]] = None
            at += 1
        return list(found)

    def owner(self, key: str) -> str | None:
        """The member a key belongs to; None in an empty ring."""
        entries = self._points
        if not entries:
            return None
        at = bisect_left(entries, (position(key), ""))
        return entries[at if at < len(entries) else 0][1]
