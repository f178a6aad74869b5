"""Sorted keys, for lists that are read page by page.

Sorted chunks of bounded size: a key comes, goes and is found in the time of two bisections and
the move within one chunk, however many there are. `sorted()` at every listing took 0.8 s for
1,000,000 names, and the loop would stand still meanwhile.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

K = TypeVar("K")

CHUNK = 512


class SortedKeys(Generic[K]):
    """A sorted list without repetitions."""

    __slots__ = ("_chunks", "_lasts")

    def __init__(self, keys: Iterable[K] = ()) -> None:
        ordered: list[Any] = sorted(keys)
        self._chunks = [ordered[at : at + CHUNK] for at in range(0, len(ordered), CHUNK)]
        self._lasts: list[Any] = [chunk[-1] for chunk in self._chunks]

    def settle(self, key: Any, present: bool) -> None:
        """Make the key be there, or not."""
        at = bisect_left(self._lasts, key)
        if at == len(self._chunks):
            if present:
                self._append(key)
            return
        chunk = self._chunks[at]
        inside = bisect_left(chunk, key)
        there = chunk[inside] == key
        if present and not there:
            insort(chunk, key)
            self._split(at)
        if there and not present:
            del chunk[inside]
            self._shrink(at)

    def after(self, key: K | None) -> Iterator[K]:
        """The keys greater than `key` (all where it is None), ascending."""
        at = 0 if key is None else bisect_right(self._lasts, key)
        for number in range(at, len(self._chunks)):
            chunk = self._chunks[number]
            start = bisect_right(chunk, key) if number == at and key is not None else 0
            yield from chunk[start:]

    def __len__(self) -> int:
        return sum(map(len, self._chunks))

    def _append(self, key: Any) -> None:
        if self._chunks:
            self._chunks[-1].append(key)
            self._lasts[-1] = key
            self._split(len(self._chunks) - 1)
        else:
            self._chunks.append([key])
            self._lasts.append(key)

    def _split(self, at: int) -> None:
        chunk = self._chunks[at]
        if len(chunk) > 2 * CHUNK:
            self._chunks[at : at + 1] = [chunk[:CHUNK], chunk[CHUNK:]]
            self._lasts[at : at + 1] = [chunk[CHUNK - 1], chunk[-1]]

    def _shrink(self, at: int) -> None:
        """Keep chunks at least a quarter full where a neighbour can take them in."""
        chunk = self._chunks[at]
        if len(chunk) < CHUNK // 4 and at > 0 and len(self._chunks[at - 1]) < CHUNK:
            self._chunks[at - 1].extend(chunk)
            self._lasts[at - 1 : at + 1] = [self._chunks[at - 1][-1]]
            del self._chunks[at]
        elif chunk:
            self._lasts[at] = chunk[-1]
        else:
            del self._chunks[at]
            del self._lasts[at]
