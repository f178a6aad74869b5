"""The keys of the configuration: one table for the file, the environment and the flags."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["name", "path", "host", "port", "names", "switch", "seconds", "bytes", "count"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")

_ALLOWED: dict[Kind, str] = {
    "name": "letters, digits, - _ and ., at most 64, the first a letter or digit",
    "path": "a path",
    "host": "a host name or an IP address",
    "port": "a whole number from 1 to 65535",
    "names": "a list of host names",
    "switch": "true or false",
}


@dataclass(frozen=True)
class Key:
    """One key. low, high: bounds of seconds, bytes and counts. default: None where it must be
    given."""

    section: str
    name: str
    kind: Kind
    help: str
    default: Any = None
    low: float = 0
    high: float = 0

    def __str__(self) -> str:
        return f"{self.section}.{self.name}"

    @property
    def flag(self) -> str:
        """How it is called on the command line."""
        return "--" + f"{self.section}-{self.name}".replace("_", "-")

    def variable(self, prefix: str) -> str:
        """How it is called in the environment."""
        return f"{prefix}{self.section}_{self.name}".upper()

    @property
    def allowed(self) -> str:
        """What it may be, for people."""
        if self.kind in ("seconds", "bytes"):
            return f"a number of {self.kind} from {self.low:g} to {self.high:.0f}"
        if self.kind == "count":
            return f"a whole number from {self.low:g} to {self.high:.0f}"
        return _ALLOWED[self.kind]

    def parse(self, text: str) -> Any:
        """The value that a text of the environment stands for; the text where it is none."""
        if self.kind in ("port", "bytes", "count"):
            return int(text) if text.isascii() and text.isdigit() else text
        if self.kind == "seconds":
            try:
                return float(text)
            except ValueError:
                return text
        if self.kind == "switch":
            return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
        if self.kind == "names":
            return [part.strip() for part in text.split(",") if part.strip()]
        return text

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value; None when it is fine."""
        if self.kind == "switch":
            return None if isinstance(value, bool) else f"{value!r} is not a switch"
        if self.kind == "names":
            texts = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
            wrong = [one for one in value if host_problem(one)] if texts else [value]
            return f"{wrong[0]!r} is not a host name" if wrong else None
        if self.kind in ("seconds", "bytes", "count"):
            return self._range_problem(value)
        if self.kind == "port":
            if not isinstance(value, int) or isinstance(value, bool):
                return f"{value!r} is not a whole number"
            return None if 0 < value <= 65535 else f"{value} is no port"
        if not isinstance(value, str) or not value:
            return f"{value!r} is not text" if value != "" else "is empty"
        if self.kind == "name":
            return name_problem(value)
        if self.kind == "host":
            return host_problem(value)
        return "holds a zero character" if "\0" in value else None

    def _range_problem(self, value: Any) -> str | None:
        numbers = int | float if self.kind == "seconds" else int
        if not isinstance(value, numbers) or isinstance(value, bool):
            return f"{value!r} is not a number"
        # Written so that a NaN, which compares false with everything, is refused.
        return None if self.low <= value <= self.high else f"{value} is out of range"


def name_problem(name: str) -> str | None:
    """What is wrong with the name of a node or a cluster; None when it is fine."""
    return None if _NAME.fullmatch(name) else f"{name!r} is no name"


def host_problem(host: str) -> str | None:
    """What is wrong with a host; None when it is fine."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None if _HOST.fullmatch(host) else f"{host!r} is no host"
    return None


def address_problem(address: str) -> str | None:
    """What is wrong with a "host:port"; None when it is fine."""
    host, colon, port = address.rpartition(":")
    if not colon or host_problem(host.removeprefix("[").removesuffix("]")):
        return "is no host:port"
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) <= 65535):
        return "has no port from 1 to 65535"
    return None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _table(*keys: Key) -> dict[str, Key]:
    return {str(key): key for key in keys}


KEYS = _table(
    Key("node", "id", "name", "this node's name in the cluster"),
    Key("node", "data", "path", "the folder of this node's data"),
    Key(
        "node",
        "allow_plaintext",
        "switch",
        "listen beyond this machine though nothing is encrypted",
        default=False,
    ),
    Key("http", "host", "host", "where callers come in", default="127.0.0.1"),
    Key("http", "port", "port", "where callers come in", default=8080),
    Key("http", "hosts", "names", "further names callers may use for this node", default=()),
    Key("http", "simple_protocol", "switch", "answer /lock and /transaction", default=True),
    Key("peers", "host", "host", "where the other members come in", default="127.0.0.1"),
    Key("peers", "port", "port", "where the other members come in", default=18080),
    Key("peers", "secret_file", "path", "a file with the secret that all members know"),
    Key("cluster", "name", "name", "the cluster's name"),
    Key(
        "raft",
        "election_timeout",
        "seconds",
        "silence of the leader after which another is elected",
        default=0.5,
        low=0.05,
        high=60,
    ),
    Key("raft", "heartbeat", "seconds", "how often a leader speaks", 0.05, low=0.005, high=20),
    Key(
        "raft",
        "segment_bytes",
        "bytes",
        "size of a journal file",
        default=16 << 20,
        low=64 << 10,
        high=1 << 30,
    ),
    Key(
        "raft",
        "snapshot_bytes",
        "bytes",
        "a snapshot is taken when the log behind the last one is larger, or larger than it",
        default=64 << 20,
        low=64 << 10,
        high=1 << 40,
    ),
    Key(
        "raft",
        "keep_entries",
        "count",
        "log entries kept behind a snapshot, for followers that are not far behind",
        default=10_000,
        low=10,
        high=1_000_000,
    ),
)
"""Name ("http.port") → key."""
