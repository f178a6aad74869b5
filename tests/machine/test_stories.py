"""The stories: one text file a rule, in which what came of each line is the expectation.

Each is told twice: to one machine, and to one that is packed and restored before every entry.
With RAFTCOORD_REWRITE_STORIES=1 the files are written anew; what changed is then to be read
against API.md by a person.
"""

import os
from pathlib import Path

import pytest

from tests.machine.story import Story

STORIES = sorted(Path(__file__).with_name("stories").glob("*.txt"))


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
@pytest.mark.parametrize("restoring", [False, True], ids=["plain", "restored"])
def test_story(path: Path, restoring: bool) -> None:
    expected = path.read_text()
    told = Story(restoring=restoring).run(expected)
    if os.environ.get("RAFTCOORD_REWRITE_STORIES") and not restoring:
        path.write_text(told)
        return
    assert told == expected


def test_there_are_stories() -> None:
    assert len(STORIES) >= 17
