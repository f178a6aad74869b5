"""The queue of one lock by the judges' own books: places of holders, in the order of coming."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from raftcoord.machine.events import Request

Holder = tuple[int | None, str, str]
"""Session, identity, owner."""


class Asked(NamedTuple):
    """A request that waits until `ends`, cluster time in ms."""

    request: Request
    ends: int


class Place:
    """A holder's place; `asked` are the requests that wait there, in the order of coming."""

    __slots__ = ("asked", "holder", "ttl")

    def __init__(self, holder: Holder, ttl: int | None) -> None:
        self.holder = holder
        self.ttl = ttl
        self.asked: list[Request] = []


class Queue:
    """The places."""

    def __init__(self) -> None:
        self._places: list[Place] = []

    def __len__(self) -> int:
        return len(self._places)

    def head(self) -> Place | None:
        """The first place."""
        return self._places[0] if self._places else None

    def holders(self) -> Iterator[Holder]:
        """Who waits, in order."""
        return (place.holder for place in self._places)

    def place(self, request: Request) -> Place | None:
        """Where the request waits."""
        for place in self._places:
            if request in place.asked:
                return place
        return None

    def join(self, holder: Holder, ttl: int | None, asked: Asked, over: set[Request]) -> None:
        """The request waits at the holder's place, or at a new one at the end: where there is
        none, or where all that wait there are over."""
        for place in self._places:
            if place.holder == holder and not over.issuperset(place.asked):
                place.asked.append(asked.request)
                return
        place = Place(holder, ttl)
        place.asked.append(asked.request)
        self._places.append(place)

    def leave(self, request: Request) -> None:
        """It waits no more; a place where nobody waits is gone."""
        place = self.place(request)
        assert place is not None
        place.asked.remove(request)
        if not place.asked:
            self._places.remove(place)
