"""The members' logs, kept in books of entries and terms.

Leader Append-Only, Log Matching and Leader Completeness of the Raft paper's figure 3. A command is
kept as its checksum.
"""

from __future__ import annotations

from bisect import bisect_left
from zlib import crc32

from chaos.simulation.judges.chronicle import Chronicle
from chaos.simulation.observer import Observer
from chaos.simulation.violation import Violation
from raftcoord.consensus.contents import PLACEHOLDER
from raftcoord.consensus.core import CONFIGURATION, HEADER
from raftcoord.consensus.membership import Configuration, decode_configuration

APPEND_ONLY = "leader append-only"
MATCHING = "log matching"
SAFETY = "state machine safety"


class _Log:
    """`terms[0]` is of the entry `first`. leads: the term that the member leads, else None."""

    __slots__ = ("first", "terms")

    def __init__(self, first: int, terms: list[int]) -> None:
        self.first = first
        self.terms = terms

    @property
    def last(self) -> int:
        return self.first + len(self.terms) - 1

    def term_at(self, index: int) -> int | None:
        place = index - self.first
        return self.terms[place] if 0 <= place < len(self.terms) else None


class Logs(Observer):
    """Every member's log, and every (index, term) that any log ever held.

    Attributes:
        configurations: (index, term) → what the cluster is from there on.
    """

    def __init__(self, chronicle: Chronicle) -> None:
        self.configurations: dict[tuple[int, int], Configuration] = {}
        self._chronicle = chronicle
        self._logs: dict[str, _Log] = {}
        self._leads: dict[str, int] = {}
        self._known: dict[tuple[int, int], tuple[int, int]] = {}

    def opened(
        self, time: float, member: str, life: int, log: list[tuple[int, int, bytes]]
    ) -> None:
        if not log:
            self._logs.pop(member, None)
            return
        before: int | None = None
        for place, (index, term, command) in enumerate(log):
            if index != log[0][0] + place:
                raise Violation(MATCHING, f"{member} opens a log with {index} out of place")
            if before is not None:
                self._match(member, index, term, command, before)
            elif command != PLACEHOLDER and command[:1] == CONFIGURATION:
                self._configured(index, term, command)
            before = term
        self._logs[member] = _Log(log[0][0], [term for _, term, _ in log])

    def stopped(self, time: float, member: str, life: int, why: str) -> None:
        self._logs.pop(member, None)
        self._leads.pop(member, None)

    def appended(self, time: float, member: str, index: int, term: int, command: bytes) -> None:
        leads = self._leads.get(member)
        if leads is not None and term != leads:
            text = f"{member} leads term {leads} and appends entry {index} of term {term}"
            raise Violation(APPEND_ONLY, text)
        log = self._logs.get(member)
        if log is None:
            self._logs[member] = _Log(index, [term])
            return
        if index != log.first + len(log.terms):
            text = f"{member} appends entry {index} to a log that ends at {log.last}"
            raise Violation(MATCHING, text)
        before = log.terms[-1]
        if term < before:
            text = f"{member} appends entry {index} of term {term} behind one of term {before}"
            raise Violation(MATCHING, text)
        self._match(member, index, term, command, before)
        log.terms.append(term)

    def _match(self, member: str, index: int, term: int, command: bytes, before: int) -> None:
        key, mine = (index, term), (crc32(command), before)
        known = self._known.get(key)
        if known == mine:
            return
        if known is None:
            self._known[key] = mine
            if command[:1] == CONFIGURATION:
                self._configured(index, term, command)
            return
        what = "command" if known[0] != mine[0] else "predecessor's term"
        text = f"entry {index} of term {term} has another {what} in the log of {member}"
        raise Violation(MATCHING, text)

    def _configured(self, index: int, term: int, command: bytes) -> None:
        self.configurations[index, term] = decode_configuration(command[HEADER:])

    def cut(self, time: float, member: str, index: int) -> None:
        leads = self._leads.get(member)
        if leads is not None:
            text = f"{member} leads term {leads} and cuts its log at entry {index}"
            raise Violation(APPEND_ONLY, text)
        log = self._logs.get(member)
        if log is None:
            return
        term = log.term_at(index)
        if term is not None and self.is_applied(index, term):
            text = f"{member} cuts entry {index} of term {term}, which was applied"
            raise Violation(SAFETY, text)
        if index <= log.first:
            del self._logs[member]
        else:
            del log.terms[index - log.first :]

    def reset(self, time: float, member: str, index: int, term: int, kept: bool) -> None:
        if not self.is_applied(index, term):
            text = f"{member} begins its log behind entry {index} of term {term}: nobody applied it"
            raise Violation(SAFETY, text)
        log = self._logs.get(member)
        held = log is not None and log.term_at(index) == term
        if log is not None and held and not kept and log.last > index:
            text = (
                f"{member} has entry {index} of term {term} and loses those behind it, up to"
                f" {log.last}, at a snapshot"
            )
            raise Violation(MATCHING, text)
        if not held:
            self._logs[member] = _Log(index, [term])

    def role(self, time: float, member: str, role: str, term: int) -> None:
        if role != "leader":
            self._leads.pop(member, None)
            return
        if self._leads.get(member) == term:
            return
        self._leads[member] = term
        log = self._logs.get(member)
        if log is None:
            return
        applied = self._chronicle.terms
        start = max(log.first, 0)
        # Of terms before its own: late votes can make a leader when another leads already.
        end = max(start, bisect_left(applied, term))
        wanted = applied[start:end]
        held = log.terms[start - log.first : end - log.first]
        if wanted != held:
            lost = next(
                (start + n for n, (a, b) in enumerate(zip(wanted, held, strict=False)) if a != b),
                start + len(held),
            )
            text = (
                f"{member} leads term {term} without entry {lost} of term {applied[lost]}, which"
                " was applied (leader completeness)"
            )
            raise Violation(SAFETY, text)

    def last(self, member: str) -> int:
        """The index of the last entry of a member's log; 0 where it has none."""
        log = self._logs.get(member)
        return 0 if log is None else log.last

    def first_led(self, member: str) -> tuple[int, int] | None:
        """The first entry of the term that a member leads, (index, term), in its log."""
        term, log = self._leads.get(member), self._logs.get(member)
        if term is None or log is None:
            return None
        place = bisect_left(log.terms, term)
        return (log.first + place, term) if place < len(log.terms) else None

    def is_applied(self, index: int, term: int) -> bool:
        """Whether anybody applied this entry."""
        applied = self._chronicle.terms
        return 0 <= index < len(applied) and applied[index] == term
