"""What must hold in every run, checked while it runs.

The judges see what callers see (outcomes, read indices) and what members do (entries applied,
leaders by term). They know nothing of how the product does it.
"""

from dataclasses import dataclass, field


class Violation(Exception):
    """Something happened that must never happen."""


@dataclass
class Judges:
    """One run's memory of what was seen.

    applied: (term, payload) by index, as the first member applied it.
    """

    applied: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    index_of: dict[bytes, int] = field(default_factory=dict)
    leaders: dict[int, str] = field(default_factory=dict)
    acknowledged: dict[bytes, int] = field(default_factory=dict)
    refused: set[bytes] = field(default_factory=set)
    unknown: set[bytes] = field(default_factory=set)
    reads: int = 0

    def member_applied(self, member: str, index: int, term: int, payload: bytes) -> None:
        """State machine safety (Raft paper, figure 3), and: one proposal, one entry."""
        first = self.applied.setdefault(index, (term, payload))
        if first != (term, payload):
            raise Violation(
                f"state machine safety: entry {index} is {first}, {member} applies {payload!r}"
            )
        if not payload:
            return
        if self.index_of.setdefault(payload, index) != index:
            raise Violation(f"{payload!r} is at {self.index_of[payload]} and at {index}")
        if payload in self.refused:
            raise Violation(f"{payload!r} was refused and is executed at {index}")

    def member_leads(self, member: str, term: int) -> None:
        """Election safety (Raft paper, §5.2)."""
        if self.leaders.setdefault(term, member) != member:
            raise Violation(f"election safety: {self.leaders[term]} and {member} lead term {term}")

    def caller_told(self, payload: bytes, kind: str, index: int, reply: object) -> None:
        """A caller is told once, and the truth."""
        if payload in self.acknowledged or payload in self.refused or payload in self.unknown:
            raise Violation(f"the caller of {payload!r} was told twice")
        if kind == "applied":
            self.acknowledged[payload] = index
            if reply != payload or self.applied.get(index, (0, b""))[1] != payload:
                raise Violation(f"the caller of {payload!r} was told of entry {index}: {reply!r}")
        elif kind == "refused":
            self.refused.add(payload)
            if payload in self.index_of:
                raise Violation(f"{payload!r} was refused and is executed")
        else:
            self.unknown.add(payload)

    def newest_acknowledged(self) -> int:
        """What a read that begins now must at least see."""
        return max(self.acknowledged.values(), default=0)

    def read_answered(self, floor: int, index: int) -> None:
        """Linearizable reads: what was acknowledged before the read began is in its answer."""
        self.reads += 1
        if index < floor:
            raise Violation(f"a read begun after entry {floor} was answered at {index}")

    def members_agree(self, seen: dict[str, list[bytes]]) -> None:
        """At the end, with all faults over: the same state everywhere, with all acknowledged."""
        longest = max(seen.values(), key=len)
        for member, payloads in seen.items():
            if payloads != longest:
                raise Violation(f"{member} holds {len(payloads)} of {len(longest)} entries")
        held = set(longest)
        lost = [payload for payload in self.acknowledged if payload not in held]
        if lost:
            raise Violation(f"acknowledged and lost: {lost[:5]}")
