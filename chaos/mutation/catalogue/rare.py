"""Faults in what happens seldom: full queues, callers that hang up, waits across a snapshot, a
snapshot in pieces, rings that are made again, reads that are to be new enough."""

from typing import Any

from chaos.mutation.mutation import Mutation
from chaos.mutation.patching import Edit

_ROOM = {"in_flight": 4_096, "waiting": 16_384, "queue": 20_000, "window": 16_320}
_SMALL: dict[str, Any] = {"seconds": 10.0, "pause": 1.0, "http_every": 0}
_FEW = {"isolate_leader": 2, "mute": 2, "pause": 2, "kill": 1}

CROWD: dict[str, Any] = {
    **_SMALL,
    "load": 80.0,
    "faults": {"isolate_leader": 2, "kill": 1},
    "sizes": {"in_flight": 2, "waiting": 2, "queue": 2, "window": 64},
}
WINDOW: dict[str, Any] = {**CROWD, "sizes": {**_ROOM, "window": 8}}
LEFT: dict[str, Any] = {**_SMALL, "faults": _FEW, "workloads": ("leaving",), "sizes": _ROOM}
PASSED: dict[str, Any] = {
    **_SMALL,
    "seconds": 15.0,
    "pause": 0.8,
    "load": 60.0,
    "workloads": ("leaving", "locks"),
    "faults": {"isolate_leader": 3, "split": 3, "pause": 2},
    "sizes": {**_ROOM, "snapshot": 1 << 10, "keep": 3},
}
PIECES: dict[str, Any] = {
    **_SMALL,
    "load": 60.0,
    "faults": {"wipe": 2, "snapshot": 3},
    "sizes": {**_ROOM, "chunk": 512, "snapshot": 3 << 10, "keep": 6},
}
REMADE: dict[str, Any] = {**_SMALL, "faults": _FEW, "workloads": ("remade", "rings")}
FORGETFUL: dict[str, Any] = {
    **_SMALL,
    "faults": _FEW,
    "workloads": ("transactions",),
    "sizes": {**_ROOM, "retention": 1_000},
}

MUTATIONS = (
    Mutation(
        "no-bound-of-commands",
        "gateway",
        "However many commands have no outcome yet, another one is taken.",
        (
            Edit(
                "server.submissions:Submissions.prepare",
                "self._load[priority] >= self._limit or",
                "",
            ),
        ),
        focus=CROWD,
    ),
    Mutation(
        "no-bound-of-numbers",
        "gateway",
        "Requests are numbered beyond what the machine keeps answers for.",
        (
            Edit(
                "server.submissions:Submissions.prepare",
                "or self._next - low >= WINDOW",
                "",
            ),
        ),
        within=10,
        focus=WINDOW,
    ),
    Mutation(
        "no-bound-of-proposals",
        "proposals",
        "However many proposals wait for their turn, another one is taken.",
        (
            Edit(
                "consensus.proposals:ProposalQueue.put",
                "if len(queue) >= self._limit or size",
                "if size",
            ),
        ),
        focus=CROWD,
    ),
    Mutation(
        "no-bound-of-acquires",
        "gateway",
        "However many acquires wait at a node, another one is taken.",
        (
            Edit(
                "server.waits:AcquireWaits.begin",
                "if len(self._waits) >= self._limit:",
                "if False:",
            ),
        ),
        focus=CROWD,
    ),
    Mutation(
        "no-bound-of-reads",
        "gateway",
        "However many reads wait at a node, another one is taken.",
        (
            Edit(
                "server.reading:Reading.linearizable",
                "if self._waiting >= self._limit:",
                "if False:",
            ),
        ),
        focus=CROWD,
    ),
    Mutation(
        "wait-outlives-its-caller",
        "gateway",
        "Who hangs up while an acquire waits is granted the lock when the turn comes.",
        (
            Edit(
                "server.waits:AcquireWaits.abandon",
                "wait.abandoned = True\n",
                "wait.abandoned = False\n    return\n",
            ),
        ),
        focus=LEFT,
    ),
    Mutation(
        "place-not-given-back",
        "gateway",
        "The place in the queue of who hung up is not given back.",
        (
            Edit(
                "server.waits:AcquireWaits.finish",
                "elif _may_hold(ended):",
                "elif False:",
            ),
        ),
        focus=LEFT,
    ),
    Mutation(
        "wait-passed-over",
        "gateway",
        "A snapshot took the place of entries, and nobody looks for the waits that ended in them.",
        (
            Edit(
                "server.gateway:Gateway.resync",
                "self.acquires.look_up(self._node.applied)",
                "pass",
            ),
        ),
        within=10,
        focus=PASSED,
    ),
    Mutation(
        "first-piece-taken-for-all",
        "snapshots",
        "The first piece of a snapshot is taken for the whole file.",
        (
            Edit(
                "consensus.shipping:SnapshotReceiver.chunk",
                "last = self._expected >= marker.size",
                "last = True",
            ),
        ),
        focus=PIECES,
    ),
    Mutation(
        "version-begins-anew",
        "rings",
        "A ring that is made again begins at version 1.",
        (
            Edit(
                "machine.rings:Rings._make",
                'self._ledger.counters.get("ring", 0) + 1',
                "1",
            ),
        ),
        within=10,
        focus=REMADE,
    ),
    Mutation(
        "settings-not-changed",
        "rings",
        "A change of a ring's settings makes a version and changes nothing.",
        (
            Edit(
                "machine.rings:Rings.put",
                "self._next(name, Ring(settings, ",
                "self._next(name, Ring(ring.settings, ",
            ),
        ),
        within=10,
        focus=REMADE,
    ),
    Mutation(
        "commit-soon-forgotten",
        "transactions",
        "A commit is forgotten while a participant has not acknowledged it.",
        (
            Edit(
                "machine.transactions:Transactions._decided",
                'forget = decision == "abort" or finished',
                "forget = True",
            ),
        ),
        focus=FORGETFUL,
    ),
    Mutation(
        "read-not-new-enough",
        "gateway",
        "A read that is to see a certain revision does not wait for it.",
        (
            Edit(
                "server.gateway:Gateway.read",
                "if min_revision:",
                "if False:",
            ),
        ),
        focus=REMADE,
    ),
    Mutation(
        "peek-under-another-revision",
        "gateway",
        "What a node has, however old, is shown under the next revision.",
        (
            Edit(
                "server.reading:Reading.stale",
                "revision = self._reader.applied",
                "revision = self._reader.applied + 1",
            ),
        ),
        within=10,
        focus=REMADE,
    ),
)
