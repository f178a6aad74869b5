"""Faults in who may lead."""

from chaos.mutation.focus import CUTS, KILLS, RIVALS, WIPES
from chaos.mutation.mutation import Mutation
from chaos.mutation.patching import Edit

MUTATIONS = (
    Mutation(
        "vote-twice",
        "elections",
        "A member votes for everybody who asks in its term.",
        (
            Edit(
                "consensus.elections:grants_vote",
                "voted_for in (None, candidate)",
                "True",
            ),
        ),
        focus=RIVALS,
        within=20,
        base="five",
    ),
    Mutation(
        "vote-forgotten",
        "elections",
        "A vote is kept in memory alone, and is forgotten by a restart.",
        (
            Edit(
                "consensus.electing:Electing.on_vote_request",
                "self.set_term(m.term, node.id)",
                "self.voted_for = node.id",
            ),
        ),
        within=30,
        focus=RIVALS,
    ),
    Mutation(
        "term-not-persisted",
        "elections",
        "Terms and votes never reach the journal.",
        (
            Edit(
                "consensus.core:Core.set_term",
                "self._SyncObj__setCurrentTerm(term, voted_for)",
                "self._SyncObj__raftCurrentTerm, self._SyncObj__votedForNodeId = term, voted_for",
            ),
        ),
        focus=KILLS,
    ),
    Mutation(
        "vote-for-a-shorter-log",
        "elections",
        "Whoever asks gets the vote, however much its log lacks.",
        (
            Edit("consensus.elections:grants_vote", " and theirs >= mine", ""),
            Edit("consensus.elections:grants_pre_vote", " and theirs >= mine", ""),
        ),
        focus=CUTS,
        within=20,
    ),
    Mutation(
        "quorum-one-short",
        "elections",
        "One vote less than a majority makes a leader.",
        (
            Edit(
                "consensus.elections:is_quorum",
                "2 * len(voters.intersection(ids)) > len(voters)",
                "2 * len(voters.intersection(ids)) + 2 > len(voters)",
            ),
        ),
        focus=CUTS,
    ),
    Mutation(
        "deposed-leader-keeps-answering",
        "elections",
        "A leader that hears of a higher term takes the term and goes on leading.",
        (
            Edit(
                "consensus.electing:Electing.follow",
                "if was != FOLLOWER:",
                "if was == LEADER and leader is None:\n        return\n    if was != FOLLOWER:",
            ),
        ),
        focus=CUTS,
    ),
    Mutation(
        "new-leader-drops-what-is-not-committed",
        "elections",
        "A new leader begins with the log up to its commit index.",
        (
            Edit(
                "consensus.core:Core.lead_from_here",
                "super()._SyncObj__onBecomeLeader()",
                "if self.last().index > self.commit:\n"
                "        self.cut_entries(self.commit + 1)\n"
                "        self.entries_cut(self.commit + 1)\n"
                "    super()._SyncObj__onBecomeLeader()",
            ),
        ),
        focus=KILLS,
    ),
    Mutation(
        "wiped-member-votes",
        "membership",
        "A member that lost its data folder comes back as the voter it was.",
        (
            Edit(
                "consensus.node:Node._create_journal",
                'int.from_bytes(self._edges.random_bytes(6), "big") + 1',
                "0",
            ),
        ),
        within=20,
        focus=WIPES,
    ),
    Mutation(
        "stale-answer-counted",
        "transport",
        "What a data folder that is gone answered is counted for the one in its place.",
        (
            Edit(
                "consensus.core:Core.same_folder",
                "link is not None and link.incarnation == member.incarnation",
                "link is not None",
            ),
        ),
        within=10,
        focus=WIPES,
    ),
)
