"""Configuration: where values come from, and one sentence for each thing that is wrong."""

from pathlib import Path
from typing import Any

import pytest

from raftcoord.errors import ConfigInvalid
from raftcoord.server.config import Config, development, load
from raftcoord.server.config_keys import KEYS

GOOD = """
[node]
id = "n1"
data = "n1"
[http]
port = 8080
[peers]
port = 18080
secret_file = "secret"
[cluster]
name = "local"
[cluster.members.n1]
peer = "127.0.0.1:18080"
http = "127.0.0.1:8080"
[cluster.members.n2]
peer = "127.0.0.1:18081"
http = "127.0.0.1:8081"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(b"0123456789abcdef\n")
    return tmp_path


def loaded(
    folder: Path,
    text: str = GOOD,
    environment: dict[str, str] | None = None,
    flags: dict[str, Any] | None = None,
) -> Config:
    path = folder / "n1.toml"
    path.write_text(text)
    return load(str(path), environment or {}, flags)


def test_a_file_says_everything(folder: Path) -> None:
    config = loaded(folder)
    assert (config.id, config.cluster) == ("n1", "local")
    assert config.data == str(folder / "n1")
    assert (config.http.host, config.http.port, config.http.simple) == ("127.0.0.1", 8080, True)
    assert config.peers.secret == b"0123456789abcdef"
    assert config.members["n2"] == ("127.0.0.1:18081", "127.0.0.1:8081")
    assert config.raft.election_timeout == 0.5


def test_flags_win_over_the_environment_and_that_over_the_file(folder: Path) -> None:
    environment = {
        "RAFTCOORD_HTTP_PORT": "8181",
        "RAFTCOORD_RAFT_HEARTBEAT": "0.1",
        "RAFTCOORD_HTTP_HOSTS": "a.example, b.example",
        "RAFTCOORD_HTTP_SIMPLE_PROTOCOL": "false",
        "UNRELATED": "x",
        "RAFTCOORD_FAILED_CHECKS": "",
    }
    config = loaded(folder, environment=environment)
    assert (config.http.port, config.raft.heartbeat) == (8181, 0.1)
    assert (config.http.hosts, config.http.simple) == (("a.example", "b.example"), False)
    config = loaded(folder, environment=environment, flags={"http.port": "8282"})
    assert (config.http.port, config.raft.heartbeat) == (8282, 0.1)


def test_paths_of_a_file_lie_beside_it_and_others_where_one_stands(folder: Path) -> None:
    config = loaded(folder, environment={"RAFTCOORD_NODE_DATA": "here"})
    assert config.data == "here"


@pytest.mark.parametrize(
    ("old", "new", "key", "said"),
    [
        ("port = 8080", "port = 0", "http.port", "1 to 65535"),
        ("port = 8080", "port = 65536", "http.port", "1 to 65535"),
        ("port = 8080", 'port = "8080"', "http.port", "whole number"),
        ("port = 8080", "port = true", "http.port", "whole number"),
        ("port = 8080", "port = 8080.0", "http.port", "whole number"),
        ("port = 8080", "prot = 8080", "http.prot", "unknown"),
        ("[http]", "[htp]", "htp", "unknown"),
        ("[node]", "raft = 1\n[node]", "raft", "table"),
        ('id = "n1"', "", "node.id", "missing"),
        ('id = "n1"', 'id = "n3"', "node.id", "n1, n2"),
        ('id = "n1"', 'id = "n 1"', "node.id", "letters"),
        ('id = "n1"', "id = 1", "node.id", "text"),
        ('data = "n1"', 'data = ""', "node.data", "empty"),
        ('data = "n1"', "", "node.data", "RAFTCOORD_NODE_DATA"),
        ('name = "local"', "", "cluster.name", "missing"),
        ('secret_file = "secret"', 'secret_file = "nowhere"', "peers.secret_file", "read"),
        ('secret_file = "secret"', 'secret_file = "short"', "peers.secret_file", "at least 16"),
        ('secret_file = "secret"', "", "peers.secret_file", "missing"),
        ('peer = "127.0.0.1:18081"', "", "cluster.members.n2.peer", "missing"),
        ('peer = "127.0.0.1:18081"', "peer = 18081", "cluster.members.n2.peer", "host:port"),
        ('peer = "127.0.0.1:18081"', 'peer = "n2"', "cluster.members.n2.peer", "host:port"),
        ('peer = "127.0.0.1:18081"', 'peer = "n2:0"', "cluster.members.n2.peer", "65535"),
        ('peer = "127.0.0.1:18081"', 'peer = "n2:99999"', "cluster.members.n2.peer", "65535"),
        ('peer = "127.0.0.1:18081"', 'peer = "127.0.0.1:18080"', "cluster.members.n2", "n1"),
        ("[cluster.members.n2]", "[cluster.members.n2]\nweight = 1", "n2.weight", "unknown"),
        ("[cluster.members.n2]", '[cluster.members."n 2"]', "cluster.members.n 2", "letters"),
        ("[http]", '[http]\nhost = "0.0.0.0"', "http.host", "allow_plaintext"),
        ("[http]", '[http]\nhost = "no host"', "http.host", "host name"),
        ("[peers]", '[peers]\nhost = "10.0.0.1"', "peers.host", "allow_plaintext"),
        ("[http]", "[http]\nsimple_protocol = 1", "http.simple_protocol", "true or false"),
        ("[http]", '[http]\nhosts = "a"', "http.hosts", "list"),
        ("[http]", '[http]\nhosts = ["a b"]', "http.hosts", "list"),
        ("[http]", "[raft]\nheartbeat = nan\n[http]", "raft.heartbeat", "0.005"),
        ("[http]", "[raft]\nheartbeat = 0.4\n[http]", "raft.heartbeat", "third"),
        ("[http]", "[raft]\nelection_timeout = 0\n[http]", "raft.election_timeout", "0.05"),
        ("[http]", "[raft]\nsegment_bytes = 1\n[http]", "raft.segment_bytes", "65536"),
        ("[http]", "[http", "config", "TOML"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    folder: Path, old: str, new: str, key: str, said: str
) -> None:
    (folder / "short").write_text("short")
    assert old in GOOD
    with pytest.raises(ConfigInvalid) as raised:
        loaded(folder, GOOD.replace(old, new))
    error = raised.value
    assert error.exit_code == 78
    assert "\n" not in error.detail.strip() or key == "config"
    assert error.fields["field"].endswith(key)
    assert said in error.detail
    assert (
        "n1.toml" in error.detail
        or "secret" in error.detail
        or "short" in error.detail
        or ("nowhere" in error.detail)
    )


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("RAFTCOORD_HTTP_PORT", "http"),
        ("RAFTCOORD_HTTP_PORT", "-1"),
        ("RAFTCOORD_HTTP_PROT", "8080"),
        ("RAFTCOORD_RAFT_HEARTBEAT", "fast"),
        ("RAFTCOORD_RAFT_HEARTBEAT", "nan"),
        ("RAFTCOORD_HTTP_SIMPLE_PROTOCOL", "perhaps"),
    ],
)
def test_the_environment_is_checked_as_well(folder: Path, variable: str, text: str) -> None:
    with pytest.raises(ConfigInvalid) as raised:
        loaded(folder, environment={variable: text})
    assert variable in raised.value.detail


def test_flags_are_checked_as_well(folder: Path) -> None:
    with pytest.raises(ConfigInvalid) as raised:
        loaded(folder, flags={"http.port": "many"})
    assert "flag --http-port" in raised.value.detail


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid) as raised:
        load(str(tmp_path / "none.toml"), {})
    assert "none.toml" in raised.value.detail


def test_without_a_file_the_members_are_missing() -> None:
    with pytest.raises(ConfigInvalid) as raised:
        load(None, {"RAFTCOORD_NODE_ID": "n1"})
    assert raised.value.fields["field"] == "cluster.members"


def test_plaintext_beyond_this_machine_has_to_be_allowed(folder: Path) -> None:
    text = GOOD.replace("[http]", '[http]\nhost = "0.0.0.0"')
    assert loaded(folder, text, flags={"node.allow_plaintext": True}).http.host == "0.0.0.0"


def test_a_cluster_of_one_needs_nothing() -> None:
    config = development(".dev", 8080, b"x" * 32)
    assert list(config.members) == [config.id]
    assert (config.http.port, config.peers.port) == (8080, 0)


def test_every_key_says_what_it_is() -> None:
    for key in KEYS.values():
        assert key.help
        assert key.allowed
        assert key.default is None or key.problem(key.default) is None
