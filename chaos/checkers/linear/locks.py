"""What a history says about each lock, for the search: `lock_model` says what it means."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial

from chaos.checkers.clocks import clocks_of
from chaos.checkers.facts import (
    Holder,
    check_says,
    lock_states,
    may_have_held,
    session_of,
    token_of,
)
from chaos.checkers.linear import lock_model as model
from chaos.checkers.linear.lock_model import SIMPLE, Lease, Lock, States
from chaos.checkers.linear.sessions import session_ends
from chaos.checkers.linear.steps import Model, Step
from chaos.history import FOREVER, History, Operation

May = Callable[[Lock], States]


def objects_of(history: History) -> Iterator[tuple[str, Model[Lock], list[Step[Lock]]]]:
    """(name, model, steps) of each lock."""
    reader = _Reader(history)
    found: dict[str, list[Step[Lock]]] = defaultdict(list)
    lists: list[Operation] = []
    for item in history.operations:
        read = _READERS.get(item.kind)
        if read is not None and item.outcome != "never-sent":
            name = str(item.arguments["key" if item.kind.startswith("simple.") else "name"])
            step = read(reader, name, item)
            if step is not None:
                found[name].append(step)
        elif item.kind == "locks.list" and item.ok:
            lists.append(item)
    for item in lists:
        states = dict(lock_states(item))
        for name in {*found, *states}:
            if name in states:
                found[name].append(reader.shown(item, states[name]))
            elif _is_whole(item):
                found[name].append(reader.shown(item, []))
    for name, steps in found.items():
        yield f"lock {name}", model.MODEL, steps


def _is_whole(item: Operation) -> bool:
    """Whether a lock that a list does not show is free."""
    asked, answer = item.arguments, item.answer
    from_first = not asked.get("after") and not asked.get("prefix")
    return from_first and "next" in answer and answer["next"] is None


class _Reader:
    """Makes a step of an operation; None where it says nothing about the lock."""

    def __init__(self, history: History) -> None:
        self._clocks = clocks_of(history)
        self._sessions = session_ends(history)
        self._waiting: dict[str, list[Operation]] = defaultdict(list)
        self._unheard: dict[tuple[str, str, int | None], int] = {}
        for item in history.of("lock.acquire"):
            name = str(item.arguments["name"])
            if item.arguments.get("wait") and item.outcome != "never-sent":
                self._waiting[name].append(item)
            if not item.ok and may_have_held(item):
                holder = (name, str(item.arguments["owner"]), session_of(item))
                self._unheard.setdefault(holder, item.begin)

    def acquire(self, name: str, item: Operation) -> Step[Lock] | None:
        """An acquire."""
        owner, session, token = str(item.arguments["owner"]), session_of(item), token_of(item)
        if not item.ok and may_have_held(item):
            return _maybe_granted(item, owner, session)
        if not item.ok:
            return self._refused(name, item, Holder(owner, session, None))
        if token is None:
            return None
        ttl = self._own_lease(name, owner, session, item)
        until = self._sessions.earliest(session)
        if ttl is not None:
            until = min(until, self._clocks.surely_until(item.begin, ttl))
        may: May = partial(model.granted, owner, session, token, until, ttl)
        return Step(item, self._alive(item, session, may), limit=token)

    def _own_lease(
        self, name: str, owner: str, session: int | None, item: Operation
    ) -> float | None:
        """Seconds of the grant's own lease. Who joined a place of its own, where a request waited
        of which nobody heard, got the lease that was asked for first."""
        asked, shown = item.arguments.get("ttl"), item.answer.get("expires_in")
        joined = self._unheard.get((name, owner, session), FOREVER) <= item.end
        known = [] if asked is None else [float(asked)]
        if shown is not None and (known or joined):
            known.append(float(shown))
        return min(known, default=None)

    def _refused(self, name: str, item: Operation, own: Holder) -> Step[Lock] | None:
        states = lock_states(item)
        if item.slug == "already-held" and states:
            (holder,) = states[0][1]
            same = (holder.owner, holder.session) == (own.owner, own.session)
            return self.shown(item, [holder]) if same else Step(item, model.never)
        if item.slug == "lock-held" and states:
            holders = states[0][1]
            if any(
                (holder.owner, holder.session) == (own.owner, own.session) for holder in holders
            ):
                return Step(item, model.never)
            if holders or not item.arguments.get("wait"):
                # Who is refused a free lock gave way to somebody who waits for it.
                free = not holders and not self._others_wait(name, item)
                return Step(item, model.never) if free else self.shown(item, holders)
        return self._session_gone(item, own.session)

    def _others_wait(self, name: str, item: Operation) -> bool:
        return any(
            other is not item and other.begin <= item.end and item.begin <= _waits_until(other)
            for other in self._waiting[name]
        )

    def _session_gone(self, item: Operation, session: int | None) -> Step[Lock] | None:
        if item.slug != "session-gone" or session is None:
            return None
        return Step(item, partial(model.session_gone, session))

    def release(self, name: str, item: Operation) -> Step[Lock] | None:
        """A release."""
        holder = str(item.arguments["owner"]), session_of(item), int(item.arguments["token"])
        may: May = partial(model.released, *holder)
        return self._of_holder(item, holder, may, may)

    def refresh(self, name: str, item: Operation) -> Step[Lock] | None:
        """A refresh."""
        owner, session = str(item.arguments["owner"]), session_of(item)
        token, ttl, left = int(item.arguments["token"]), item.arguments.get("ttl"), None
        if item.ok:
            left = item.answer.get("expires_in")
        ends = self._sessions.earliest(session)
        lease = Lease(self._clocks, item.begin, ttl, left, ends)
        holder = owner, session, token
        unheard: May = partial(model.may_be_refreshed, *holder, lease)
        return self._of_holder(item, holder, partial(model.refreshed, *holder, lease), unheard)

    def _of_holder(
        self, item: Operation, holder: tuple[str, int | None, int], may: May, unheard: May
    ) -> Step[Lock] | None:
        owner, session, token = holder
        if item.outcome == "unknown":
            return Step(item, unheard, optional=True, limit=token)
        if item.ok:
            return Step(item, self._alive(item, session, may), limit=token)
        if item.slug == "not-holder":
            return Step(item, partial(model.not_holder, owner, session, token))
        return self._session_gone(item, session)

    def check(self, name: str, item: Operation) -> Step[Lock] | None:
        """A check of a token."""
        token, says = int(item.arguments["token"]), check_says(item)
        if says is None:
            return None
        if not says:
            return Step(item, partial(model.not_held, token), read=True)
        holder = item.answer.get("holder")
        if not isinstance(holder, dict):
            return Step(item, partial(model.held, token), read=True, limit=token)
        session = holder.get("session")
        return self.shown(item, [Holder(str(holder.get("owner")), session, token)])

    def read(self, name: str, item: Operation) -> Step[Lock] | None:
        """A read."""
        states = lock_states(item)
        return self.shown(item, states[0][1]) if states else None

    def shown(self, item: Operation, holders: list[Holder]) -> Step[Lock]:
        """An answer that shows the lock with these holders."""
        read = item.ok
        if not holders:
            return Step(item, model.shown_free, read=read)
        if len(holders) > 1:
            return Step(item, model.never, read=read)
        holder = holders[0]
        limit = FOREVER if holder.token is None else holder.token
        may = self._alive(item, holder.session, partial(model.shown, holder))
        return Step(item, may, read=read, limit=limit)

    def _alive(self, item: Operation, session: int | None, may: May) -> May:
        """Nothing lives longer than its session."""
        return model.never if self._sessions.gone(session) < item.begin else may

    def simple_lock(self, name: str, item: Operation) -> Step[Lock] | None:
        """A lock of the simple protocol is asked for."""
        owner, token = SIMPLE + str(item.arguments["value"]), token_of(item)
        ttl = float(item.arguments["expire"])
        if item.outcome == "unknown":
            return _maybe_granted(item, owner, None)
        if not item.ok:
            return self._refused(name, item, Holder("", None, None))
        if token is None:
            return None
        until = self._clocks.surely_until(item.begin, ttl)
        return Step(item, partial(model.granted, owner, None, token, until, ttl), limit=token)

    def simple_unlock(self, name: str, item: Operation) -> Step[Lock] | None:
        """A lock of the simple protocol is freed."""
        may: May = partial(model.unlocked, SIMPLE + str(item.arguments["value"]))
        if item.outcome == "unknown":
            return Step(item, may, optional=True)
        if item.ok:
            return Step(item, may)
        if item.slug == "not-holder":
            return Step(item, partial(model.not_unlocked, SIMPLE + str(item.arguments["value"])))
        return None


def _maybe_granted(item: Operation, owner: str, session: int | None) -> Step[Lock]:
    may: May = partial(model.may_be_granted, owner, session)
    return Step(item, may, optional=True, alike=(owner, session))


def _waits_until(item: Operation) -> int:
    return FOREVER if item.outcome == "unknown" else item.end


_READERS: dict[str, Callable[[_Reader, str, Operation], Step[Lock] | None]] = {
    "lock.acquire": _Reader.acquire,
    "lock.release": _Reader.release,
    "lock.refresh": _Reader.refresh,
    "lock.check": _Reader.check,
    "lock.read": _Reader.read,
    "simple.lock": _Reader.simple_lock,
    "simple.unlock": _Reader.simple_unlock,
}
