"""What happened: every invocation with its outcome, and every fault, with times.

A history is a file of JSON lines in the order of their times:

| line | says |
|---|---|
| `history` | the first: format version, seed and what was run |
| `invoke` | a client began a request |
| `result` | what it heard, or that it heard nothing |
| `fault` | the nemesis did something to a node, or saw it come back |

Times are integer nanoseconds of CLOCK_MONOTONIC, which all processes of a machine share. An
invocation without a result counts as one whose outcome is unknown.

The outcome of a request:

- `ok`: it was executed, the answer says with what result;
- `refused`: a definite no; nothing was executed;
- `unknown`: it may have taken effect, may do so at any later time, or never;
- `never-sent`: no connection was there, nothing left the client.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

FORMAT = 1
FOREVER = (1 << 63) - 1
SECOND = 1_000_000_000

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a line is refused with; the last where it is nested too deep."""

_T = TypeVar("_T")

Outcome = Literal["ok", "refused", "unknown", "never-sent"]
OUTCOMES: tuple[Outcome, ...] = ("ok", "refused", "unknown", "never-sent")


class Unreadable(Exception):
    """A file is not a history (or not a schedule); says where and why."""

    def __init__(self, file: str, line: int, reason: str) -> None:
        super().__init__(f"{file}, line {line}: {reason}")
        self.line = line
        self.reason = reason


class _Line(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="line"):
    pass


class Header(_Line, frozen=True, tag="history"):
    """The first line. `nodes` are the ids of the cluster; `run` is what it was started with."""

    version: int
    nodes: tuple[str, ...] = ()
    run: dict[str, Any] = {}


class Invoke(_Line, frozen=True, tag="invoke"):
    """A request begins. `id` pairs it with its result."""

    at: int
    id: str
    client: str
    node: str
    kind: str
    arguments: dict[str, Any]


class Result(_Line, frozen=True, tag="result"):
    """What became of it.

    Args:
        status: of HTTP; None where no answer came.
        slug: of the error, where the answer is one.
        revision: of the answer's header.
        answer: its body.
        why: what broke, where no answer came.
    """

    at: int
    id: str
    outcome: Outcome
    status: int | None = None
    slug: str | None = None
    revision: int | None = None
    answer: dict[str, Any] = {}
    why: str | None = None


class Fault(_Line, frozen=True, tag="fault"):
    """Something was done to nodes, or seen of them.

    Args:
        what: kill, start, ready, recovered, no-recovery, or a word of a newer nemesis.
        role: what the nodes were: leader, follower, all.
        seconds: for `recovered`, from the kill to the end of the first write accepted after it.
    """

    at: int
    what: str
    round: int
    nodes: tuple[str, ...] = ()
    role: str = ""
    seconds: float | None = None
    detail: str = ""


Line = Header | Invoke | Result | Fault


@dataclass(frozen=True, slots=True)
class Operation:
    """A request and what became of it.

    Args:
        begin: nothing of it happened before.
        end: when the client knew its outcome or gave up; `FOREVER` where it never did. What an
            operation of unknown outcome does is not bounded by it.
    """

    id: str
    client: str
    node: str
    kind: str
    arguments: dict[str, Any]
    begin: int
    end: int
    outcome: Outcome
    status: int | None = None
    slug: str | None = None
    revision: int | None = None
    answer: dict[str, Any] = field(default_factory=dict)
    why: str | None = None

    @property
    def ok(self) -> bool:
        """Whether it was acknowledged."""
        return self.outcome == "ok"

    @property
    def sent(self) -> bool:
        """Whether it may have taken effect."""
        return self.outcome in ("ok", "unknown")


@dataclass(frozen=True)
class History:
    """Operations in the order of their beginnings, and faults in the order of their times."""

    operations: tuple[Operation, ...]
    faults: tuple[Fault, ...] = ()
    nodes: tuple[str, ...] = ()
    run: dict[str, Any] = field(default_factory=dict)

    @property
    def begin(self) -> int:
        """The time of the first line."""
        times = [item.begin for item in self.operations[:1]] + [item.at for item in self.faults[:1]]
        return min(times, default=0)

    def of(self, *kinds: str) -> Iterator[Operation]:
        """The operations of these kinds, in order."""
        return (item for item in self.operations if item.kind in kinds)

    def counts(self) -> dict[str, Counter[Outcome]]:
        """Kind → outcome → how many, kinds in order of their names."""
        counts: dict[str, Counter[Outcome]] = {}
        for item in self.operations:
            counts.setdefault(item.kind, Counter())[item.outcome] += 1
        return dict(sorted(counts.items()))


_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


class Writer:
    """Appends lines to a file; each line is one write, so threads may share a writer."""

    def __init__(self, file: Path, header: Header) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(file, flags, 0o644)
        if os.fstat(self._fd).st_size == 0:
            self.write(header)

    def write(self, line: Line) -> None:
        """Append a line. Raises OSError."""
        os.write(self._fd, _encoder.encode(line) + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def read_checked(
    file: Path, kind: type[_T], problem: Callable[[_T, list[_T]], str | None]
) -> list[_T]:
    """What the lines of a JSON lines file say; empty ones are passed over.

    Args:
        problem: what is wrong with one, given those in front of it; None where nothing is.

    Raises OSError, and Unreadable with the line that is wrong.
    """
    decoder = msgspec.json.Decoder(kind)
    found: list[_T] = []
    with file.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                said = decoder.decode(line)
            except UNREADABLE as error:
                raise Unreadable(str(file), number, str(error)) from error
            reason = problem(said, found)
            if reason is not None:
                raise Unreadable(str(file), number, reason)
            found.append(said)
    return found


def read_lines(file: Path) -> list[Line]:
    """The lines of a history. Raises OSError, and Unreadable with the line that is wrong."""
    lines: list[Line] = []
    with file.open("rb") as stream:
        for number, raw in enumerate(stream, 1):
            try:
                line = _decoder.decode(raw)
            except UNREADABLE as error:
                raise Unreadable(str(file), number, str(error)) from error
            if isinstance(line, Header) != (number == 1):
                reason = "the first line must say `history`, and no other may"
                raise Unreadable(str(file), number, reason)
            if isinstance(line, Header) and line.version != FORMAT:
                reason = f"format version {line.version} is not known here, only {FORMAT}"
                raise Unreadable(str(file), number, reason)
            lines.append(line)
    if not lines:
        raise Unreadable(str(file), 1, "the file is empty")
    return lines


def load(*files: Path) -> History:
    """One history of all that these files hold.

    Raises OSError, and Unreadable with the line that is wrong.
    """
    lines: list[tuple[str, int, Line]] = []
    for file in files:
        lines += [(str(file), number, line) for number, line in enumerate(read_lines(file), 1)]
    return _pair(lines)


def paired(lines: Iterable[Line]) -> History:
    """One history of lines that are in no file. Raises Unreadable with the line that is wrong."""
    return _pair([("memory", number, line) for number, line in enumerate(lines, 1)])


def _pair(lines: list[tuple[str, int, Line]]) -> History:
    invokes: dict[str, Invoke] = {}
    results: dict[str, Result] = {}
    faults: list[Fault] = []
    headers: list[Header] = []
    for file, number, line in lines:
        match line:
            case Header():
                headers.append(line)
            case Fault():
                faults.append(line)
            case Invoke():
                if invokes.setdefault(line.id, line) is not line:
                    raise Unreadable(file, number, f"operation {line.id} is invoked twice")
            case Result():
                if results.setdefault(line.id, line) is not line:
                    raise Unreadable(file, number, f"operation {line.id} has two results")
    for file, number, line in lines:
        if isinstance(line, Result):
            invoke = invokes.get(line.id)
            if invoke is None:
                raise Unreadable(file, number, f"operation {line.id} was never invoked")
            if line.at < invoke.at:
                raise Unreadable(file, number, f"operation {line.id} ends before it begins")
    operations = [_join(invoke, results.get(invoke.id)) for invoke in invokes.values()]
    return History(
        tuple(sorted(operations, key=lambda item: (item.begin, item.id))),
        tuple(sorted(faults, key=lambda item: item.at)),
        tuple(dict.fromkeys(node for header in headers for node in header.nodes)),
        {key: value for header in headers for key, value in header.run.items()},
    )


def _join(invoke: Invoke, result: Result | None) -> Operation:
    head = (invoke.id, invoke.client, invoke.node, invoke.kind, invoke.arguments, invoke.at)
    if result is None:
        return Operation(*head, FOREVER, "unknown", why="the history ends before its outcome")
    return Operation(
        *head,
        result.at,
        result.outcome,
        result.status,
        result.slug,
        result.revision,
        result.answer,
        result.why,
    )


def save(file: Path, lines: Iterable[Line], header: Header) -> None:
    """Write a history, its lines in the order of their times. Raises OSError."""
    ordered = sorted((line for line in lines if not isinstance(line, Header)), key=_time)
    with file.open("wb") as stream:
        stream.write(_encoder.encode(header) + b"\n")
        stream.writelines(_encoder.encode(line) + b"\n" for line in ordered)


def _time(line: Line) -> int:
    return 0 if isinstance(line, Header) else line.at
