"""Messages and commands in words."""

from __future__ import annotations

import msgspec

from raftcoord.commands import decode
from raftcoord.consensus import messages as m
from raftcoord.errors import RaftcoordError

_GROUPS: dict[type[m.Message], str] = {
    m.PreVoteRequest: "vote",
    m.PreVote: "vote",
    m.VoteRequest: "vote",
    m.Vote: "vote",
    m.Heartbeat: "heartbeat",
    m.Committed: "append",
    m.SnapshotChunk: "snapshot",
    m.SnapshotAnswer: "snapshot",
    m.Forward: "forward",
    m.ForwardAnswer: "forward",
    m.ReadRequest: "read",
    m.ReadAnswer: "read",
}
LONGEST = 260


def describe(message: m.AnyMessage) -> tuple[str, str, str]:
    """The group of a message, its name, and what it says."""
    name = str(message.__struct_config__.tag)
    match message:
        case m.Append(entries=[]):
            words = (
                f"no entries behind {message.prev_index}; commit {message.commit},"
                f" round {message.round}"
            )
            return "heartbeat", "heartbeat", f"term {message.term}: {words}"
        case m.Append():
            first = message.prev_index + 1
            last = message.prev_index + len(message.entries)
            terms = sorted({term for term, _ in message.entries})
            words = (
                f"entries {first} to {last} of term {', '.join(map(str, terms))} behind"
                f" ({message.prev_index}, term {message.prev_term}); commit {message.commit},"
                f" round {message.round}"
            )
            return "append", f"append {_range(first, last)}", f"term {message.term}: {words}"
        case m.AppendAnswer():
            group = "append" if message.carried or not message.ok else "heartbeat"
            head = "yes" if message.ok else "no"
            return group, f"{head} {message.index}", f"term {message.term}: {_answered(message)}"
    group = _GROUPS.get(type(message), "other")
    fields = {key: _short(value) for key, value in msgspec.structs.asdict(message).items()}
    term = fields.pop("term")
    said = ", ".join(f"{key} {value}" for key, value in fields.items())
    shown = f"{name} {term}" if group == "vote" else name
    return group, shown, f"term {term}: {said}"[:LONGEST].rstrip(": ")


def _answered(message: m.AppendAnswer) -> str:
    said = "alive"
    if not message.ok:
        said = f"try again from {message.index}"
    elif message.matched:
        said = f"the log matches up to {message.index}"
    if not message.counts:
        said += ", does not count"
    if message.full:
        said += ", the disk is full"
    return f"{said}, round {message.round}"


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _short(value: object) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)


def command(payload: bytes) -> tuple[str, str]:
    """A command's name and what it says; of an entry that carries none, that."""
    if not payload:
        return "no-op", "an entry of a new leader, without a command"
    try:
        envelope = decode(payload)
    except RaftcoordError as error:
        return "entry", str(error)
    said = msgspec.structs.asdict(envelope.command)
    words = ", ".join(f"{key} {value}" for key, value in said.items() if value is not None)
    name = str(envelope.command.__struct_config__.tag)
    return name, f"{name} {words}, by {envelope.gateway} number {envelope.seq}"[:LONGEST]
