"""Every deliberate fault in our own code is caught, as docs/mutations.md says."""

from pathlib import Path

import pytest

from chaos.mutation import table
from chaos.mutation.catalogue import MUTATIONS
from chaos.mutation.hunt import CRASH, Finding, Hunt
from chaos.simulation.outcome import Broken
from chaos.simulation.pool import cores

PAGE = Path(__file__).parents[2] / "docs" / "mutations.md"


@pytest.fixture(scope="module")
def rows() -> list[table.Row]:
    """The page's table."""
    return table.read(PAGE)


def test_the_page_names_exactly_the_mutations_that_there_are(rows: list[table.Row]) -> None:
    said = [(row.name, row.room, row.breaks) for row in rows]
    assert said == [(each.name, each.room, each.breaks) for each in MUTATIONS.values()]
    assert PAGE.read_text() == table.page(rows)


def test_the_page_promises_no_more_seeds_than_each_allows_itself(rows: list[table.Row]) -> None:
    assert [row.name for row in rows if row.needed > MUTATIONS[row.name].within] == []
    judged = [row for row in rows if row.judge != CRASH]
    assert len(judged) >= 45, "most of them are to be caught by judges, not by assertions"


def test_every_mutation_is_caught_within_its_seeds(rows: list[table.Row]) -> None:
    firsts = {row.name: row.seed for row in rows}
    findings = Hunt(MUTATIONS.values(), cores(), firsts).go()
    missed = [finding.mutation.name for finding in findings if finding.broken is None]
    assert missed == []


def test_the_code_as_it_is_passes_in_the_same_worlds(rows: list[table.Row]) -> None:
    worlds = {}
    for row in rows:
        finding = Finding(MUTATIONS[row.name], row.seed, 1)
        finding.heard(row.seed, Broken(row.judge, "as the page says", 0.0))
        worlds.setdefault(str(finding.mutation.profile), finding)
    assert Hunt([], cores()).control(worlds.values()) == []
