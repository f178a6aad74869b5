"""Patches are applied and undone for sure; hunts end where they should; tables are read again."""

import argparse
from pathlib import Path

import pytest

from chaos.history import Unreadable
from chaos.mutation import command, table
from chaos.mutation.catalogue import MUTATIONS
from chaos.mutation.hunt import Finding, Hunt, Try, play, verdict
from chaos.mutation.mutation import Mutation
from chaos.mutation.patching import CannotPatch, Edit, Value, patched
from chaos.simulation.faults import FAULTS
from chaos.simulation.outcome import Broken
from chaos.simulation.pool import Lost
from chaos.workloads import WORKLOADS
from raftcoord.consensus import core, electing, elections, raft
from raftcoord.consensus.elections import grants_vote
from raftcoord.consensus.messages import VoteRequest
from raftcoord.machine import sessions
from tests.chaos import fake_simulation as fake


def vote(mine: int, theirs: int) -> bool:
    """Whether a member whose log ends at `mine` votes for one whose log ends at `theirs`."""
    mine_end, their_end = elections.LogEnd(1, mine), elections.LogEnd(1, theirs)
    return grants_vote(
        asked_term=2, term=2, voted_for=None, candidate="n2", mine=mine_end, theirs=their_end
    )


def test_a_patch_reaches_whoever_holds_the_function_and_is_undone() -> None:
    edit = Edit("consensus.elections:grants_vote", " and theirs >= mine", "")
    assert not vote(5, 3)
    with patched([edit]):
        assert vote(5, 3)  # this module imported it by its name
    assert not vote(5, 3)
    with pytest.raises(ZeroDivisionError), patched([edit]):
        raise ZeroDivisionError
    assert not vote(5, 3)


def test_a_handler_that_stands_in_a_table_is_changed_too() -> None:
    handler = raft._HANDLERS[VoteRequest]
    where = "consensus.electing:Electing.on_vote_request"
    before = handler.__code__
    with patched([Edit(where, "self.rearm()", "self.rearm(), self.rearm()")]):
        assert handler.__code__ is not before
        assert handler.__code__ is electing.Electing.on_vote_request.__code__
    assert handler.__code__ is before


def test_a_method_that_calls_its_parents_can_be_changed() -> None:
    where = "consensus.core:Core.lead_from_here"
    before = core.Core.lead_from_here.__code__
    with patched([Edit(where, "super()._SyncObj__onBecomeLeader()", "super().__class__")]):
        assert core.Core.lead_from_here.__code__.co_freevars == ("__class__",)
    assert core.Core.lead_from_here.__code__ is before


def test_a_value_is_changed_and_put_back() -> None:
    with patched([Value("machine.sessions:ENDING", ("wait",))]):
        assert sessions.ENDING == ("wait",)
    assert sessions.ENDING == ("wait", "transaction", "grant", "member")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (Edit("consensus.elections:grants_vote", "not there", ""), "0 times instead of once"),
        (Edit("consensus.elections:grants_vote", "term", ""), "times instead of once"),
        (Edit("consensus.elections:nobody", "a", "b"), "there is no consensus.elections:nobody"),
        (Edit("consensus.core:Core.nothing", "a", "b"), "there is no consensus.core:Core.nothing"),
        (Edit("consensus.core:Nobody.last", "a", "b"), "there is no consensus.core:Nobody.last"),
        (Edit("consensus.core:LEADER", "2", "3"), "is no function"),
        (Edit("consensus.elections:grants_vote", " and theirs >= mine", "("), "be compiled"),
        (Value("machine.sessions:STARTING", ()), "there is no machine.sessions:STARTING"),
    ],
)
def test_a_patch_that_does_not_fit_is_refused_and_nothing_is_changed(
    change: Edit | Value, why: str
) -> None:
    fits = Edit("consensus.elections:is_quorum", "> len(voters)", "> 0")
    with pytest.raises(CannotPatch, match=why), patched([fits, change]):
        pass
    assert not elections.is_quorum({"a"}, frozenset("abc"))


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_mutation_fits_the_code_and_its_world_exists(name: str) -> None:
    mutation = MUTATIONS[name]
    with patched(mutation.changes):
        pass
    assert set(mutation.profile.faults) <= set(FAULTS)
    assert set(mutation.profile.workloads) <= set(WORKLOADS)
    assert mutation.breaks.endswith(".")
    assert "|" not in mutation.breaks
    assert 1 <= mutation.within <= 100


def test_there_are_enough_of_them_and_of_each_room() -> None:
    rooms = [mutation.room for mutation in MUTATIONS.values()]
    assert len(rooms) >= 45
    for room in ("elections", "replication", "journal", "snapshots", "transport", "gateway"):
        assert rooms.count(room) >= 2, room


# Hunts.


def mutation(name: str, within: int = 5) -> Mutation:
    """One that changes nothing."""
    return Mutation(name, "room", "Nothing.", (), within)


CATCHERS = {"first": 1, "third": 3, "never": 0}


def pretend(attempt: Try) -> fake.Outcome:
    """A run in which the mutation's name says from which seed on it is caught."""
    if attempt.name == "raises":
        raise AssertionError("the product says no")
    at = CATCHERS[attempt.name]
    caught = 0 < at <= attempt.seed and not attempt.control
    return fake.outcome(
        attempt.seed, broken=Broken("tokens", "a token again", 2.0) if caught else None
    )


def test_a_hunt_ends_with_the_lowest_seed_that_catches_or_with_none() -> None:
    told: list[str] = []
    hunt = Hunt([mutation("never"), mutation("third"), mutation("first")], 2, play=pretend)
    findings = {
        item.mutation.name: item for item in hunt.go(lambda f: told.append(f.mutation.name))
    }
    assert (findings["first"].seed, findings["first"].needed) == (1, 1)
    assert (findings["third"].seed, findings["third"].needed) == (3, 3)
    assert (findings["never"].seed, findings["never"].tried) == (None, 5)
    assert findings["never"].broken is None
    assert sorted(told) == ["first", "never", "third"]
    assert hunt.control(findings.values()) == []


def test_a_hunt_begins_where_it_is_told_to() -> None:
    hunt = Hunt([mutation("third")], 1, {"third": 3}, play=pretend)
    (finding,) = hunt.go()
    assert (finding.first, finding.seed, finding.needed) == (3, 3, 1)


def test_an_assertion_of_the_product_counts_as_a_crash() -> None:
    (finding,) = Hunt([mutation("raises")], 1, play=pretend).go()
    assert finding.broken is not None
    assert finding.broken.judge == "crash"
    assert finding.broken.text == "AssertionError: the product says no"
    assert verdict(Lost("")) is not None
    assert verdict(Lost("it took longer than 60 s", late=True)) is None


def test_code_that_breaks_a_rule_as_it_is_is_told() -> None:
    hunt = Hunt([mutation("raises")], 1, play=pretend)
    ((attempt, broken),) = hunt.control(hunt.go())
    assert attempt.control
    assert broken.judge == "crash"


# The table.


def caught(name: str, judge: str, seed: int) -> Finding:
    """A finding."""
    found = Finding(mutation(name), 1, 5)
    found.heard(seed, Broken(judge, "text", 1.0))
    return found


def test_the_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = [table.row_of(caught("a", "tokens", 2)), table.row_of(caught("b", "crash", 1))]
    file = tmp_path / "mutations.md"
    file.write_text(table.page(rows))
    assert table.read(file) == rows
    assert "2 mutations, all caught: 1 by judges (tokens 1), 1 by assertions" in file.read_text()


def test_a_damaged_table_is_refused_with_its_line(tmp_path: Path) -> None:
    rows = [table.row_of(caught("a", "tokens", 2))]
    file = tmp_path / "mutations.md"
    file.write_text(table.page(rows) + "| b | room | what | judge | many | 3 |\n")
    with pytest.raises(Unreadable) as refusal:
        table.read(file)
    assert refusal.value.line == file.read_text().count("\n")


# The command.


def run(*arguments: str) -> int:
    """The exit code of `mutate` with these arguments."""
    parser = argparse.ArgumentParser()
    command.register(parser.add_subparsers(required=True), pretend)
    options = parser.parse_args(["mutate", *arguments])
    return int(options.go(options))


def test_the_list_names_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(MUTATIONS)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--only", "nobody"), "there is no mutation 'nobody'"),
        (("--seeds", "0"), "--seeds 0 is below 1"),
        (("--jobs", "0"), "--jobs 0 is below 1"),
        (("--only", "two-holders", "--write", "page.md"), "leave --only out"),
    ],
)
def test_what_cannot_be_is_refused_with_64(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    assert run(*arguments) == 64
    assert says in capsys.readouterr().err


def test_a_mutation_that_nobody_catches_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    chosen = {name: mutation(name, 2) for name in ("first", "never")}
    monkeypatch.setattr("chaos.mutation.catalogue.MUTATIONS", chosen)
    page = tmp_path / "page.md"
    assert run("--jobs", "1", "--write", str(page)) == 1
    out = capsys.readouterr().out
    assert "first: tokens, seed 1: a token again" in out
    assert "never: NOT CAUGHT by 2 seeds" in out
    assert "1 of 2 mutations were caught; the code passes the same seeds as it is" in out
    assert not page.exists()
    del chosen["never"]
    assert run("--jobs", "1", "--write", str(page)) == 0
    assert [row.name for row in table.read(page)] == ["first"]


@pytest.mark.parametrize(
    ("names", "code", "says"),
    [
        (("first", "third"), 130, "interrupted: 1 mutations were caught, 0 were not, so far"),
        (("never", "third"), 1, "interrupted: 0 mutations were caught, 1 were not, so far"),
    ],
)
def test_who_is_interrupted_says_what_was_caught_so_far(
    names: tuple[str, ...],
    code: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(finding: Finding) -> None:
        raise KeyboardInterrupt

    withins = {"first": 1, "never": 1, "third": 5}
    chosen = {name: mutation(name, withins[name]) for name in names}
    monkeypatch.setattr("chaos.mutation.catalogue.MUTATIONS", chosen)
    monkeypatch.setattr(command, "_tell", interrupted)
    assert run("--jobs", "1") == code
    assert says in capsys.readouterr().out


def test_one_of_them_here_and_now() -> None:
    attempt = Try("two-holders", 1)
    outcome = play(attempt)
    assert outcome.broken is not None
    assert play(Try("two-holders", 1, control=True)).broken is None
