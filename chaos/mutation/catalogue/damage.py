"""Faults in what a member does when the end of its journal was damaged."""

from typing import Any

from chaos.mutation.mutation import Mutation
from chaos.mutation.patching import Edit

TAILS: dict[str, Any] = {
    "seconds": 12.0,
    "pause": 0.8,
    "http_every": 0,
    "load": 60.0,
    "faults": {"flip_needed_tail": 5, "flip_tail": 1, "kill": 1},
}
"""Members that lose what they acknowledged, while few others have it."""

MUTATIONS = (
    Mutation(
        "cut-tail-votes",
        "journal",
        "A member that lost the end of its log votes all the same.",
        (
            Edit(
                "consensus.electing:Electing.on_pre_vote_request",
                "not self.log.tail_cut and grants_pre_vote(",
                "grants_pre_vote(",
            ),
            Edit(
                "consensus.electing:Electing.on_vote_request",
                "not self.log.tail_cut and grants_vote(",
                "grants_vote(",
            ),
        ),
        within=20,
        focus=TAILS,
    ),
    Mutation(
        "cut-tail-taken-for-unfinished",
        "journal",
        "Damage behind the last sync marker is taken for a write that was not finished.",
        (
            Edit(
                "consensus.recovery:_Reader._judge",
                'return "unfinished" if segments.is_unfinished(data, end) else "damaged"',
                'return "unfinished"',
            ),
        ),
        within=10,
        focus=TAILS,
    ),
    Mutation(
        "damaged-header-taken-for-a-spare",
        "journal",
        "A new file whose header is damaged is taken for one that was never begun.",
        (
            Edit(
                "consensus.recovery:_Reader._judge_headless",
                '    return "damaged"',
                "    return cut",
            ),
        ),
        within=20,
        focus=TAILS,
    ),
    Mutation(
        "cut-tail-forgotten-at-the-next-start",
        "journal",
        "A member that lost the end of its log, and starts once more, knows nothing of it.",
        (
            Edit(
                "consensus.recovery:_Reader.recover",
                "contents.tail_cut = headers[last][0].tail_cut",
                "contents.tail_cut = False",
            ),
        ),
        within=10,
        focus=TAILS,
    ),
    Mutation(
        "cut-tail-healed-by-any-append",
        "journal",
        "A member that lost the end of its log votes again as soon as it hears a leader.",
        (
            Edit(
                "consensus.replicating:Replicating.on_append",
                "    self.heard_time = (m.term, m.time)\n",
                "    self.heard_time = (m.term, m.time)\n    self.log.heal()\n",
            ),
        ),
        within=10,
        focus=TAILS,
    ),
    Mutation(
        "cut-tail-stands",
        "journal",
        "A member that lost the end of its log stands for election.",
        (Edit("consensus.electing:Electing.elect", "or self.log.tail_cut", ""),),
        within=10,
        focus=TAILS,
    ),
)
