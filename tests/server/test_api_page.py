"""docs/api.md names exactly the routes and the errors that exist."""

import re
from pathlib import Path

from raftcoord.errors import ERRORS, NodeError
from raftcoord.server.app import V1
from raftcoord.server.routes import simple

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()


def test_every_route_is_on_the_page() -> None:
    listed = set(re.findall(r"^\| `(\w+) (\S+)` \|", PAGE, re.M))
    assert listed == {(route.method, route.path) for route in (*V1, *simple.ROUTES)}


def test_every_error_is_on_the_page() -> None:
    listed = dict(re.findall(r"^\| `([a-z-]+)` \| (\d+) \|", PAGE, re.M))
    answered = {s: e for s, e in ERRORS.items() if not issubclass(e, NodeError)}
    assert listed == {slug: str(error.status) for slug, error in answered.items()}
