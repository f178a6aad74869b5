"""Runs a story: log entries in, replies, events and state out, as text.

A story is a text file. Lines that start at the margin say what happens, indented lines what came
of it; `# ` starts a comment line, an empty line stays. What can happen:

    at 1500                          entries from here on carry this cluster time (ms)
    tick                             an entry without a command
    lock.acquire name=a owner=x      a command by its tag and fields (JSON, or a bare word)
    n2/1#5<3 bob: lock.acquire …     the same from gateway n2, boot 1, seq 5, low 3, identity bob;
                                     each part may be left out (default: n1/1, the next seq)
    again                            the last command once more, under the same request id
    show lock a | ring r [V] | transaction 1 | session 1 | simple K | digest | alarms | answers
    check a 3                        does token 3 hold lock a
    lookup r key [n]                 the members for a key
    page locks [prefix]              names in a list
    fault lock.acquire | due session the next handler of that name does its work, then fails
    state                            all tables but the stored answers, and the deadlines

What comes of it: `= reply` or `= refused slug status fields`, then `! event` lines.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, get_args

import msgspec

from raftcoord.commands import AnyCommand, Envelope, Reply, encode
from raftcoord.errors import RaftcoordError
from raftcoord.machine import Applied, Machine
from raftcoord.machine.events import AlarmRaised, LockGranted, WaitEnded

TERM = 1

_FROM = re.compile(
    r"^(?:(?P<gateway>\w+)/(?P<boot>\d+))?(?:#(?P<seq>\d+))?(?:<(?P<low>\d+))?"
    r"(?:\s*(?P<identity>\w+))?:\s+(?P<rest>.*)$"
)
_FIELD = re.compile(r'(\w+)=((?:"(?:[^"\\]|\\.)*"|\{[^ ]*\}|\[[^ ]*\]|[^ ]+))')


class Story:
    """One machine and the log it is told."""

    def __init__(self, *, restoring: bool = False) -> None:
        self.machine = Machine()
        self.log: list[tuple[int, int, int, bytes]] = []
        self._restoring = restoring
        self._time = 0
        self._seqs: dict[tuple[str, int], int] = {}
        self._last = b""

    def run(self, text: str) -> str:
        """The story with what came of it."""
        lines: list[str] = []
        for line in text.splitlines():
            if line.startswith(" "):
                continue
            lines.append(line)
            if line and not line.startswith("# "):
                lines.extend(f"  {result}" for result in self.step(line))
        return "\n".join(lines) + "\n"

    def step(self, line: str) -> Iterator[str]:
        """What comes of one line."""
        word, _, rest = line.partition(" ")
        special: dict[str, Callable[[list[str]], Iterator[str]]] = {
            "at": self._at,
            "tick": self._tick,
            "again": self._again,
            "show": self._show,
            "check": self._check,
            "lookup": self._lookup,
            "page": self._page,
            "fault": self._fault,
            "state": self._state,
        }
        if word in special:
            yield from special[word](rest.split())
        else:
            yield from self._entry(self._payload(line))

    # Entries.

    def apply(self, payload: bytes) -> Applied:
        """Apply the next entry."""
        entry = (len(self.log) + 1, TERM, self._time, payload)
        self.log.append(entry)
        if self._restoring:
            self.machine.restore(list(self.machine.pack()))
        return self.machine.apply(*entry)

    def _entry(self, payload: bytes) -> Iterator[str]:
        self._last = payload
        applied = self.apply(payload)
        if applied.reply is not None:
            yield f"= {reply_text(applied.reply)}"
        for kind, key, data in applied.events:
            yield f"! {kind} {key}{event_text(data)}"

    def _payload(self, line: str) -> bytes:
        match = _FROM.match(line)
        parts = match.groupdict() if match else {"rest": line}
        gateway, boot = parts.get("gateway") or "n1", int(parts.get("boot") or 1)
        seq = int(parts.get("seq") or self._seqs.get((gateway, boot), 0) + 1)
        self._seqs[gateway, boot] = max(seq, self._seqs.get((gateway, boot), 0))
        tag, _, fields = parts["rest"].partition(" ")
        command: dict[str, Any] = {"type": tag}
        for name, value in _FIELD.findall(fields):
            command[name] = _value(value)
        envelope = {
            "gateway": gateway,
            "boot": boot,
            "seq": seq,
            "low": int(parts.get("low") or 1),
            "identity": parts.get("identity") or "",
            "command": command,
        }
        return encode(msgspec.convert(envelope, Envelope))

    def _at(self, words: list[str]) -> Iterator[str]:
        self._time = int(words[0])
        yield from ()

    def _tick(self, words: list[str]) -> Iterator[str]:
        yield from self._entry(b"")

    def _again(self, words: list[str]) -> Iterator[str]:
        yield from self._entry(self._last)

    # Reads.

    def _show(self, words: list[str]) -> Iterator[str]:
        kind, rest = words[0], words[1:]
        machine = self.machine
        reads: dict[str, Callable[[], Any]] = {
            "lock": lambda: machine.locks.get(rest[0]),
            "ring": lambda: machine.rings.get(rest[0], *map(int, rest[1:])),
            "transaction": lambda: machine.transactions.get(int(rest[0])),
            "session": lambda: machine.sessions.get(int(rest[0])),
            "simple": lambda: machine.simple.state(rest[0]),
            "digest": machine.digest,
            "alarms": lambda: machine.alarms,
            "answers": lambda: sorted(machine.answers.answers.rows),
        }
        yield from self._read(reads[kind])

    def _check(self, words: list[str]) -> Iterator[str]:
        yield from self._read(lambda: self.machine.locks.check(words[0], int(words[1])))

    def _lookup(self, words: list[str]) -> Iterator[str]:
        ring, key, count = words[0], words[1], int(words[2]) if len(words) > 2 else None
        yield from self._read(lambda: self.machine.rings.lookup(ring, (key,), count))

    def _page(self, words: list[str]) -> Iterator[str]:
        pages: dict[str, Callable[..., Any]] = {
            "locks": lambda prefix="": [view.name for view in self.machine.locks.page(prefix)],
            "sessions": lambda: [session.id for session in self.machine.sessions.page()],
            "rings": self.machine.rings.page,
            "transactions": lambda state=None: [
                view.id for view in self.machine.transactions.page(state)[0]
            ],
        }
        yield from self._read(lambda: pages[words[0]](*words[1:]))

    def _read(self, read: Callable[[], Any]) -> Iterator[str]:
        try:
            found = read()
        except RaftcoordError as error:
            yield f"= {reply_text(error)}"
            return
        for item in found if isinstance(found, list) else [found]:
            yield f"= {plain(item)}"

    def _state(self, words: list[str]) -> Iterator[str]:
        machine = self.machine
        yield f"clock {machine.clock}"
        for table in machine._tables():
            if table.name in ("answers", "gateways"):
                continue
            for key, record in table.rows.items():
                name = " ".join(map(str, key)) if isinstance(key, tuple) else key
                yield f"{table.name} {name}: {plain(record)}"
        for deadline, _, (kind, which) in machine._deadlines.armed.values():
            if kind != "gateway":
                yield f"due {deadline} {kind} {which}"

    # Faults.

    def _fault(self, words: list[str]) -> Iterator[str]:
        machine = self.machine
        if words[0] == "due":
            handlers: dict[Any, Any] = machine._due
            key: Any = words[1]
        else:
            handlers = machine._handlers
            key = next(kind for kind in get_args(AnyCommand) if tag_of(kind) == words[0])
        handler = handlers[key]

        def fail(*arguments: Any) -> None:
            handlers[key] = handler
            handler(*arguments)
            raise ZeroDivisionError("a fault was injected")

        handlers[key] = fail
        # The fault sits in this machine; a restored one would be without it.
        self._restoring = False
        yield from ()


def tag_of(kind: Any) -> str:
    """The tag of a command's class."""
    return str(kind.__struct_config__.tag)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def plain(value: Any) -> str:
    """Structs as `Name field=value`, without the fields that are None, empty or false."""
    if isinstance(value, msgspec.Struct):
        fields = [
            f"{name}={plain(item)}"
            for name, item in msgspec.structs.asdict(value).items()
            if item is not None and item != () and item is not False and item != ""
        ]
        return f"({' '.join([type(value).__name__, *fields])})"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(plain, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {plain(item)}' for key, item in value.items())}}}"
    return str(value)


def reply_text(reply: Reply | RaftcoordError) -> str:
    """A reply or an error on one line."""
    if isinstance(reply, RaftcoordError):
        fields = [f"{name}={_json(value)}" for name, value in reply.fields.items()]
        return " ".join(["refused", reply.slug, str(reply.status), *fields])
    return plain(reply)[1:-1]


def event_text(data: Any) -> str:
    """An event's data behind its kind and key."""
    if isinstance(data, LockGranted):
        return f" token={data.reply.token} for {_names(data.requests)}"
    if isinstance(data, WaitEnded):
        return f" for {_names(data.requests)}: {reply_text(data.error)}"
    if isinstance(data, AlarmRaised):
        return f" index={data.index} error={data.error}"
    return f" {plain(data)}"


def _names(requests: Any) -> str:
    return " ".join(f"{item.gateway}/{item.boot}#{item.seq}" for item in requests)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
