"""Whether operations can be put in an order that a model explains: the search.

An object behaves as if each operation took effect at one moment between its begin and its end
(Herlihy, Wing: Linearizability, TOPLAS 1990). Wing and Gong (1993) try all orders; here they are
made just in time: the operations are passed over by a *place* each of them has, and at each one
those configurations are kept in which it has taken effect (Lowe: Testing for linearizability,
2017). A configuration is a state and the operations that took effect ahead of their place; each
is met once (Lowe's memory of configurations, as in Horn and Kroening 2015 and in Porcupine). So a
long history costs what is concurrent in it, and needs no cutting.

Places are by time (when the operation ended) or by revision (where its answer says which entry of
the log it rests on). By revision, reads take effect exactly there; what changes something may do
so earlier, because the answer to a repeated request carries the revision of the repetition. An
order by revision is an order by time too, a stricter one, and found in less time.

What nobody heard the outcome of is optional: it may take effect at any time after its begin, or
never. What happens by itself (a lease that ends) is a step of the model's, possible from some
moment on.

Three things keep the search small without losing an order:

- An operation that leaves the state as it is may take effect at once: nothing else gets harder.
- Of two configurations with the same state the one with less help of optional operations, and more
  behind it of those that change nothing, can do whatever the other can.
- A state from which the operation in question can no longer be explained is not pursued.

Where they are many even so, configurations with one state are merged into one that can do what any
of them can, and perhaps more. So where no order is found with merging, there is none; but one that
is found may be none. Then the search is made again without merging, and leaves some out where they
are too many: an order that is found in this way is one. The search is bounded; a verdict that would
rest on what was left out is `undecided`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from typing import Generic, Literal

from chaos.checkers.linear.kept import NONE, Ahead, Kept, Trail
from chaos.checkers.linear.steps import (
    Found,
    Model,
    S,
    Step,
    Word,
    place_by_revision,
    place_by_time,
)
from chaos.history import FOREVER

By = Literal["time", "revision"]

VISITS = 400_000
"""Configurations visited for one object at most, and as many more as it has operations."""
AT_ONCE = 20_000
"""Configurations visited for one operation at most."""
KEPT = 128
"""Configurations kept behind an operation at most."""
KEPT_UNMERGED = 8
"""The same in a search without merging: few that are followed to the end prove an order soonest."""
AGAIN = 4
"""A search without merging may visit so many times what the one with merging did, and `AT_ONCE`."""
TRAIL = 3
TIDIED_EVERY = 64


class _Exhausted(Exception):
    """The bound was reached."""


def find_order(
    model: Model[S], steps: Iterable[Step[S]], by: By = "time", visits: int = VISITS
) -> Found[S]:
    """Look for an order of the steps. By revision, each that is not optional has one."""
    given = list(steps)
    quick = _Search(model, given, by, visits)
    found = quick.run()
    if found.word == "linearizable" and quick.merged:
        again = min(visits, AGAIN * found.visited + AT_ONCE)
        return _Search(model, given, by, again, merging=False).run()
    return found


class _Search(Generic[S]):
    """One search. `merged`: whether what it found may be no order.

    Args:
        merging: whether configurations may be merged.
    """

    def __init__(
        self, model: Model[S], given: list[Step[S]], by: By, visits: int, *, merging: bool = True
    ) -> None:
        place = place_by_time if by == "time" else place_by_revision
        sure = sorted((step for step in given if not step.optional), key=place)
        unheard = sorted((step for step in given if step.optional), key=lambda step: step.begin)
        self._model = model
        self._count = len(sure)
        self._steps = sure + unheard
        self._begins = [step.begin for step in self._steps]
        self._ends = [step.end for step in sure]
        self._by_end = sorted(range(len(sure)), key=self._ends.__getitem__)
        floating = (at for at, step in enumerate(sure) if by == "time" or not step.read)
        self._by_begin = sorted(floating, key=self._begins.__getitem__)
        self._left = visits + len(given)
        self._visits = self._left
        self._passive = bytes(step.read or not step.operation.ok for step in sure)
        self._passed = bytearray(len(sure))
        self._first_end = 0
        self._next_begin = 0
        self._next_unheard = len(sure)
        self._begun: list[int] = []
        self._unheard: list[int] = []
        self._spent: set[int] = set()
        self._older = self._alike()
        self._goals = [at for at, step in enumerate(sure) if step.leads is not None]
        self._next_goal = 0
        self._narrowed = False
        self._merging = merging
        self.merged = False

    def _alike(self) -> dict[int, int]:
        """Optional step → the one before it that does the same."""
        older: dict[int, int] = {}
        last: dict[Hashable, int] = {}
        for number in range(self._count, len(self._steps)):
            alike = self._steps[number].alike
            if alike is not None:
                if alike in last:
                    older[number] = last[alike]
                last[alike] = number
        return older

    def run(self) -> Found[S]:
        kept: Kept[S] = Kept(self._passive)
        kept.add(self._model.initial, NONE, ())
        for number in range(self._count):
            try:
                following = self._pass(kept, number)
            except _Exhausted:
                return self._found("undecided", number, kept)
            if not following.count:
                word: Word = "undecided" if self._narrowed else "not linearizable"
                return self._found(word, number, kept)
            self._passed[number] = 1
            while self._first_end < self._count and self._passed[self._by_end[self._first_end]]:
                self._first_end += 1
            if number % TIDIED_EVERY == 0:
                following = self._tidied(following)
            kept = following
        return Found("linearizable", visited=self._visits - self._left)

    def _found(self, word: Word, number: int, kept: Kept[S]) -> Found[S]:
        states = tuple(kept.by_state)
        trail = kept.by_state[states[0]][0][1]
        before = tuple(self._steps[at].operation for at in trail)
        visited = self._visits - self._left
        return Found(word, self._steps[number].operation, states, before, visited)

    def _pass(self, kept: Kept[S], number: int) -> Kept[S]:
        """The configurations in which this step, the next by place, has taken effect."""
        may, begin = self._steps[number].may, self._begins[number]
        while self._next_goal < len(self._goals) and self._goals[self._next_goal] < number:
            self._next_goal += 1
        following: Kept[S] = Kept(self._passive)
        for state, configurations in kept.by_state.items():
            for ahead, trail in configurations:
                if number in ahead:
                    following.add(state, ahead - {number}, trail)
                    continue
                reached = may(state)
                still = len(reached) == 1 and reached[0] == state
                if still and begin <= self._bound(ahead):
                    following.add(state, ahead, trail)
                else:
                    self._explore(state, ahead, trail, number, following)
        if self._merging and following.merge():
            self.merged = True
        most = KEPT if self._merging else min(KEPT, KEPT_UNMERGED)
        if following.count > most:
            self._narrowed = True
            return self._first(following, most)
        return following

    def _first(self, kept: Kept[S], most: int) -> Kept[S]:
        """Some of them: those with the least help of optional steps."""
        every = [(state, *rest) for state, several in kept.by_state.items() for rest in several]
        every.sort(key=lambda item: sum(number >= self._count for number in item[1]))
        few: Kept[S] = Kept(self._passive)
        for state, ahead, trail in every[:most]:
            few.add(state, ahead, trail)
        return few

    def _bound(self, ahead: Ahead) -> int:
        """The first end among the steps that have not taken effect: none that begins behind it
        may be next."""
        at = self._first_end
        while at < self._count:
            number = self._by_end[at]
            if not self._passed[number] and number not in ahead:
                return self._ends[number]
            at += 1
        return FOREVER

    def _explore(
        self, state: S, ahead: Ahead, trail: Trail, number: int, following: Kept[S]
    ) -> None:
        """All ways in which other steps, and then this one, take effect from a configuration."""
        step = self._steps[number]
        seen: Kept[S] = Kept(self._passive)
        seen.add(state, ahead, trail)
        waiting = deque([(state, ahead, trail)])
        least = self._left - AT_ONCE
        while waiting:
            state, ahead, trail = waiting.popleft()
            self._left -= 1
            if self._left < 0 or self._left < least:
                raise _Exhausted
            ahead, bound, moves = self._settled(state, ahead, number)
            if self._begins[number] <= bound:
                reached = step.may(state)
                for after in reached:
                    behind = trail if after == state else (*trail, number)[-TRAIL:]
                    if self._leads(after, ahead, number):
                        following.add(after, ahead, behind)
                if len(reached) == 1 and reached[0] == state:
                    continue
            made = [(after, ahead | {other}, (*trail, other)[-TRAIL:]) for other, after in moves]
            for moment, after in self._model.alone(state):
                if moment <= bound:
                    made.append((after, ahead, trail))
            for item in made:
                if self._leads(item[0], item[1], -1, step.limit) and seen.add(*item):
                    waiting.append(item)

    def _leads(self, state: S, ahead: Ahead, number: int, limit: int = FOREVER) -> bool:
        """Whether the steps to come may be explained from this state, for all that is known: the
        one with this limit, and the next goal, if that is not the step of this number."""
        if self._model.level(state) > limit:
            return False
        if self._next_goal == len(self._goals):
            return True
        goal = self._goals[self._next_goal]
        leads = self._steps[goal].leads
        return goal == number or goal in ahead or leads is None or leads(state)

    def _settled(
        self, state: S, ahead: Ahead, number: int
    ) -> tuple[Ahead, int, list[tuple[int, S]]]:
        """Let take effect what leaves the state as it is.

        Gives what took effect then, the bound, and the steps that would change the state, each
        with the state behind it.
        """
        while True:
            bound = self._bound(ahead)
            moves: list[tuple[int, S]] = []
            still: list[int] = []
            for other in self._candidates(bound):
                if other == number or other in ahead or self._begins[other] > bound:
                    continue
                older = self._older.get(other)
                if older is not None and older not in ahead and older not in self._spent:
                    continue
                reached = self._steps[other].may(state)
                if other < self._count and len(reached) == 1 and reached[0] == state:
                    still.append(other)
                    continue
                moves += [(other, after) for after in reached if after != state]
            if not still:
                return ahead, bound, moves
            ahead = ahead.union(still)

    def _candidates(self, bound: int) -> list[int]:
        """The steps that may take effect ahead of their place, by their begin."""
        while self._next_begin < len(self._by_begin):
            number = self._by_begin[self._next_begin]
            if self._begins[number] > bound:
                break
            self._next_begin += 1
            self._begun.append(number)
        self._begun = [number for number in self._begun if not self._passed[number]]
        while self._next_unheard < len(self._steps):
            if self._begins[self._next_unheard] > bound:
                break
            self._unheard.append(self._next_unheard)
            self._next_unheard += 1
        return self._begun + self._unheard

    def _tidied(self, kept: Kept[S]) -> Kept[S]:
        """Without optional steps that can take effect no more."""
        lowest = min(map(self._model.level, kept.by_state))
        spent = {number for number in self._unheard if self._steps[number].limit < lowest}
        if not spent:
            return kept
        self._spent |= spent
        self._unheard = [number for number in self._unheard if number not in spent]
        tidy: Kept[S] = Kept(self._passive)
        for state, configurations in kept.by_state.items():
            for ahead, trail in configurations:
                tidy.add(state, ahead - spent, trail)
        return tidy
