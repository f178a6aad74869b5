"""Faults in what is done once and answered once."""

from chaos.mutation.focus import CUTS, KILLS, SNAPSHOTS
from chaos.mutation.mutation import Mutation
from chaos.mutation.patching import Edit

MUTATIONS = (
    Mutation(
        "retry-applied-twice",
        "answers",
        "A request that comes again is executed again.",
        (Edit("machine.state:Machine._answer", "if known is not None:", "if False:"),),
        within=10,
        focus=CUTS,
    ),
    Mutation(
        "answers-lost-in-a-snapshot",
        "answers",
        "A snapshot does not hold the answers that retries are to get.",
        (Edit("machine.state:Machine._tables", "        self.answers.answers,\n", ""),),
        focus=SNAPSHOTS,
    ),
    Mutation(
        "low-ignored",
        "answers",
        "Answers that no retry will ask for are kept.",
        (Edit("machine.answers:Answers._note", "if low > gateway.low:", "if False:"),),
    ),
    Mutation(
        "answer-of-another-request",
        "answers",
        "A request gets the answer that was stored for the one before it.",
        (
            Edit(
                "machine.answers:Answers.begin",
                "self.answers.get((envelope.gateway, envelope.seq))",
                "self.answers.get((envelope.gateway, envelope.seq - 1))",
            ),
        ),
    ),
    Mutation(
        "members-differ",
        "machine",
        "What ends with a session ends in another order on every second member, and nobody compares"
        " digests.",
        (
            Edit(
                "machine.ledger:Ledger.__init__",
                "self.clock = 0\n",
                "self.clock = 0\n"
                "    Ledger.made = getattr(Ledger, 'made', 0) + 1\n"
                "    self.second = Ledger.made % 2 == 0\n",
            ),
            Edit(
                "machine.sessions:Sessions._end",
                "key for key, there in held.items() if there and key[0] == kind)",
                "[key for key, there in held.items() if there and key[0] == kind],"
                " reverse=ledger.second)",
            ),
            Edit(
                "consensus.replicating:Replicating._compare_digests",
                "if not self.digests.report(member, index, digest):",
                "if True:",
            ),
        ),
        within=10,
        focus={"workloads": ("sessions",)},
    ),
    Mutation(
        "bug-not-undone",
        "machine",
        "What a failing command had changed before it failed stays, on every member alike.",
        (
            Edit(
                "machine.state:Machine._undo",
                "self._ledger.undo(mark)",
                "pass",
            ),
            Edit(
                "machine.locks:Locks.refresh",
                "return Refreshed(",
                "if command.token % 5 == 0:\n"
                "        raise RuntimeError('a bug')\n"
                "    return Refreshed(",
            ),
        ),
        within=10,
        focus={"workloads": ("locks",)},
    ),
    Mutation(
        "retry-under-no-id",
        "gateway",
        "A retry is sent without the id of the request.",
        (
            Edit(
                "server.submissions:Submissions._try_again",
                "            submission.propose()",
                "            from msgspec.structs import replace\n"
                "            from raftcoord.commands import decode\n"
                "            again = replace(decode(submission.payload), seq=0)\n"
                "            submission.payload = encode(again)\n"
                "            submission.propose()",
            ),
        ),
        within=20,
        focus=CUTS,
    ),
    Mutation(
        "unknown-told-as-refused",
        "gateway",
        "A caller whose command may have been executed is told that it was not.",
        (
            Edit(
                "server.submissions:Submission.run_out",
                "if self.in_flight or self.unsure:",
                "if False:",
            ),
        ),
        within=30,
        focus=CUTS,
    ),
    Mutation(
        "unknown-told-as-done",
        "gateway",
        "An attempt whose outcome is unknown is given up at once, as refused.",
        (
            Edit(
                "server.submissions:Submission._outcome",
                '    if outcome.kind == "unknown":\n        self.unsure = True\n',
                '    if outcome.kind == "unknown":\n'
                "        self._owner.end(self, NoLeader('nothing was executed', retry_after=1))\n"
                "        return\n",
            ),
            Edit(
                "server.submissions:Submission._outcome",
                "    elif not self.unsure and",
                "    if not self.unsure and",
            ),
        ),
        within=20,
        focus=CUTS,
    ),
    Mutation(
        "grant-not-told",
        "gateway",
        "Who waited and was granted the lock is told what the next one is told.",
        (
            Edit(
                "server.waits:AcquireWaits.event",
                "wait = self._waits.get(request.seq)",
                "wait = self._waits.get(request.seq + 1) or self._waits.get(request.seq)",
            ),
        ),
        within=10,
        focus={"workloads": ("locks",)},
    ),
    Mutation(
        "keepalives-mixed-up",
        "gateway",
        "Keepalives that travel together get each other's answers.",
        (
            Edit(
                "server.gateway:Gateway._send_gathered",
                "zip(gathered, ended.reply.expires_in, strict=True)",
                "zip(gathered, ended.reply.expires_in[::-1], strict=True)",
            ),
        ),
        within=20,
        focus={"workloads": ("sessions",)},
    ),
    Mutation(
        "never-answered",
        "gateway",
        "A command whose time is over is never answered.",
        (
            Edit(
                "server.submissions:_Deadlines._ring",
                "                submission.run_out()",
                "                pass",
            ),
            Edit(
                "server.submissions:Submission._outcome",
                "    self._owner.park(self)",
                "    return",
            ),
        ),
        within=10,
        focus=KILLS,
    ),
)
