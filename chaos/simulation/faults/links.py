"""Links that fall silent, are slow, lose what they carry, or break."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

from chaos.simulation.faults.act import Act, Catalogue

FAULTS = Catalogue()

Way = tuple[str, str]
"""From, to."""


def cut(act: Act, ways: list[Way], seconds: float) -> None:
    """Let nothing through in these directions for a while.

    A direction that two acts cut is whole again when both are over.
    """
    net, cuts = act.world.loop.net, act.stage.cuts
    for way in ways:
        cuts[way] += 1
        net.cut(*way, both=False)

    def heal() -> None:
        for way in ways:
            cuts[way] -= 1
            if not cuts[way]:
                net.heal(*way, both=False)

    act.note(", ".join(f"{a} > {b}" for a, b in ways) + f" for {seconds:.2f} s")
    act.until(seconds, heal)


def _seconds(act: Act) -> float:
    """Mostly about as long as elections take; now and then longer than connections live."""
    long = act.rng.random() < 0.1
    return act.rng.uniform(6.0, 15.0) if long else act.rng.uniform(0.1, 4.0)


def _both(a: str, b: str) -> list[Way]:
    return [(a, b), (b, a)]


def _against_all(act: Act, name: str | None, ways: Callable[[str, str], list[Way]]) -> bool:
    """Cut these ways between one member and each other; False where there is no such member."""
    if name is None:
        return False
    others = [other for other in sorted(act.world.members) if other != name]
    cut(act, [way for other in others for way in ways(name, other)], _seconds(act))
    return True


def _leader_or_one(act: Act) -> str | None:
    return act.world.leader() if act.rng.random() < 0.5 else act.member()


@FAULTS.of(4)
def split(act: Act) -> bool:
    """Two groups of members that do not hear each other."""
    names = sorted(act.world.members)
    group = set(act.rng.sample(names, act.rng.randrange(1, len(names))))
    ways = [(a, b) for a, b in permutations(names, 2) if (a in group) != (b in group)]
    cut(act, ways, _seconds(act))
    return True


@FAULTS.of(3)
def isolate_leader(act: Act) -> bool:
    """Nobody hears the leader, and it hears nobody; it is not told."""
    return _against_all(act, act.world.leader(), _both)


@FAULTS.of(2)
def one_way(act: Act) -> bool:
    """One direction of one link falls silent."""
    cut(act, [act.two()], _seconds(act))
    return True


@FAULTS.of(2)
def deaf(act: Act) -> bool:
    """One member is heard by all and hears nobody."""
    return _against_all(act, _leader_or_one(act), lambda name, other: [(other, name)])


@FAULTS.of(2)
def mute(act: Act) -> bool:
    """One member hears all and is heard by nobody."""
    return _against_all(act, _leader_or_one(act), lambda name, other: [(name, other)])


@FAULTS.of(2)
def cut_link(act: Act) -> bool:
    """Two members do not hear each other, and both hear the others."""
    cut(act, _both(*act.two()), _seconds(act))
    return True


@FAULTS.of(2)
def cut_clients(act: Act) -> bool:
    """Some clients and some members do not hear each other, or only one way."""
    rng = act.rng
    clients = [f"c{number}" for number in range(1, act.world.profile.clients + 1)]
    near = rng.sample(clients, rng.randint(1, len(clients)))
    members = sorted(act.world.members)
    far = rng.sample(members, rng.randint(1, len(members)))
    pairs = [(client, member) for client in near for member in far]
    silent = rng.choice(("both", "both", "requests", "answers"))
    ways = pairs if silent != "answers" else []
    ways = ways + [(member, client) for client, member in pairs] * (silent != "requests")
    cut(act, ways, _seconds(act))
    return True


@FAULTS.of(1)
def flapping(act: Act) -> bool:
    """A link falls silent and comes back again and again."""
    ways = _both(*act.two())
    period = act.rng.uniform(0.05, 0.8)

    def flap(left: int) -> None:
        cut(act, ways, period / 2)
        if left:
            act.after(period, flap, left - 1)

    flap(act.rng.randint(3, 10))
    return True


@FAULTS.of(2)
def slow_link(act: Act) -> bool:
    """One direction of one link takes long."""
    _slow(act, [act.two()], act.rng.uniform(0.02, 2.0))
    return True


@FAULTS.of(1)
def slow_network(act: Act) -> bool:
    """All members are far from each other."""
    ways = list(permutations(sorted(act.world.members), 2))
    _slow(act, ways, act.rng.uniform(0.005, 0.12))
    return True


def _slow(act: Act, ways: list[Way], more: float) -> None:
    net, seconds = act.world.loop.net, act.rng.uniform(0.5, 6.0)
    for way in ways:
        net.slow(*way, more)

    def end() -> None:
        for way in ways:
            net.slow(*way, 0.0)

    act.note(
        ", ".join(f"{a} > {b}" for a, b in ways) + f" {more * 1000:.0f} ms for {seconds:.2f} s"
    )
    act.until(seconds, end)


@FAULTS.of(1)
def narrow_link(act: Act) -> bool:
    """One direction of one link lets few bytes through in a second."""
    net, way = act.world.loop.net, act.two()
    rate, seconds = act.rng.choice((2e3, 2e4, 2e5)), act.rng.uniform(0.5, 6.0)
    net.narrow(*way, rate)
    act.note(f"{way[0]} > {way[1]} {rate:.0f} bytes/s for {seconds:.2f} s")
    act.until(seconds, net.narrow, *way, 0.0)
    return True


@FAULTS.of(2)
def loss(act: Act) -> bool:
    """For a while, segments are lost, and sent again later."""
    net, seconds = act.world.loop.net, act.rng.uniform(0.5, 6.0)
    net.loss = act.rng.choice((0.01, 0.05, 0.2))
    act.note(f"{net.loss:.0%} for {seconds:.2f} s")
    act.until(seconds, setattr, net, "loss", 0.0)
    return True


@FAULTS.of(2)
def reset(act: Act) -> bool:
    """All connections between two members break."""
    a, b = act.two()
    act.world.loop.net.reset(a, b)
    act.note(f"{a} {b}")
    return True


@FAULTS.of(2)
def storm(act: Act) -> bool:
    """All connections that there are break, again and again."""
    net, rng = act.world.loop.net, act.rng
    period = rng.choice((0.01, 0.05, 0.3)) * rng.uniform(0.5, 1.5)

    def strike(left: int) -> None:
        net.reset_all()
        act.note(f"{left} more, every {period * 1000:.0f} ms")
        if left:
            act.after(period, strike, left - 1)

    strike(rng.randint(2, 15))
    return True


@FAULTS.of(2)
def loss_with_reset(act: Act) -> bool:
    """For a while, a segment may break its connection instead of arriving."""
    net, seconds = act.world.loop.net, act.rng.uniform(0.5, 4.0)
    net.loss_reset = act.rng.choice((0.002, 0.01, 0.05))
    act.note(f"{net.loss_reset:.1%} for {seconds:.2f} s")
    act.until(seconds, setattr, net, "loss_reset", 0.0)
    return True
