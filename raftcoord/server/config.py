"""What a node is told: a TOML file, the environment, flags; a flag wins over the environment, the
environment over the file.

Every key but the members' addresses can come from each of the three: `http.port` is
`RAFTCOORD_HTTP_PORT` and `--http-port`. Whatever is wrong stops the start with one sentence that
names the key, where it was read, and what is allowed.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raftcoord.errors import ConfigInvalid
from raftcoord.server.config_keys import KEYS, Key, address_problem, is_loopback, name_problem

PREFIX = "RAFTCOORD_"
MIN_SECRET = 16
"""Bytes."""


@dataclass(frozen=True)
class HttpConfig:
    """Where callers come in. hosts: names they may use for it, besides the addresses."""

    host: str = "127.0.0.1"
    port: int = 8080
    hosts: tuple[str, ...] = ()
    simple: bool = True


@dataclass(frozen=True)
class PeersConfig:
    """Where the other members come in, and the secret that all of them know."""

    host: str = "127.0.0.1"
    port: int = 18080
    secret: bytes = b""


@dataclass(frozen=True)
class RaftConfig:
    """Times in seconds; segment_bytes: the size of a journal file; snapshot_bytes: of the log
    behind a snapshot when the next is taken; keep_entries: that stay in the log behind it."""

    election_timeout: float = 0.5
    heartbeat: float = 0.05
    segment_bytes: int = 16 << 20
    snapshot_bytes: int = 64 << 20
    keep_entries: int = 10_000


@dataclass(frozen=True)
class Config:
    """Everything. members: id → (peer address, HTTP address), "host:port" each."""

    id: str
    data: str
    cluster: str
    members: dict[str, tuple[str, str]]
    http: HttpConfig = field(default_factory=HttpConfig)
    peers: PeersConfig = field(default_factory=PeersConfig)
    raft: RaftConfig = field(default_factory=RaftConfig)


@dataclass(frozen=True)
class _Found:
    """A value and where it was read."""

    value: Any
    source: str


def load(
    path: str | None, environment: Mapping[str, str], flags: Mapping[str, Any] | None = None
) -> Config:
    """The configuration of a member.

    Args:
        path: the TOML file; without one, everything comes from the other two.
        flags: key ("http.port") → text or value, for those that were given.

    Raises:
        ConfigInvalid: one sentence with the key, where it was read, and what is allowed.
    """
    document = _read_file(path)
    members = _members(document, path)
    found = _from_file(document, path)
    found.update(_from_environment(environment))
    for name, value in (flags or {}).items():
        source = f"flag {KEYS[name].flag}"
        parsed = KEYS[name].parse(value) if isinstance(value, str) else value
        found[name] = _Found(_check(KEYS[name], parsed, source), source)
    return _build(found, members, path)


def development(data: str, port: int, secret: bytes) -> Config:
    """A cluster of one on this machine, for `serve --dev`; nobody else can join it."""
    return Config(
        id="dev",
        data=data,
        cluster="dev",
        members={"dev": ("127.0.0.1:0", f"127.0.0.1:{port}")},
        http=HttpConfig(port=port),
        peers=PeersConfig(port=0, secret=secret),
    )


def _read_file(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigInvalid(
            f"the configuration file {path} cannot be read: {error.strerror}", field="config"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"{path} is not TOML: {error}", field="config") from error


def _members(document: dict[str, Any], path: str | None) -> dict[str, tuple[str, str]]:
    """Take `cluster.members` out of the document."""
    cluster = document.get("cluster")
    if not isinstance(cluster, dict) or "members" not in cluster:
        raise _invalid(
            "cluster.members",
            path or "no configuration file",
            "is missing",
            'a table for each member with "peer" and "http" as "host:port"',
        )
    table = cluster.pop("members")
    if not isinstance(table, dict):
        raise _invalid("cluster.members", path, "is not a table", "a table for each member")
    members = {}
    for name, entry in table.items():
        key = f"cluster.members.{name}"
        if (problem := name_problem(name)) is not None:
            raise _invalid(key, path, problem, "letters, digits, - and _, at most 64")
        if not isinstance(entry, dict):
            raise _invalid(key, path, "is not a table", 'a table with "peer" and "http"')
        for unknown in entry.keys() - {"peer", "http"}:
            raise _invalid(f"{key}.{unknown}", path, "is unknown", '"peer" and "http"')
        members[name] = (
            _address(entry, f"{key}.peer", "peer", path),
            _address(entry, f"{key}.http", "http", path),
        )
    _refuse_shared_addresses(members, path)
    return members


def _address(entry: dict[str, Any], key: str, word: str, path: str | None) -> str:
    value = entry.get(word)
    if value is None:
        raise _invalid(key, path, "is missing", '"host:port"')
    if not isinstance(value, str) or (problem := address_problem(value)) is not None:
        what = problem if isinstance(value, str) else "is not text"
        raise _invalid(key, path, f"{value!r} {what}", '"host:port" with a port from 1 to 65535')
    return value


def _refuse_shared_addresses(members: dict[str, tuple[str, str]], path: str | None) -> None:
    owners: dict[str, str] = {}
    for name, addresses in members.items():
        for address in addresses:
            if address in owners:
                raise _invalid(
                    f"cluster.members.{name}",
                    path,
                    f"has the address {address} of {owners[address]}",
                    "an address of its own for each member's peer and http",
                )
            owners[address] = name


def _from_file(document: dict[str, Any], path: str | None) -> dict[str, _Found]:
    found = {}
    sections = sorted({key.section for key in KEYS.values()})
    for section, table in document.items():
        if section not in sections:
            raise _invalid(section, path, "is unknown", ", ".join(f"[{name}]" for name in sections))
        if not isinstance(table, dict):
            raise _invalid(section, path, "is not a table", f"a table [{section}]")
        for word, value in table.items():
            name = f"{section}.{word}"
            if name not in KEYS:
                known = sorted(key.name for key in KEYS.values() if key.section == section)
                raise _invalid(name, path, "is unknown", ", ".join(known))
            checked = _check(KEYS[name], value, str(path))
            if KEYS[name].kind == "path":
                # What a file names lies beside it, wherever the node is started from.
                checked = str(Path(str(path)).resolve().parent / checked)
            found[name] = _Found(checked, str(path))
    return found


def _from_environment(environment: Mapping[str, str]) -> dict[str, _Found]:
    by_variable = {key.variable(PREFIX): key for key in KEYS.values()}
    ours = tuple(f"{PREFIX}{key.section.upper()}_" for key in KEYS.values())
    found = {}
    for variable, text in environment.items():
        key = by_variable.get(variable)
        if key is not None:
            source = f"environment {variable}"
            found[str(key)] = _Found(_check(key, key.parse(text), source), source)
        elif variable.startswith(ours):
            raise _invalid(variable, "environment", "is unknown", ", ".join(sorted(by_variable)))
    return found


def _check(key: Key, value: Any, source: str) -> Any:
    problem = key.problem(value)
    if problem is not None:
        raise _invalid(str(key), source, problem, key.allowed)
    return tuple(value) if isinstance(value, list) else value


def _build(
    found: dict[str, _Found], members: dict[str, tuple[str, str]], path: str | None
) -> Config:
    def get(name: str) -> Any:
        key = KEYS[name]
        if name in found:
            return found[name].value
        if key.default is None:
            where = path or "the configuration"
            raise _invalid(
                name, where, "is missing", f"{key.allowed}; also {key.flag}, {key.variable(PREFIX)}"
            )
        return key.default

    me = get("node.id")
    if me not in members:
        raise _invalid(
            "node.id",
            path,
            f"{me!r} is no member of the cluster",
            f"one of cluster.members: {', '.join(members) or 'none is there'}",
        )
    for name in ("http.host", "peers.host"):
        if not is_loopback(get(name)) and not get("node.allow_plaintext"):
            raise _invalid(
                name,
                found[name].source,
                f"{get(name)} is not a loopback address, and traffic is not encrypted",
                "127.0.0.1, ::1 or localhost; any other with node.allow_plaintext = true",
            )
    if get("raft.heartbeat") * 3 > get("raft.election_timeout"):
        raise _invalid(
            "raft.heartbeat",
            path,
            f"{get('raft.heartbeat')} is too long",
            "at most a third of raft.election_timeout",
        )
    return Config(
        id=me,
        data=get("node.data"),
        cluster=get("cluster.name"),
        members=members,
        http=HttpConfig(
            get("http.host"), get("http.port"), get("http.hosts"), get("http.simple_protocol")
        ),
        peers=PeersConfig(
            get("peers.host"), get("peers.port"), _read_secret(get("peers.secret_file"))
        ),
        raft=RaftConfig(
            get("raft.election_timeout"),
            get("raft.heartbeat"),
            get("raft.segment_bytes"),
            get("raft.snapshot_bytes"),
            get("raft.keep_entries"),
        ),
    )


def _read_secret(path: str) -> bytes:
    try:
        secret = Path(path).read_bytes().strip()
    except OSError as error:
        raise _invalid(
            "peers.secret_file", path, f"cannot be read: {error.strerror}", "a readable file"
        ) from error
    if len(secret) < MIN_SECRET:
        raise _invalid(
            "peers.secret_file",
            path,
            f"holds {len(secret)} bytes",
            f"at least {MIN_SECRET} bytes, the same for every member",
        )
    return secret


def _invalid(key: str, source: str | None, problem: str, allowed: str) -> ConfigInvalid:
    return ConfigInvalid(
        f"{key} ({source or 'the configuration'}): {problem}; allowed: {allowed}",
        field=key,
        allowed=allowed,
    )
