"""Every request is executed once, and its caller hears the truth about it, once.

Source: Ongaro, Consensus: Bridging Theory and Practice (2014) §6.3.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from chaos.simulation.observer import Observer
from chaos.simulation.violation import Violation
from raftcoord.commands import AcquireCancelled, CancelAcquire, Reply
from raftcoord.errors import RaftcoordError, Stale, WaitCancelled
from raftcoord.machine.events import Request
from raftcoord.machine.state import Applied

ONCE = "applied once"
ANSWERS = "answers"

_OF_COMMANDS = {
    "session.opened": ("opened",),
    "session.ended": ("closed",),
    "lock.released": ("released", "cancelled"),
    "transaction.begun": (None,),
    "transaction.decided": (None, "vote", "rollback"),
}
"""Events that no deadline brings about, by their reasons."""
_OF_COMMANDS_ONLY = ("transaction.finished", "ring.deleted")


class _Proposed:
    """One request of a gateway: how often it is in the log, and what its callers were told."""

    __slots__ = ("answered", "applied", "told", "unknown")

    def __init__(self) -> None:
        self.applied = 0
        self.told = 0
        self.unknown = 0
        self.answered = False


class Once(Observer):
    """The books of request ids.

    `execute` is called by the chronicle, before anybody else reads the entry.
    """

    def __init__(self) -> None:
        self._payloads: dict[tuple[str, int, int], bytes] = {}
        self._replies: dict[tuple[str, int, int], Reply | RaftcoordError | None] = {}
        self._proposed: dict[bytes, _Proposed] = {}
        self._life: dict[str, int] = {}
        self._in: dict[bytes, tuple[str, int]] = {}

    def execute(self, index: int, payload: bytes, applied: Applied, *, changed: bool) -> bool:
        """Whether this entry is the first of its request id; another one must change nothing.

        Args:
            changed: the machine's digest is another after it.
        """
        envelope = applied.envelope
        fresh = True
        if applied.events:
            self._settle(applied)  # what was due comes before the command
        if envelope is not None and envelope.seq:
            key = (envelope.gateway, envelope.boot, envelope.seq)
            first = self._payloads.setdefault(key, payload)
            proposed = self._proposed.get(payload)
            if proposed is None:
                proposed = self._proposed[payload] = _Proposed()
            proposed.applied += 1
            self._check_count(index, proposed, key)
            if first != payload:
                raise Violation(ONCE, f"request {key} stands for another command at entry {index}")
            if proposed.applied == 1:
                self._replies[key] = applied.reply
            else:
                fresh = False
                self._check_repeat(index, key, applied, changed=changed)
        if envelope is not None and type(envelope.command) is CancelAcquire and fresh:
            self._cancelled(envelope.command, applied.reply)
        return fresh

    def _check_count(self, index: int, proposed: _Proposed, key: tuple[str, int, int]) -> None:
        # One attempt at a time is with consensus; each that was refused is nowhere.
        most = proposed.unknown + 1
        if proposed.applied > most:
            text = (
                f"entry {index} holds request {key} for the {proposed.applied}th time, after"
                f" {proposed.unknown} attempts of unknown outcome and at most one under way"
            )
            raise Violation(ONCE, text)

    def _check_repeat(
        self, index: int, key: tuple[str, int, int], applied: Applied, *, changed: bool
    ) -> None:
        where = f"request {key} comes again in entry {index}"
        for event in applied.events:
            reasons = _OF_COMMANDS.get(event.kind)
            if event.kind in _OF_COMMANDS_ONLY or (
                reasons is not None and getattr(event.data, "reason", None) in reasons
            ):
                raise Violation(ONCE, f"{where} and is executed again: {event}")
        if changed and not applied.events:
            raise Violation(ONCE, f"{where} and changes the state")
        reply = applied.reply
        if not isinstance(reply, Stale) and not _same(reply, self._replies.get(key)):
            text = f"{where} and is answered {reply!r}, not {self._replies.get(key)!r}"
            raise Violation(ONCE, text)

    def _settle(self, applied: Applied) -> None:
        for event in applied.events:
            if event.kind == "lock.granted":
                self._settled(event.data.requests, event.data.reply)
            elif event.kind == "lock.wait-ended":
                self._settled(event.data.requests, event.data.error)

    def _settled(self, requests: tuple[Request, ...], reply: Any) -> None:
        for request in requests:
            key = (request.gateway, request.boot, request.seq)
            if key in self._replies:
                self._replies[key] = reply

    def _cancelled(self, command: CancelAcquire, reply: Any) -> None:
        key = (command.gateway, command.boot, command.seq)
        if isinstance(reply, AcquireCancelled) and key in self._replies and reply.was == "granted":
            self._replies[key] = WaitCancelled("cancelled", name=command.name)

    # What callers are told.

    def started(self, time: float, member: str, life: int) -> None:
        self._life[member] = life

    def stopped(self, time: float, member: str, life: int, why: str) -> None:
        self._life.pop(member, None)

    def told(self, time: float, member: str, payload: bytes, kind: str, index: int) -> None:
        proposed = self._proposed.get(payload)
        if proposed is None:
            proposed = self._proposed[payload] = _Proposed()
        if proposed.answered:
            raise Violation(ANSWERS, f"{member} tells a caller {kind} who was told applied before")
        self._in[payload] = (member, self._life.get(member, 0))
        proposed.told += 1
        if kind == "applied":
            proposed.answered = True
            if not proposed.applied:
                raise Violation(ONCE, f"{member} tells a caller of entry {index}: nobody saw it")
        elif kind == "unknown":
            proposed.unknown += 1

    def ended(self, time: float, world: Any) -> None:
        """No attempt is under way any more, so what was refused can be counted out."""
        for payload, proposed in self._proposed.items():
            member, life = self._in.get(payload, ("", 0))
            if self._life.get(member) != life or not proposed.told:
                continue  # an attempt may have died with its node
            most = proposed.unknown + proposed.answered
            if proposed.applied > most:
                text = (
                    f"a request of {member} is {proposed.applied} times in the log; of"
                    f" {proposed.told} attempts all but {most} were refused"
                )
                raise Violation(ONCE, text)

    def counts(self) -> Counter[str]:
        """What was seen, for tests: requests, repeats."""
        repeats = sum(max(0, proposed.applied - 1) for proposed in self._proposed.values())
        return Counter(requests=len(self._payloads), repeats=repeats)


def _same(reply: Any, first: Any) -> bool:
    if isinstance(reply, RaftcoordError) and isinstance(first, RaftcoordError):
        return reply.slug == first.slug
    return bool(reply == first)
