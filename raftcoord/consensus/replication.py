"""What an append changes, and what is committed. Pure functions on plain values.

Source: Raft paper, §5.3 (log matching), §5.4.2 (a leader commits by counting only entries of
its own term), §7 (logs that begin behind a snapshot).
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

Entry = tuple[bytes, int, int]
"""(command, index, term), as PySyncObj keeps it."""

TermAt = Callable[[int], int | None]
"""The term of the entry at an index; None where the log does not reach."""


class AppendPlan(msgspec.Struct, frozen=True):
    """What a follower does with an append.

    ok: the log now matches the leader's up to `index`; else `index` is where to try next.
    cut: delete the entries from this index on first; None: nothing conflicts.
    add: then append these.
    """

    ok: bool
    index: int
    cut: int | None = None
    add: Sequence[Entry] = ()


def plan_append(
    *,
    first: int,
    last: int,
    term_at: TermAt,
    commit: int,
    prev_index: int,
    prev_term: int,
    entries: Sequence[Entry],
) -> AppendPlan:
    """Decide on an append of `entries` behind (prev_index, prev_term).

    Only a real conflict cuts the log, so that a late or repeated append never takes back what
    was acknowledged (§5.3, last paragraph of "receiver implementation", step 3). Entries up to
    `first` are behind a snapshot, hence committed, hence the leader's too.
    """
    if prev_index < first:
        known = first - prev_index
        if len(entries) <= known:
            return AppendPlan(True, first)
        entries = entries[known:]
        prev_index = first
    elif prev_index > last:
        return AppendPlan(False, last + 1)
    elif term_at(prev_index) != prev_term:
        # Skip the whole conflicting term in one answer, but never below what is committed.
        conflicting = term_at(prev_index)
        index = prev_index
        while index > first + 1 and term_at(index - 1) == conflicting:
            index -= 1
        return AppendPlan(False, max(index, commit + 1))
    match = prev_index + len(entries)
    for position, (_, index, term) in enumerate(entries):
        if index > last:
            return AppendPlan(True, match, None, entries[position:])
        if term_at(index) != term:
            return AppendPlan(True, match, index, entries[position:])
    return AppendPlan(True, match)


def committed_index(
    *, match: Mapping[str, int], voters: frozenset[str], commit: int, term: int, term_at: TermAt
) -> int:
    """The leader's commit index after it counted `match` (§5.3, §5.4.2).

    match: durable log index by member; the leader's own is what it has synced, not what it
    appended. Members that are not voters do not count.
    """
    if not voters:
        return commit
    ranked = sorted((match.get(voter, 0) for voter in voters), reverse=True)
    index = ranked[len(voters) // 2]
    return index if index > commit and term_at(index) == term else commit


def next_after_answer(
    *, ok: bool, index: int, match: int, next_index: int, last: int
) -> tuple[int, int]:
    """The follower's (match, next) after its answer; neither falls below what it acknowledged.

    A refusal only lowers next: of several appends under way the later ones are refused because
    the first one was, and what they ask for is known not to match.
    """
    if ok:
        match = max(match, min(index, last))
        return match, max(next_index, match + 1)
    return match, max(match + 1, min(index, next_index, last + 1))
