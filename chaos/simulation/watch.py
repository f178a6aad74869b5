"""Sees one process of a member from inside, and tells the observers.

Nothing of the product is changed: methods of its objects are wrapped, each does what it did. What
is told comes from where it happens: an entry when the journal has it, an outcome before its caller
hears of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from raftcoord.consensus.proposals import Done, Outcome
from raftcoord.consensus.reads import ReadDone

if TYPE_CHECKING:
    from chaos.simulation.loop import VirtualLoop
    from chaos.simulation.observer import Observer
    from raftcoord.machine.state import Applied
    from raftcoord.server.process import Process


def wrap(target: Any, name: str, replacement: Callable[..., Any]) -> None:
    """Let an object's method be another, of this object alone."""
    setattr(target, name, replacement)


class Watch:
    """One process. `life`: as the observers count it."""

    def __init__(
        self, loop: VirtualLoop, observers: Observer, member: str, life: int, process: Process
    ) -> None:
        self._loop = loop
        self._tell = observers
        self._member = member
        self._life = life
        self._process = process
        self._seen: tuple[int, int, object] = (-1, -1, None)
        self._told: tuple[str, int] = ("", -1)
        self._machine()
        self._node()

    def opened(self) -> None:
        """The data is open: what is in the log, and from now on what happens to it."""
        raft = self._process.node.raft
        entries = [(index, term, command) for command, index, term in raft.log[:]]
        self._tell.opened(self._loop.time(), self._member, self._life, entries)
        self._journal()
        self._look()

    def _look(self) -> None:
        """Tell of another role or term."""
        raft = self._process.node.raft
        seen = self._seen
        if raft.term == seen[0] and raft.role == seen[1] and raft.history.current is seen[2]:
            return
        self._seen = (raft.term, raft.role, raft.history.current)
        told = (self._process.node._role(), raft.term)
        if told != self._told:
            self._told = told
            self._tell.role(self._loop.time(), self._member, *told)

    def _machine(self) -> None:
        machine, tell, time, member = (
            self._process.machine,
            self._tell.applied,
            self._loop.time,
            self._member,
        )
        apply, restore = machine.apply, machine.restore

        def apply_told(index: int, term: int, stamp: int, payload: bytes) -> Applied:
            applied = apply(index, term, stamp, payload)
            tell(time(), member, index, term, stamp, payload, applied, machine)
            return applied

        def restore_told(chunks: Iterable[bytes]) -> None:
            restore(chunks)
            # It took all attributes of another machine; these are still of the instance.
            self._tell.restored(time(), member, machine)

        wrap(machine, "apply", apply_told)
        wrap(machine, "restore", restore_told)

    def _node(self) -> None:
        node, time, member = self._process.node, self._loop.time, self._member
        propose, read_barrier, on_leader, turn = (
            node.propose,
            node.read_barrier,
            node.on_leader,
            node._turn,
        )

        def propose_told(payload: bytes, done: Done, *, priority: bool = False) -> None:
            def told(outcome: Outcome) -> None:
                self._tell.told(time(), member, payload, outcome.kind, outcome.index)
                done(outcome)

            propose(payload, told, priority=priority)

        def read_told(done: ReadDone) -> None:
            asked = time()

            def told(index: int | None) -> None:
                self._tell.barrier(time(), member, asked, index)
                done(index)

            read_barrier(told)

        def leader_told() -> None:
            self._look()
            if on_leader is not None:
                on_leader()

        def turn_told() -> None:
            turn()
            self._look()

        wrap(node, "propose", propose_told)
        wrap(node, "read_barrier", read_told)
        wrap(node, "on_leader", leader_told)
        wrap(node, "_turn", turn_told)

    def _journal(self) -> None:
        journal, time, member = self._process.node.raft.log, self._loop.time, self._member
        tell = self._tell
        add, cut, reset = journal.add, journal.deleteEntriesFrom, journal.reset

        def add_told(command: bytes, idx: int, term: int) -> None:
            add(command, idx, term)
            self._look()
            tell.appended(time(), member, idx, term, command)

        def cut_told(entryFrom: int) -> None:
            self._look()
            if entryFrom < len(journal):
                tell.cut(time(), member, journal[entryFrom][1])
            cut(entryFrom)

        def reset_told(index: int, term: int, keep_suffix: bool) -> None:
            self._look()
            reset(index, term, keep_suffix)
            kept = journal[-1][1] > index
            tell.reset(time(), member, index, term, kept)

        wrap(journal, "add", add_told)
        wrap(journal, "deleteEntriesFrom", cut_told)
        wrap(journal, "reset", reset_told)
