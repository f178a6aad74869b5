"""When which fault was at work, and on what: the lanes of the timeline."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.history import Fault, History

LINKS = "links"
CLIENTS = "clients"
CLUSTER = "cluster"

_SORTS = {
    "kill": ("kill", "crash", "power"),
    "disk": ("disk", "sync", "read", "flip", "full", "space", "torn", "write"),
    "care": (
        *("rolling", "restart", "wipe", "rejoin", "transfer", "member", "snapshot", "remove"),
    ),
    "link": (
        *("partition", "isolat", "split", "halves", "one-way", "one_way", "cut", "mute", "deaf"),
        *("link", "delay", "loss", "reset", "stall", "storm", "network", "garbage", "flapping"),
        *("late", "segment"),
    ),
    "clock": ("clock", "drift", "leap"),
    "pause": ("pause", "suspend"),
}
SORTS = (*_SORTS, "other")
"""What sorts of faults there are to a reader; each has a colour."""


@dataclass(frozen=True)
class Span:
    """A fault at work.

    Args:
        lane: a node, `links`, `clients`, or `cluster` for what hits none of them in particular.
        name: of the fault. sort: one of `SORTS`, or `start` for a node that comes back.
        begin, end: in ns; end is None where the history does not show it.
        detail: what else is known.
    """

    lane: str
    name: str
    sort: str
    begin: int
    end: int | None
    detail: str = ""


def sort_of(name: str) -> str:
    """Which kind of fault a name belongs to."""
    lowered = name.lower()
    return next(
        (sort for sort, words in _SORTS.items() if any(w in lowered for w in words)), "other"
    )


def spans(history: History) -> list[Span]:
    """All faults of a history, in the order of their beginnings."""
    found = _Spans(history.nodes)
    for fault in history.faults:
        found.take(fault)
    return found.close()


def lanes(history: History, found: list[Span]) -> list[str]:
    """The nodes in their order, the links, and the clients or the cluster where they were hit."""
    used = {span.lane for span in found}
    others = (LINKS, CLIENTS, CLUSTER)
    nodes = [*history.nodes, *sorted(used - {*history.nodes, *others})]
    return [*nodes, LINKS, *(lane for lane in others[1:] if lane in used)]


def levels(found: list[Span]) -> dict[int, tuple[int, int]]:
    """Place in `found` → (level, how many levels) where a lane's spans lie over each other."""
    placed: dict[int, tuple[int, int]] = {}
    for lane in {span.lane for span in found}:
        group: list[tuple[int, int]] = []
        ends: list[float] = []
        for number, span in enumerate(found):
            if span.lane != lane:
                continue
            if all(end <= span.begin for end in ends):
                placed.update({one: (level, len(ends)) for one, level in group})
                group, ends = [], []
            free = (level for level, end in enumerate(ends) if end <= span.begin)
            level = next(free, len(ends))
            ends[level : level + 1] = [float("inf") if span.end is None else span.end]
            group.append((number, level))
        placed.update({one: (level, len(ends)) for one, level in group})
    return placed


class _Spans:
    """Pairs beginnings with ends."""

    def __init__(self, nodes: tuple[str, ...]) -> None:
        self._nodes = nodes
        self._found: list[Span] = []
        self._open: dict[tuple[str, int], tuple[Fault, list[str]]] = {}
        self._down: dict[str, Fault] = {}
        self._back: dict[str, Fault] = {}

    def take(self, fault: Fault) -> None:
        match fault.what:
            case "kill":
                for node in fault.nodes:
                    self._end_life(node, fault.at)
                    self._down[node] = fault
            case "start":
                for node in fault.nodes:
                    self._end_life(node, fault.at)
                    self._back[node] = fault
            case "ready" | "recovered":
                for node in fault.nodes:
                    self._end_life(node, fault.at)
            case "begin":
                self._open[fault.role, fault.round] = (fault, self._lanes(fault))
            case "end":
                self._end(fault)
            case _:
                for lane in self._lanes(fault):
                    name = fault.what if not fault.role else f"{fault.what} ({fault.role})"
                    self._add(lane, name, sort_of(fault.what), fault, fault.at)

    def close(self) -> list[Span]:
        for fault, lanes_ in self._open.values():
            for lane in lanes_:
                self._add(lane, fault.role, sort_of(fault.role), fault, None)
        for node in [*self._down, *self._back]:
            self._end_life(node, None)
        return sorted(self._found, key=lambda span: (span.begin, span.lane))

    def _end(self, fault: Fault) -> None:
        key = (fault.role, fault.round)
        begun, lanes_ = self._open.pop(key, (fault, self._lanes(fault)))
        for lane in lanes_:
            self._add(lane, fault.role, sort_of(fault.role), begun, fault.at)

    def _end_life(self, node: str, at: int | None) -> None:
        killed, started = self._down.pop(node, None), self._back.pop(node, None)
        if killed is not None:
            name = f"kill-{killed.role}".rstrip("-")
            self._add(node, name, "kill", killed, at)
        if started is not None:
            self._add(node, "start", "start", started, at)

    def _lanes(self, fault: Fault) -> list[str]:
        name = fault.role or fault.what
        if "client" in name:
            return [CLIENTS]
        if sort_of(name) == "link":
            return [LINKS]
        return list(fault.nodes) or [CLUSTER]

    def _add(self, lane: str, name: str, sort: str, fault: Fault, end: int | None) -> None:
        detail = f"round {fault.round}" if fault.round else ""
        if lane == LINKS and fault.nodes:
            name = f"{name} {', '.join(fault.nodes)}"
        if fault.detail:
            detail = f"{detail}: {fault.detail}" if detail else fault.detail
        self._found.append(Span(lane, name, sort, fault.at, end, detail))
