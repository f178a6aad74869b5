"""The door with all its routes."""

from collections.abc import Callable, Iterable

from raftcoord.server.door import Door
from raftcoord.server.front import Front
from raftcoord.server.origins import Origins
from raftcoord.server.router import Router
from raftcoord.server.routes import locks, rings, sessions, simple, status, transactions

V1 = (
    *status.ROUTES,
    *sessions.ROUTES,
    *locks.ROUTES,
    *rings.ROUTES,
    *transactions.ROUTES,
)


def build(
    front: Front,
    *,
    revision: Callable[[], int],
    incident: Callable[[], str],
    hosts: Iterable[str] = (),
    simple_protocol: bool = True,
) -> Door:
    """The door of a node.

    Args:
        revision: the applied index now.
        incident: gives a name to an unexpected error.
        hosts: names by which callers may know this node, besides localhost.
        simple_protocol: whether /lock and /transaction are there.
    """
    routes = (*V1, *simple.ROUTES) if simple_protocol else V1
    return Door(Router(routes), Origins(hosts), front, revision, incident)
