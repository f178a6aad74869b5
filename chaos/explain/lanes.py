"""The columns of the diagram: one for each member, one for each client that did something."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from chaos.history import Operation

FIRST = 255.0
"""Middle of the first member's column; faults of links and the axis are left of it."""
MEMBERS = 900.0
"""Width that all members share, as far as that suits."""
MEMBER = (160.0, 280.0)
"""Width of a member's column, least and most."""
CLIENT = 26.0
"""Room between two clients; each is as wide as its agents need."""
AGENT = 11.0
BAND = 26.0
"""Width of the band that shows what a member is."""


@dataclass
class Lanes:
    """Where the columns are.

    Args:
        members: member → the middle of its column.
        clients: client → the left edge of its first agent.
        agents: agent → its left edge.
    """

    members: dict[str, float] = field(default_factory=dict)
    clients: dict[str, float] = field(default_factory=dict)
    agents: dict[str, float] = field(default_factory=dict)
    width: float = 0.0

    def x(self, name: str) -> float:
        """The middle of the column of a member or client."""
        if name in self.members:
            return self.members[name]
        return self.clients.get(name, self.width)


def lanes(members: Iterable[str], operations: Iterable[Operation]) -> Lanes:
    """The columns for these."""
    found = Lanes()
    names = [*members]
    apart = min(max(MEMBERS / max(len(names), 1), MEMBER[0]), MEMBER[1])
    found.members = {name: FIRST + number * apart for number, name in enumerate(names)}
    x = FIRST + len(names) * apart - apart / 2 + 30.0
    for agent in sorted({item.client for item in operations}, key=_natural):
        client = host_of(agent)
        if client not in found.clients:
            x += CLIENT if found.clients else 0.0
            found.clients[client] = x
        found.agents[agent] = x
        x += AGENT
    found.width = x + 60.0
    return found


def host_of(agent: str) -> str:
    """The client that an agent belongs to."""
    return agent.partition(".")[0]


def _natural(name: str) -> tuple[str, int, str]:
    host, _, rest = name.partition(".")
    digits = "".join(letter for letter in host if letter.isdigit())
    return host.rstrip("0123456789"), int(digits or 0), rest
