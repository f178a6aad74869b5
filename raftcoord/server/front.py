"""What every handler gets, and the ways most of them go."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from raftcoord.consensus.settings import NodeStatus
from raftcoord.errors import Malformed, RaftcoordError
from raftcoord.machine.state import Machine
from raftcoord.server.answers import Answer
from raftcoord.server.calls import Call, whole_number
from raftcoord.server.gateway import Gateway
from raftcoord.server.problems import problem
from raftcoord.server.submissions import Settled

PAGE = 1_000
DEFAULT_PAGE = 100
MAX_REVISION = (1 << 63) - 1
READ = ("consistency", "min_revision")
"""What may be said of every read in its query."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Front:
    """The house behind the door."""

    gateway: Gateway
    status: Callable[[], NodeStatus]

    @property
    def machine(self) -> Machine:
        """The state; its tables are reached anew each time, a snapshot replaces them."""
        return self.gateway.machine


class Found(NamedTuple):
    """What a read gave. headers: for its answer."""

    value: Any
    revision: int
    headers: bytes


def settled(ended: Settled, shape: Callable[[Any], Any], headers: bytes = b"") -> Answer:
    """The answer for a reply of the machine; an error of it is a problem."""
    if isinstance(ended.reply, RaftcoordError):
        return problem(ended.reply, ended.revision)
    return Answer(shape(ended.reply), ended.revision, headers=headers)


async def read(front: Front, fields: dict[str, str], query: Callable[[], Any]) -> Found:
    """Read the machine as the query's fields say.

    Raises:
        Malformed: a field. What the gateway and the query raise.
    """
    consistency = fields.get("consistency", "linearizable")
    if consistency not in ("linearizable", "stale"):
        raise Malformed(
            f"consistency is {consistency[:40]!r}; allowed: linearizable, stale",
            field="consistency",
            allowed="linearizable, stale",
        )
    wanted = whole_number(fields, "min_revision", 0, 0, MAX_REVISION) or 0
    stale = consistency == "stale"
    value, revision = await front.gateway.read(query, stale=stale, min_revision=wanted)
    return Found(value, revision, _age(front) if stale else b"")


def _age(front: Front) -> bytes:
    age = front.gateway.reading.age()
    return b"Raftcoord-Age: unknown\r\n" if age is None else b"Raftcoord-Age: %.3f\r\n" % age


def page_size(fields: dict[str, str]) -> int:
    """How many entries of a list are wanted."""
    return whole_number(fields, "limit", DEFAULT_PAGE, 1, PAGE) or DEFAULT_PAGE


def page(rows: list[_T], size: int, key: Callable[[_T], Any]) -> tuple[list[_T], Any]:
    """A list that was asked for one row more than a page: the page, and where to go on."""
    if len(rows) <= size:
        return rows, None
    return rows[:size], key(rows[size - 1])


def refuse_conditions(call: Call) -> None:
    """Raise Malformed for headers that promise what is not kept here yet."""
    for header in ("Idempotency-Key", "If-Match"):
        if header in call.request.headers:
            raise Malformed(
                f"{header} is not heeded by this route", field=header, allowed="no such header"
            )


def seconds(milliseconds: int) -> float:
    """A duration on the wire."""
    return milliseconds / 1000


def left(front: Front, milliseconds: int) -> float:
    """Seconds left now of a duration that the state shows; never quite 0, it is not over."""
    return max(milliseconds - front.gateway.behind(), 1) / 1000
