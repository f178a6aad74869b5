"""Linearizable reads without the log (Raft paper, §8; dissertation, §6.4, "ReadIndex").

Each append carries a round number that its answer echoes. A read that reached the leader is
answered at the commit index of its arrival, once a quorum echoed a round that began after it:
then no newer leader can have committed anything before the read arrived. No leases: no clock
decides.
"""

from collections.abc import Callable

import msgspec

ReadDone = Callable[[int | None], None]
"""Called with the index to answer at, or None where the leader cannot tell any more."""


class _Round(msgspec.Struct, frozen=True):
    number: int
    index: int
    reads: list[ReadDone]


class ReadRounds:
    """The leader's reads; all that arrive in one loop turn share a round."""

    def __init__(self) -> None:
        self._fresh: list[ReadDone] = []
        self._begun: list[_Round] = []

    def add(self, done: ReadDone) -> None:
        """A read arrived."""
        self._fresh.append(done)

    @property
    def fresh(self) -> bool:
        """Whether a round must begin."""
        return bool(self._fresh)

    @property
    def waiting(self) -> bool:
        """Whether a round is under way."""
        return bool(self._begun)

    def begin(self, number: int, commit: int) -> None:
        """Round `number` begins now, at this commit index, for all that arrived before."""
        self._begun.append(_Round(number, commit, self._fresh))
        self._fresh = []

    def serve(
        self, echoed: dict[str, int], has_quorum: Callable[[list[str]], bool], me: str
    ) -> list[tuple[ReadDone, int]]:
        """The reads whose round a quorum echoed. `echoed`: the highest round by member."""
        served: list[tuple[ReadDone, int]] = []
        while self._begun:
            begun = self._begun[0]
            heard = [member for member, number in echoed.items() if number >= begun.number]
            if not has_quorum([*heard, me]):
                break
            served.extend((done, begun.index) for done in begun.reads)
            del self._begun[0]
        return served

    def drop_all(self) -> list[ReadDone]:
        """Leadership is over: all that wait."""
        dropped = [done for begun in self._begun for done in begun.reads] + self._fresh
        self._begun, self._fresh = [], []
        return dropped


class AskedReads:
    """A follower's reads: all of one loop turn travel as one question to the leader.

    run: a number that no other run of this node, on whatever data folder, has.
    """

    def __init__(self, run: int) -> None:
        self._run = run
        self._counter = 0
        self._fresh: list[ReadDone] = []
        self._asked: dict[tuple[int, int], list[ReadDone]] = {}

    def add(self, done: ReadDone) -> None:
        """A read arrived here."""
        self._fresh.append(done)

    def ask(self) -> tuple[int, int] | None:
        """The id of the question to send now; None where nobody asks."""
        if not self._fresh:
            return None
        self._counter += 1
        request = (self._run, self._counter)
        self._asked[request] = self._fresh
        self._fresh = []
        return request

    def answered(self, request: tuple[int, int]) -> list[ReadDone]:
        """The leader answered this question: whose reads it stood for."""
        return self._asked.pop(request, [])

    def drop_all(self) -> list[ReadDone]:
        """The leader is gone: all that wait for its word."""
        dropped = [done for reads in self._asked.values() for done in reads] + self._fresh
        self._asked, self._fresh = {}, []
        return dropped
