"""Who owns a key, reckoned anew by the documented algorithm and nothing else of the product.

Point i of a member is the MD5 of its id followed by i, as a number, for i from 0 to
max(1, floor(virtual_nodes × weight + 0.5)) − 1. A key belongs to the member of the first point at
or behind its own MD5, wrapping around; equal points are in the order of the members' ids.

The first n members met from a key on are the n whose own next point is the nearest: so each member
is asked for one point, and a ring that changes all the time costs nothing to keep.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from functools import lru_cache
from hashlib import md5
from math import floor

Content = Iterable[tuple[str, float]]
"""(member, weight)."""


@lru_cache(maxsize=4_096)
def _points(member: str, count: int) -> tuple[bytes, ...]:
    start = md5(member.encode(), usedforsecurity=False)
    points = []
    for number in range(count):
        point = start.copy()
        point.update(b"%d" % number)
        points.append(point.digest())
    return tuple(sorted(points))


def owners(content: Content, virtual_nodes: int, key: str, count: int) -> list[str]:
    """The first `count` members for a key; fewer if there are fewer."""
    position = md5(key.encode(), usedforsecurity=False).digest()
    nearest = []
    for member, weight in content:
        points = _points(member, max(1, floor(virtual_nodes * weight + 0.5)))
        at = bisect_left(points, position)
        wraps = at == len(points)
        nearest.append((wraps, points[0 if wraps else at], member.encode()))
    return [member.decode() for _, _, member in sorted(nearest)[:count]]
