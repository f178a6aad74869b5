"""Faults in what is copied, counted and committed."""

from chaos.mutation.focus import CUTS, POWER, UNSENT
from chaos.mutation.mutation import Mutation
from chaos.mutation.patching import Edit

MUTATIONS = (
    Mutation(
        "acknowledge-before-sync",
        "replication",
        "Votes and acknowledgements leave before what they rest on is durable.",
        (Edit("consensus.core:Core.send_durable", "self.needs <= self.log.synced", "True"),),
        focus=POWER,
    ),
    Mutation(
        "leader-counts-itself-before-sync",
        "replication",
        "The leader counts its own copy as soon as it has written it.",
        (
            Edit(
                "consensus.replicating:Replicating.count_copies",
                "self.log.synced_index",
                "self.last().index",
            ),
        ),
        focus=POWER,
    ),
    Mutation(
        "refusal-counted",
        "replication",
        "An append that was refused counts as one that was acknowledged.",
        (Edit("consensus.replication:next_after_answer", "if ok:", "if True:"),),
        focus=CUTS,
    ),
    Mutation(
        "old-leader-heeded",
        "replication",
        "A follower takes the entries of a leader whose term is over.",
        (
            Edit(
                "consensus.electing:Electing.heed_leader",
                "if term < self.term:",
                "if self.role == LEADER and term < self.term:",
            ),
        ),
        within=20,
        focus=CUTS,
    ),
    Mutation(
        "commit-of-an-older-term",
        "replication",
        "A leader commits entries of an older term by counting copies.",
        (
            Edit(
                "consensus.replication:committed_index",
                "index > commit and term_at(index) == term",
                "index > commit",
            ),
            # One entry each: else the first entry of the leader's own travels with the older ones.
            Edit(
                "consensus.replicating:Replicating._send_entries",
                "if batch and size > self.settings.batch:",
                "if batch:",
            ),
        ),
        within=40,
        focus=UNSENT,
    ),
    Mutation(
        "commit-by-one-copy",
        "replication",
        "An entry is committed as soon as one voter has it.",
        (
            Edit(
                "consensus.replication:committed_index",
                "ranked[len(voters) // 2]",
                "ranked[0]",
            ),
        ),
        focus=CUTS,
    ),
    Mutation(
        "matching-entries-cut",
        "replication",
        "An append cuts the log also where it holds what the log holds.",
        (
            Edit(
                "consensus.replication:plan_append",
                "if term_at(index) != term:",
                "if index > commit:",
            ),
        ),
        within=20,
        focus=CUTS,
    ),
    Mutation(
        "follower-acknowledges-what-it-lacks",
        "replication",
        "A follower acknowledges one entry more than it has.",
        (
            Edit(
                "consensus.replicating:Replicating.on_append",
                "self.answer(node, m.round, ok=plan.ok, index=plan.index, carried",
                "self.answer(node, m.round, ok=plan.ok, index=plan.index + plan.ok, carried",
            ),
        ),
        focus=CUTS,
    ),
    Mutation(
        "log-match-not-checked",
        "replication",
        "A follower appends behind an entry that is not the leader's.",
        (
            Edit(
                "consensus.replication:plan_append",
                "elif term_at(prev_index) != prev_term:",
                "elif False:",
            ),
        ),
        within=10,
        focus=CUTS,
    ),
    Mutation(
        "commit-without-a-match",
        "replication",
        "A follower commits as much as the leader has, also where its own log goes another way.",
        (
            Edit(
                "consensus.replicating:Replicating.on_append",
                "self._learn_commit(min(m.commit, plan.index))",
                "self._learn_commit(min(m.commit, self.last().index))",
            ),
            Edit(
                "consensus.replicating:Replicating.on_append",
                "    if plan.ok:\n        if self._matched",
                "    if not plan.ok:\n"
                "        self._learn_commit(min(m.commit, self.last().index))\n"
                "    if plan.ok:\n        if self._matched",
            ),
        ),
        within=10,
        focus=CUTS,
    ),
    Mutation(
        "applied-before-committed",
        "replication",
        "A leader applies what it has appended, before anybody else has it.",
        (
            Edit(
                "consensus.serving:Serving.apply_committed",
                "min(self.commit, self.applied + APPLY_SLICE)",
                "min(self.last().index if self.role == LEADER else self.commit,"
                " self.applied + APPLY_SLICE)",
            ),
        ),
        focus=CUTS,
    ),
    Mutation(
        "applied-index-jumps",
        "replication",
        "One entry of fifty is passed over, on every member alike.",
        (
            Edit(
                "consensus.serving:Serving.apply_committed",
                "index = self.applied + 1\n",
                "index = self.applied + 1\n"
                "        if index % 50 == 0:\n"
                "            self.applied = index\n"
                "            continue\n",
            ),
        ),
    ),
    Mutation(
        "told-of-another-term",
        "replication",
        "A caller is told that its entry was applied when another took its place.",
        (
            Edit(
                "consensus.proposals:WaitingCallers.applied",
                "outcome if caller.term == term else refused(NO_LEADER)",
                "outcome",
            ),
            Edit(
                "consensus.proposals:WaitingCallers.cut",
                "cut = sorted(known for known in self._by_index if known >= index)",
                "cut: list[int] = []",
            ),
        ),
        within=20,
        focus=CUTS,
    ),
    Mutation(
        "cut-told-as-refused",
        "replication",
        "A caller whose entry was replaced here is told that it is executed nowhere.",
        (
            Edit(
                "consensus.proposals:WaitingCallers.cut",
                'unknown("another leader\'s log replaced the entry here")',
                "refused(NO_LEADER)",
            ),
        ),
        within=40,
        focus=CUTS,
    ),
)
