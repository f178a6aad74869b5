"""Faults in reads, and in what a leader may say without the log."""

from chaos.mutation.focus import CUTS, KILLS
from chaos.mutation.mutation import Mutation
from chaos.mutation.patching import Edit

MUTATIONS = (
    Mutation(
        "read-without-a-quorum",
        "reads",
        "A leader answers reads without asking whether it still leads.",
        (
            Edit(
                "consensus.reads:ReadRounds.serve",
                "if not has_quorum([*heard, me]):",
                "if False:",
            ),
        ),
        within=20,
        focus=CUTS,
    ),
    Mutation(
        "read-before-the-first-commit",
        "reads",
        "A new leader answers reads before an entry of its own term is committed.",
        (
            Edit(
                "consensus.replicating:Replicating.send_appends",
                "self.reads.fresh and self.own_first is not None and self.commit >= self.own_first",
                "self.reads.fresh",
            ),
        ),
        within=20,
        focus=KILLS,
    ),
    Mutation(
        "read-at-a-follower",
        "reads",
        "A follower answers reads by what it has.",
        (
            Edit(
                "consensus.serving:Serving.read",
                "self._asked_reads.add(self._when_applied(done))",
                "done(self.applied)",
            ),
        ),
        focus=CUTS,
    ),
    Mutation(
        "read-before-it-is-applied",
        "reads",
        "A read is answered when its index is known, whether or not it is applied here.",
        (
            Edit(
                "consensus.serving:Serving._when_applied",
                "if index is None or index <= self.applied:",
                "if True:",
            ),
        ),
        within=10,
        focus=CUTS,
    ),
    Mutation(
        "read-without-the-barrier",
        "gateway",
        "The gateway reads what is here, as if a stale read had been asked for.",
        (
            Edit(
                "server.gateway:Gateway.read",
                "    if stale:",
                "    if True:",
            ),
        ),
        focus=CUTS,
    ),
    Mutation(
        "read-joins-a-barrier-under-way",
        "gateway",
        "A read that comes while a barrier is asked for is answered with it.",
        (
            Edit(
                "server.reading:Reading._pass",
                "batch, self._batch = self._batch, None",
                "batch = self._batch",
            ),
            Edit(
                "server.reading:Reading._ask",
                "    def done(index: int | None) -> None:\n",
                "    def done(index: int | None) -> None:\n"
                "        if self._batch is batch:\n"
                "            self._batch = None\n",
            ),
        ),
        within=30,
        focus=CUTS,
    ),
    Mutation(
        "refusal-without-the-barrier",
        "gateway",
        "An acquire is refused by what is here, without asking whether it is still so.",
        (
            Edit(
                "server.waits:AcquireWaits.begin",
                "self._check(lambda revision: self._confirm(wait, revision))",
                "self._confirm(wait, self._machine.applied)",
            ),
        ),
        within=10,
        focus=CUTS,
    ),
)
