"""Histories for the tests of the report."""

from __future__ import annotations

from random import Random

from chaos.history import OUTCOMES, SECOND, Fault, History, Operation, Outcome

NODES = ("n1", "n2", "n3")
BEGIN = 77 * SECOND


def at(seconds: float) -> int:
    """A time of these histories, in ns."""
    return BEGIN + round(seconds * SECOND)


def fault(
    seconds: float, what: str, role: str = "", *nodes: str, number: int = 1, detail: str = ""
) -> Fault:
    """A line of the nemesis."""
    return Fault(at(seconds), what, number, nodes, role, None, detail)


def load(seconds: float, rate: float, seed: int = 1) -> tuple[Operation, ...]:
    """Writes of four clients, most of them accepted within a few milliseconds."""
    random = Random(seed)
    made: list[Operation] = []
    now = 0.0
    while (now := now + random.expovariate(rate)) < seconds:
        number = len(made) + 1
        outcome: Outcome = random.choices(OUTCOMES, (90, 8, 1, 1))[0]
        took = random.lognormvariate(-5.5, 0.5)
        made.append(operation(now, now + took, outcome, number))
    return tuple(made)


def operation(begin: float, end: float, outcome: Outcome = "ok", number: int = 1) -> Operation:
    """One operation; times in seconds."""
    client = f"c{number % 4}"
    arguments = {"name": f"lock/{number % 3}", "owner": client, "ttl": 1.0}
    answer = {"token": number} if outcome == "ok" else {}
    times = (at(begin), at(end))
    name = f"{client}-{number}"
    return Operation(
        name, client, NODES[number % 3], "lock.acquire", arguments, *times, outcome, 200, None,
        number, answer,
    )  # fmt: skip


def story(*operations: Operation, faults: tuple[Fault, ...] = ()) -> History:
    """A history of the three nodes."""
    ordered = sorted(operations, key=lambda item: item.begin)
    return History(tuple(ordered), faults, NODES, {"seed": 7, "clients": 4})
