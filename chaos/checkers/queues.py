"""Who waits for a lock: first come first served, as many as there can be, and not for ever.

Answers do not say who stands in a queue, but how many do. Where that many can stand there and no
more, each of them surely does. And who waited in vain for as long as he wanted stood there so long
before he was told, at least. Whoever asks for the lock later is not served while one of them still
waits, and who counts them misses none.

An end of a wait is told when it comes by the cluster's clock, which may stand still (`passing`),
and by a node that may be cut off from the others, or stopped: as long as neither was the case,
nobody waits much longer than he asked for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate

from chaos.checkers.clocks import Clocks, clocks_of
from chaos.checkers.facts import READS, SIMPLE_OWNER, holders_of, session_of, token_of
from chaos.checkers.passing import SHARE, WRITES, Passing, cluster_time
from chaos.checkers.reads import appends
from chaos.checkers.recovery import windows
from chaos.checkers.violation import Violation, shown
from chaos.history import FOREVER, SECOND, History, Operation

PASSED = "not first come first served"
TOO_MANY = "more wait than can"
TOO_FEW = "fewer wait than must"
CUT_SHORT = "wait cut short"
NOBODY = "refused by nobody"
NOT_ANSWERED = "wait without an end"

Holder = tuple[str, int | None]

LINGERS = 120 * SECOND
"""Nanoseconds, besides its wait, for which one of unknown outcome may stand in a queue: nodes give
up after seconds, and nothing here holds what they sent for minutes."""
LATE = 4.0
"""Seconds behind its end in which the end of a wait is told: one in which the cluster notices, and
some for the way of the request."""
CALLER_PAUSED = "pause-client"
"""The fault in whose time answers wait for their callers."""


@dataclass(slots=True)
class Queue:
    """What is known of the queue of one lock, each in the order of begins.

    Args:
        waits: acquires that may wait in it.
        grants: all acquires that were granted.
        sights: who saw how many wait.
    """

    name: str
    waits: list[Operation] = field(default_factory=list)
    grants: list[Operation] = field(default_factory=list)
    sights: list[tuple[Operation, int]] = field(default_factory=list)


def judge(history: History) -> Iterator[Violation]:
    """All rules about waiting."""
    clocks, entries = clocks_of(history), Entries(history)
    for queue in _queues(history).values():
        yield from _as_many_as_can(queue)
        in_vain = list(_waited_in_vain(queue, clocks))
        yield from _cut_short(queue, in_vain)
        yield from _as_many_as_must(queue, in_vain, entries)
        yield from _in_order(queue, [*_seen_in_queue(queue, clocks), *in_vain])
    yield from _free_but_refused(history)
    yield from _answered(history)


def _queues(history: History) -> dict[str, Queue]:
    queues: dict[str, Queue] = {}

    def of(name: str) -> Queue:
        queue = queues.get(name)
        if queue is None:
            queue = queues[name] = Queue(name)
        return queue

    for item in history.operations:
        if item.kind in ("lock.acquire", "simple.lock"):
            simple = item.kind == "simple.lock"
            queue = of(str(item.arguments["key" if simple else "name"]))
            waits = not simple and bool(item.arguments.get("wait"))
            if waits and item.outcome != "never-sent":
                queue.waits.append(item)
            if item.ok and token_of(item) is not None:
                queue.grants.append(item)
            # Who waited is not counted among the others.
            count = item.answer.get("queue") if item.slug == "lock-held" and not waits else None
            if count is not None:
                queue.sights.append((item, int(count)))
        elif "consistency" in item.arguments or not item.ok:
            continue
        elif item.kind == "lock.read" and "queue" in item.answer:
            queue = of(str(item.arguments["name"]))
            queue.sights.append((item, int(item.answer["queue"])))
        elif item.kind == "locks.list":
            for lock in item.answer.get("locks") or ():
                if "queue" in lock:
                    of(str(lock.get("name"))).sights.append((item, int(lock["queue"])))
    return queues


def _holder(item: Operation) -> Holder:
    if item.kind == "simple.lock":
        return SIMPLE_OWNER, None
    return str(item.arguments["owner"]), session_of(item)


def _leaves(item: Operation) -> int:
    """When a wait is surely over."""
    return FOREVER if item.outcome == "unknown" else item.end


def _as_many_as_can(queue: Queue) -> Iterator[Violation]:
    """A queue is no longer than there are holders who may wait."""
    at = 0
    waiting: list[Operation] = []
    lingering: dict[Holder, int] = {}
    for item, count in queue.sights:
        if not count:
            continue
        while at < len(queue.waits) and queue.waits[at].begin <= item.end:
            other = queue.waits[at]
            if _leaves(other) == FOREVER:
                lingering.setdefault(_holder(other), other.begin)
            else:
                waiting.append(other)
            at += 1
        waiting = [other for other in waiting if other.end >= item.begin]
        holders = {_holder(other) for other in waiting}.union(lingering)
        if count > len(holders):
            text = (
                f"lock {queue.name} was shown with {count} in its queue, and at most"
                f" {len(holders)} can have waited"
            )
            yield Violation(TOO_MANY, text, shown(*waiting[:3], item))


@dataclass(frozen=True, slots=True)
class Place:
    """A wait that surely was in the queue.

    Args:
        since: whoever asked for the lock behind it came later.
        until: up to then, at least, it waited, where it was not granted.
        sight: who saw it wait, if that is what says so.
    """

    waiter: Operation
    since: int
    until: int
    sight: Operation | None = None


def _waited_in_vain(queue: Queue, clocks: Clocks) -> Iterator[Place]:
    """Those that were refused when their wait was over: so long before, they were in the log."""
    for item in queue.waits:
        if item.slug == "lock-held":
            until = clocks.surely_until(item.begin, float(item.arguments["wait"]))
            yield Place(item, item.end - (until - item.begin), until)


def _cut_short(queue: Queue, in_vain: list[Place]) -> Iterator[Violation]:
    for place in in_vain:
        item = place.waiter
        if item.end < place.until:
            text = (
                f"who wanted to wait {item.arguments['wait']:g} s for lock {queue.name} was refused"
                f" after {(item.end - item.begin) / 1e9:.2f} s"
            )
            yield Violation(CUT_SHORT, text, shown(item))


class Entries:
    """The acknowledged operations that are an entry of their own in the log."""

    def __init__(self, history: History) -> None:
        entries = [item for item in history.operations if item.ok and appends(item)]
        self._begins = [item.begin for item in entries]
        ends = accumulate((item.end for item in reversed(entries)), min)
        self._earliest = list(ends)[::-1]

    def first_after(self, moment: int) -> int:
        """When the first of those that began behind the moment was there for everybody, and all
        that was in the log before it."""
        at = bisect_right(self._begins, moment)
        return self._earliest[at] if at < len(self._earliest) else FOREVER


def _as_many_as_must(queue: Queue, in_vain: list[Place], entries: Entries) -> Iterator[Violation]:
    """A queue is no shorter than those that surely stand in it."""
    begins = [item.begin for item, _ in queue.sights]
    there: dict[int, list[Operation]] = defaultdict(list)
    for place in in_vain:
        if place.since < place.until and queue.sights:
            seen = entries.first_after(place.since)
            for at in range(bisect_right(begins, seen), bisect_right(begins, place.until)):
                if queue.sights[at][0].end < place.until:
                    there[at].append(place.waiter)
    for at, waiters in there.items():
        item, count = queue.sights[at]
        if count < len({_holder(waiter) for waiter in waiters}):
            text = f"lock {queue.name} was shown with {count} in its queue, where more waited"
            yield Violation(TOO_FEW, text, shown(*waiters[:3], item))


def _in_order(queue: Queue, places: list[Place]) -> Iterator[Violation]:
    """Nobody who came later is served before one that surely waited."""
    begins = [item.begin for item in queue.grants]
    for place in places:
        waiter = place.waiter
        own = token_of(waiter) if waiter.ok else None
        if own is None and waiter.slug != "lock-held":
            continue
        for at in range(bisect_right(begins, place.since), bisect_right(begins, waiter.end)):
            other = queue.grants[at]
            token = token_of(other)
            if _holder(other) == _holder(waiter) or token is None:
                continue
            passed = token < own if own is not None else other.end < place.until
            if passed and not _may_have_joined(queue, other):
                text = (
                    f"{_holder(other)[0]} got lock {queue.name}, though {_holder(waiter)[0]} was"
                    " waiting for it before they asked"
                )
                yield Violation(PASSED, text, shown(waiter, place.sight, other))


def _may_have_joined(queue: Queue, item: Operation) -> bool:
    """Whether its holder may have had a place of an earlier request."""
    return any(
        other is not item
        and _holder(other) == _holder(item)
        and other.begin <= item.end
        and _may_wait_until(other) >= item.begin
        for other in queue.waits
    )


def _seen_in_queue(queue: Queue, clocks: Clocks) -> Iterator[Place]:
    """Those that were seen to wait, because nobody else can have been."""
    at = 0
    waiting: list[tuple[Operation, int]] = []
    told: set[str] = set()
    for item, count in sorted(queue.sights, key=lambda sight: sight[0].end):
        while at < len(queue.waits) and queue.waits[at].begin <= item.end:
            waiting.append((queue.waits[at], _may_wait_until(queue.waits[at])))
            at += 1
        if not count:
            continue
        # Those that left before this one began may be needed by one that began still earlier.
        waiting = [pair for pair in waiting if pair[1] >= item.begin - LINGERS]
        by_holder: dict[Holder, list[Operation]] = defaultdict(list)
        for other, until in waiting:
            if until >= item.begin:
                by_holder[_holder(other)].append(other)
        if len(by_holder) != count:
            continue
        for requests in by_holder.values():
            # Of several of one holder nobody knows which one the place is of.
            if len(requests) == 1 and requests[0].id not in told:
                waiter = requests[0]
                told.add(waiter.id)
                wait = float(waiter.arguments["wait"])
                yield Place(waiter, item.end, clocks.surely_until(waiter.begin, wait), item)


def _may_wait_until(item: Operation) -> int:
    if item.outcome != "unknown":
        return item.end
    return item.begin + int(item.arguments["wait"] * SECOND) + LINGERS


def _free_but_refused(history: History) -> Iterator[Violation]:
    """Who is refused a lock is refused because of a holder, or of somebody in front."""
    for item in history.of("lock.acquire", "simple.lock"):
        if item.slug != "lock-held" or item.answer.get("queue") != 0:
            continue
        free = not item.arguments.get("wait") and holders_of(item.answer) == []
        if free or item.answer.get("reason") == "queued":
            text = "a lock was refused because of nobody: its own answer shows nobody in the queue"
            yield Violation(NOBODY, text, shown(item))


def _answered(history: History) -> Iterator[Violation]:
    """A wait ends when its time is over."""
    waits = [
        item
        for item in history.of("lock.acquire", "transaction.read")
        if item.arguments.get("wait") and _took_too_long(item)
    ]
    if not waits:
        return
    passing = cluster_time(history)
    nodes = {node: _served(history, node) for node in {item.node for item in waits}}
    paused = [window for window in windows(history) if window.kind == CALLER_PAUSED]
    for item in waits:
        if any(window.begin <= item.end and window.end >= item.begin for window in paused):
            continue
        wait = float(item.arguments["wait"])
        passed = min(
            passing.between(item.begin, item.end), nodes[item.node].between(item.begin, item.end)
        )
        if passed * (1 - SHARE) > wait + LATE:
            said = item.slug or item.outcome
            text = (
                f"a wait of {wait:g} s took {(item.end - item.begin) / 1e9:.1f} s ({said}), while"
                f" {item.node} answered others"
            )
            yield Violation(NOT_ANSWERED, text, shown(item))


def _took_too_long(item: Operation) -> bool:
    if item.end == FOREVER or item.outcome == "never-sent":
        return False
    return item.end - item.begin > (float(item.arguments["wait"]) + LATE) * SECOND


def _served(history: History, node: str) -> Passing:
    """The time in which a node knew what is current: told by what it answered."""
    return Passing(
        item
        for item in history.operations
        if item.ok
        and item.node == node
        and (item.kind in WRITES or item.kind in READS)
        and "consistency" not in item.arguments
    )


__all__ = ["CUT_SHORT", "NOBODY", "NOT_ANSWERED", "PASSED", "TOO_FEW", "TOO_MANY", "judge"]
