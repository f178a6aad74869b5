"""What kind of world a seed is played in."""

from __future__ import annotations

import msgspec
from msgspec import Struct

SLOWEST_SYNC = 0.001


class Profile(Struct, frozen=True):
    """A kind of world.

    Args:
        members: nodes that begin the cluster. spares: nodes that may become members, too.
        seconds: virtual seconds under faults.
        load: operations of all clients in a virtual second. clients: how many there are.
        pause: mean virtual seconds between faults.
        sync: virtual seconds that a job of the disk takes, least and most.
        faults: fault → its weight in the draw; all with the weights they bring where it is empty.
        http_every: of so many seeds one has its clients speak HTTP to the nodes; 0 for none.
        workloads: what the clients do; all where it is empty.
        sizes: of `chaos.simulation.sizes`; the seed draws those that are not given.
    """

    name: str
    members: int = 3
    spares: int = 0
    seconds: float = 20.0
    load: float = 40.0
    clients: int = 6
    pause: float = 0.6
    sync: tuple[float, float] = (0.0001, SLOWEST_SYNC)
    faults: dict[str, int] = {}
    http_every: int = 20
    workloads: tuple[str, ...] = ()
    sizes: dict[str, int] = {}


PROFILES = {
    "three": Profile("three"),
    "five": Profile("five", members=5, spares=1, clients=8),
}

replace = msgspec.structs.replace
