"""The pure rules, each against its section of the Raft paper or of Ongaro's dissertation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftcoord.consensus.clock import MAX_STEP, ClusterClock
from raftcoord.consensus.elections import (
    LogEnd,
    grants_pre_vote,
    grants_vote,
    is_quorum,
    stagger,
)
from raftcoord.consensus.membership import (
    Configuration,
    ConfigurationHistory,
    Member,
    decode_configuration,
    encode_configuration,
    is_single_change,
)
from raftcoord.consensus.replication import (
    AppendPlan,
    committed_index,
    next_after_answer,
    plan_append,
)

ABC = frozenset("ABC")


@pytest.mark.parametrize(
    ("ids", "voters", "quorum"),
    [
        ("A", "A", True),
        ("A", "ABC", False),
        ("AB", "ABC", True),
        ("AXY", "ABC", False),  # strangers do not count
        ("AB", "ABCD", False),
        ("ABC", "ABCD", True),
        ("AAAB", "ABCDE", False),  # nor does anybody twice
        ("", "", False),  # a node that knows no members decides nothing
    ],
)
def test_section_5_2_a_majority_of_the_voters(ids: str, voters: str, quorum: bool) -> None:
    assert is_quorum(list(ids), frozenset(voters)) is quorum


@pytest.mark.parametrize(
    ("mine", "theirs", "granted"),
    [
        ((2, 5), (2, 5), True),
        ((2, 5), (2, 4), False),
        ((2, 5), (3, 1), True),  # a later term beats a longer log
        ((3, 1), (2, 9), False),
    ],
)
def test_section_5_4_1_up_to_date(
    mine: tuple[int, int], theirs: tuple[int, int], granted: bool
) -> None:
    assert granted is grants_vote(
        asked_term=4,
        term=4,
        voted_for=None,
        candidate="B",
        mine=LogEnd(*mine),
        theirs=LogEnd(*theirs),
    )


def test_section_5_2_one_vote_in_a_term() -> None:
    end = LogEnd(1, 1)
    ask = {"asked_term": 4, "term": 4, "mine": end, "theirs": end}
    assert grants_vote(voted_for=None, candidate="B", **ask)
    assert grants_vote(voted_for="B", candidate="B", **ask)
    assert not grants_vote(voted_for="C", candidate="B", **ask)
    assert not grants_vote(voted_for=None, candidate="B", **{**ask, "asked_term": 3})


def test_dissertation_9_6_pre_vote_disturbs_no_leader_that_is_heard() -> None:
    end = LogEnd(1, 1)
    ask = {"mine": end, "theirs": end, "term": 4}
    assert grants_pre_vote(next_term=5, leader_heard=False, **ask)
    assert not grants_pre_vote(next_term=5, leader_heard=True, **ask)
    assert not grants_pre_vote(next_term=4, leader_heard=False, **ask)


def test_followers_of_a_dead_leader_campaign_one_after_the_other() -> None:
    waits = [stagger(name, ABC, "A", 0.03) for name in "BC"]
    assert 0 < waits[0] < 0.01
    assert waits[1] == pytest.approx(waits[0] + 0.03)


TERMS = st.lists(st.integers(1, 4), min_size=0, max_size=8).map(sorted)


def term_at(terms: list[int]):  # the log begins with a placeholder (0, 0)
    return lambda index: ([0, *terms])[index] if 0 <= index <= len(terms) else None


@given(TERMS, TERMS, st.integers(0, 8), st.integers(0, 8), st.data())
def test_section_5_3_log_matching(
    mine: list[int], theirs: list[int], prev: int, count: int, data: st.DataObject
) -> None:
    """Whatever both logs are: after a successful append they agree up to the match, nothing
    that agreed already was cut, and nothing committed is ever cut."""
    prev = min(prev, len(theirs))
    agree = 0
    while agree < min(len(mine), len(theirs)) and mine[agree] == theirs[agree]:
        agree += 1
    commit = data.draw(st.integers(0, agree))
    sent = [(b"", prev + 1 + n, term) for n, term in enumerate(theirs[prev : prev + count])]
    plan = plan_append(
        first=0,
        last=len(mine),
        term_at=term_at(mine),
        commit=commit,
        prev_index=prev,
        prev_term=term_at(theirs)(prev) or 0,
        entries=sent,
    )
    if not plan.ok:
        assert plan.cut is None
        assert not plan.add
        assert commit < plan.index <= max(prev, len(mine) + 1)
        return
    after = mine[: plan.cut - 1] if plan.cut is not None else list(mine)
    if plan.cut is not None:
        assert plan.cut > commit
        assert mine[plan.cut - 1] != theirs[plan.cut - 1]
    for _, index, term in plan.add:
        assert index == len(after) + 1
        after.append(term)
    assert plan.index == prev + len(sent)
    assert after[prev : plan.index] == theirs[prev : plan.index]


def test_section_5_3_a_repeated_append_cuts_nothing() -> None:
    sent = [(b"", 1, 1), (b"", 2, 1)]
    plan = plan_append(
        first=0,
        last=4,
        term_at=term_at([1, 1, 1, 1]),
        commit=0,
        prev_index=0,
        prev_term=0,
        entries=sent,
    )
    assert plan == AppendPlan(True, 2)


def test_section_7_entries_behind_a_snapshot_are_known_to_match() -> None:
    base = {"first": 10, "last": 12, "term_at": lambda i: 2 if 10 <= i <= 12 else None}
    old = plan_append(**base, commit=10, prev_index=3, prev_term=1, entries=[(b"", 4, 1)])
    assert old == AppendPlan(True, 10)
    across = [(b"", n, 2) for n in range(4, 14)]
    plan = plan_append(**base, commit=10, prev_index=3, prev_term=1, entries=across)
    assert plan == AppendPlan(True, 13, None, [(b"", 13, 2)])


@pytest.mark.parametrize(
    ("match", "term", "committed"),
    [
        ({"A": 5, "B": 4, "C": 1}, 2, 4),
        ({"A": 5, "B": 1, "C": 1}, 2, 1),
        ({"A": 5, "X": 5, "B": 1}, 2, 1),  # a learner's copy does not count
        ({"A": 0, "B": 5, "C": 5}, 2, 5),  # nor does the leader's own before its sync
        ({"A": 5, "B": 5, "C": 5}, 3, 1),  # §5.4.2: entries of an older term are not counted
    ],
)
def test_section_5_4_2_commit(match: dict[str, int], term: int, committed: int) -> None:
    index = committed_index(match=match, voters=ABC, commit=1, term=term, term_at=lambda _: 2)
    assert index == committed


def test_next_index_never_falls_below_what_was_acknowledged() -> None:
    assert next_after_answer(ok=True, index=3, match=5, next_index=9, last=9) == (5, 9)
    assert next_after_answer(ok=True, index=9, match=5, next_index=7, last=9) == (9, 10)
    assert next_after_answer(ok=False, index=2, match=5, next_index=9, last=9) == (5, 6)
    assert next_after_answer(ok=False, index=99, match=0, next_index=10, last=9) == (0, 10)


def test_a_refusal_only_lowers_the_next_index() -> None:
    """Else the refusals of two appends that are under way at once take turns for ever."""
    assert next_after_answer(ok=False, index=2, match=0, next_index=9, last=9) == (0, 2)
    assert next_after_answer(ok=False, index=3, match=0, next_index=2, last=9) == (0, 2)


def configuration(voters: str, learners: str = "") -> Configuration:
    members = {n: Member(f"{n}:1", f"{n}:2", voter=n in voters) for n in sorted(voters + learners)}
    return Configuration(members)


def test_dissertation_4_1_one_voter_at_a_time() -> None:
    abc = configuration("ABC")
    assert is_single_change(abc, configuration("ABCD"))
    assert is_single_change(abc, configuration("AB"))
    assert is_single_change(abc, configuration("ABC", "DE"))
    assert not is_single_change(abc, configuration("ABCDE"))
    assert not is_single_change(abc, configuration("ABD"))
    assert not is_single_change(configuration("A"), configuration("", "A"))


def test_a_configuration_is_undone_with_its_entry() -> None:
    history = ConfigurationHistory()
    history.append(1, configuration("ABC"))
    history.append(7, configuration("ABCD"))
    assert history.current.voters == frozenset("ABCD")
    assert history.at(6).voters == ABC
    history.cut(7)
    assert (history.current.voters, history.index) == (ABC, 1)
    history.reset(20, configuration("AB"))
    assert history.current.voters == frozenset("AB")
    assert decode_configuration(encode_configuration(history.current)) == history.current


@given(st.lists(st.floats(0, 30), max_size=30))
def test_the_clock_takes_short_steps_and_never_falls(pauses: list[float]) -> None:
    clock, now, last = ClusterClock(), 50.0, 7_000
    clock.start(7_000, now)
    for pause in pauses:
        now += pause
        time = clock.read(now)
        assert last <= time <= last + MAX_STEP
        last = time
    assert last <= 7_000 + (now - 50.0) * 1000 + 1


def test_the_clock_loses_no_part_of_a_millisecond() -> None:
    clock, now = ClusterClock(), 0.0
    clock.start(0, now)
    for _ in range(10_000):
        now += 0.0007
        clock.read(now)
    assert abs(clock.read(now) - 7_000) <= 1
