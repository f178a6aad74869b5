"""The command line: what cannot be started is one sentence and an exit code."""

from typing import Any

import pytest
from click.testing import CliRunner

import raftcoord.cli
from raftcoord.server.config import Config


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Config, str]]:
    """What would have been started."""
    started: list[tuple[Config, str]] = []

    def run(config: Config, start: str) -> int:
        started.append((config, start))
        return 0

    monkeypatch.setattr(raftcoord.cli, "run", run)
    return started


def serve(*arguments: str) -> Any:
    return CliRunner().invoke(raftcoord.cli.main, ["serve", *arguments])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--config", "nowhere.toml"], "nowhere.toml"),
        (["--dev", "--port", "many"], "http.port"),
        (["--dev", "--port", "0"], "http.port"),
        (["--dev", "--cluster-name", "x"], "cluster.name"),
        (["--dev", "--config", "x.toml"], "config"),
        (["--init", "--join"], "exclude"),
        ([], "cluster.members"),
    ],
)
def test_a_wrong_configuration_is_one_sentence(
    ran: list[tuple[Config, str]], arguments: list[str], said: str
) -> None:
    result = serve(*arguments)
    assert result.exit_code == 78
    assert said in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert ran == []


def test_a_cluster_of_one_is_made_where_it_is_not_there(ran: list[tuple[Config, str]]) -> None:
    assert serve("--dev", "--port", "9090", "--data", "somewhere").exit_code == 0
    config, start = ran[0]
    assert (config.http.port, config.data, start) == (9090, "somewhere", "init")
    assert len(config.peers.secret) >= 32


@pytest.mark.parametrize(
    ("arguments", "start"), [([], "normal"), (["--init"], "init"), (["--join"], "join")]
)
def test_a_member_starts_as_it_is_told(
    ran: list[tuple[Config, str]], tmp_path: Any, arguments: list[str], start: str
) -> None:
    (tmp_path / "secret").write_text("0123456789abcdef")
    (tmp_path / "n1.toml").write_text(
        '[node]\nid = "n1"\ndata = "n1"\n[peers]\nsecret_file = "secret"\n'
        '[cluster]\nname = "t"\n[cluster.members.n1]\n'
        'peer = "127.0.0.1:18080"\nhttp = "127.0.0.1:8080"\n'
    )
    flags = ["--config", str(tmp_path / "n1.toml"), "--http-port", "8888", *arguments]
    result = serve(*flags, "--no-http-simple-protocol")
    assert result.exit_code == 0, result.output
    config, how = ran[0]
    assert (config.http.port, config.http.simple, how) == (8888, False, start)


def test_help_names_every_key() -> None:
    said = serve("--help").output
    for flag in ("--config", "--init", "--join", "--dev", "--http-port", "--raft-heartbeat"):
        assert flag in said
