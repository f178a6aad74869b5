"""Whole clusters of the product in one process, from one seed.

Each member runs the product as `raftcoord.server.process` wires it: node, core, journal, snapshots,
transport, machine, gateway, routes. The loop, the disk, the clock and the randomness are simulated.
Clients do their work while faults do theirs; observers watch. `settling` says how a run ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chaos.checkers.clocks import HONEST
from chaos.checkers.counters import FRESH
from chaos.checkers.facts import FORGETFUL
from chaos.history import FORMAT, Header, History, Invoke, Result, paired
from chaos.simulation.clients import Clients
from chaos.simulation.lives import Lives
from chaos.simulation.members import DESK_PORT, HTTP_PORT, Member
from chaos.simulation.observer import Observer
from chaos.simulation.profiles import Profile
from chaos.simulation.sizes import sizes_of
from chaos.simulation.violation import Violation
from raftcoord.consensus.membership import Configuration
from raftcoord.consensus.node import Node
from raftcoord.consensus.proposals import Outcome

GLANCE = 0.01
"""Virtual seconds between two looks at a condition that is waited for."""
LOOK = 0.5
"""Virtual seconds between two looks at everything."""
AGAIN = 1.0
"""Virtual seconds after which the leader is asked again."""


class World(Lives):
    """A cluster, its clients and its members' comings and goings.

    Args:
        observers: told of everything; one that raises `Violation` ends the run.
        http: the clients speak HTTP.
    """

    def __init__(
        self,
        seed: int,
        *,
        profile: Profile,
        observers: Sequence[Observer] = (),
        http: bool = False,
    ) -> None:
        super().__init__(
            seed,
            members=profile.members,
            spares=profile.spares,
            sync=profile.sync,
            observers=observers,
        )
        self.profile = profile
        self.sizes = sizes_of(seed, profile.sizes)
        for host in self.hosts.values():
            host.sizes = self.sizes
        self._leaving: set[str] = set()
        base = HTTP_PORT if http else DESK_PORT
        self.clients = Clients(
            self.loop,
            seed,
            {host.name: base + host.number for host in self.hosts.values()},
            self._note,
            count=profile.clients,
            load=profile.load,
            loads=profile.workloads,
            http=http,
        )
        self.observers.began(self)

    # Membership.

    @property
    def spares(self) -> list[str]:
        """Hosts that do not belong to the cluster."""
        return [name for name in self.hosts if name not in self.members]

    def add(self, name: str) -> bool:
        """Let a spare join, as documented: empty, as a learner that votes when it has caught up."""
        if name in self.members:
            return False
        self.members[name] = self.hosts[name]
        self.wipe(name)
        self.start(name)
        return True

    def promote(self, name: str) -> bool:
        """Ask the leader to give a learner its vote; whether there was one to ask."""
        return self._ask_leader(lambda leader: leader.promote(name, lambda _: None))

    def remove(self, name: str, may: Callable[[], bool] = lambda: True) -> bool:
        """Take a member out, by the leader; then its process is stopped and its data lost.

        It is asked again until it is done, each time only if it `may` leave now. False where there
        is nobody of that name to remove.
        """
        if name not in self.members or name in self._leaving:
            return False
        self._leaving.add(name)
        self._remove(name, may)
        return True

    def _remove(self, name: str, may: Callable[[], bool]) -> None:
        if name not in self._leaving:
            return
        if self._is_out(name):
            self._left(name)
            return

        def done(outcome: Outcome) -> None:
            if outcome.kind == "applied":
                # Not from within the call that tells it, which may be one of its own.
                self.loop.later(self.loop.time(), self._left, name)

        if may():
            self._ask_leader(lambda leader: leader.remove(name, done))
        self.loop.later(self.loop.time() + AGAIN, self._remove, name, may)

    def _left(self, name: str) -> None:
        if name in self._leaving:
            self._leaving.discard(name)
            del self.members[name]
            self.wipe(name)

    def _ask_leader(self, ask: Callable[[Node], None]) -> bool:
        leader = self.leader()
        node = None if leader is None else self.members[leader].node
        if leader is None or node is None or self.members[leader].paused:
            return False
        with self.loop.host(leader):
            ask(node)
        return True

    def configuration(self) -> Configuration | None:
        """The members by what was committed last; None while a change is under way."""
        return self._roll.committed()

    def _is_out(self, name: str) -> bool:
        known = self.configuration()
        return known is not None and name not in known.members

    # A run.

    def begin(self) -> None:
        """Start all members and the clients."""
        for name in self.members:
            self.start(name)
        self.clients.begin()
        self.loop.later(self.loop.time() + LOOK, self._look)

    def run(self, seconds: float) -> None:
        """Let virtual time pass; raises the first violation."""
        self.loop.run_until(self.loop.time() + seconds, check=False)
        self.raise_violation()

    def until(self, condition: Callable[[], bool], limit: float, what: str) -> None:
        """Wait, in virtual time; raises the first violation, also where it never comes."""
        end = self.loop.time() + limit
        while not condition() and self.loop.time() < end:
            self.run(min(GLANCE, end - self.loop.time()))
        if not condition():
            text = f"{what}: not within {limit:g} virtual seconds; {self.picture()}"
            raise Violation("liveness", text)

    def history(self) -> History:
        """What the clients did so far, and what was done to the members."""
        run = {
            "seed": self.seed,
            FRESH: True,
            HONEST: self.clocks_honest,
            FORGETFUL: self.sizes.forgetful,
        }
        header = Header(FORMAT, tuple(self.members), run)
        return paired([header, *self.lines])

    def note_fault(self, name: str, detail: str) -> None:
        """Tell that a fault was done, or ended."""
        self.observers.fault(self.loop.time(), name, detail)

    def picture(self) -> str:
        """Where everybody stands."""
        return "; ".join(_stand(member) for member in self.members.values())

    def _look(self) -> None:
        self._trust_again()
        self.observers.looked(self.loop.time(), self)
        self.loop.later(self.loop.time() + LOOK, self._look)

    def _trust_again(self) -> None:
        """A member that lost its data and votes again is one like the others."""
        known = self.configuration()
        for name, member in self.members.items():
            if member.start_as == "join" and known is not None and member.node is not None:
                taken = known.members.get(name)
                same = taken is not None and taken.incarnation == member.node.incarnation
                if taken is not None and same and taken.voter:
                    member.start_as = "normal"

    def _note(self, line: Invoke | Result) -> None:
        self.lines.append(line)
        if isinstance(line, Invoke):
            self.observers.invoked(self.loop.time(), line)
        else:
            self.observers.answered(self.loop.time(), line)


def _stand(member: Member) -> str:
    node = member.node
    if node is None:
        return f"{member.name} down ({member.stopped_for})"
    raft = node.raft
    return (
        f"{member.name}{' paused' if member.paused else ''} {node._role()} term {raft.term}"
        f" commit {raft.commit} last {raft.last().index} applied {node.applied}"
        f" voters {' '.join(sorted(raft.voters))}"
    )
