"""What the tests of the front door share."""

import pytest


@pytest.fixture(params=[True, False], ids=["hot", "long"])
def each_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with and without the short way of plain requests for locks."""
    monkeypatch.setattr("tests.server.house.HOT", request.param)
