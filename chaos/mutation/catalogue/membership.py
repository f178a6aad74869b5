"""Faults in how the members of a cluster are changed."""

from typing import Any

from chaos.mutation.focus import MEMBERS
from chaos.mutation.mutation import Mutation
from chaos.mutation.patching import Edit

CHANGES: dict[str, Any] = {
    **MEMBERS,
    "faults": {
        "changes_at_once": 3,
        "changes_at_first": 4,
        "add_member": 4,
        "snapshot": 3,
        "slow_network": 1,
        "isolate_leader": 1,
    },
}
"""Leaders that come and go, and are asked for more changes than they may make."""

MUTATIONS = (
    Mutation(
        "change-before-an-entry-of-its-own",
        "membership",
        "A leader changes the members before it has committed an entry of its own term.",
        (
            Edit(
                "consensus.raft:Raft.change_configuration",
                "first_committed\n        and self._writable\n        and",
                "True and",
            ),
        ),
        base="five",
        focus=CHANGES,
    ),
    Mutation(
        "changes-pile-up",
        "membership",
        "A leader changes the members while another change is under way.",
        (
            Edit(
                "consensus.raft:Raft.change_configuration",
                "and self.history.index <= self.commit",
                "",
            ),
        ),
        base="five",
        focus=CHANGES,
    ),
    Mutation(
        "two-changes-in-one",
        "membership",
        "One change may take away two voters.",
        (
            Edit(
                "consensus.membership:is_single_change",
                "len(old.voters ^ new.voters) <= 1",
                "len(old.voters ^ new.voters) <= 2",
            ),
        ),
        base="five",
        focus=CHANGES,
    ),
    Mutation(
        "snapshot-of-members-to-be",
        "membership",
        "A snapshot holds the members by the log's end, committed or not.",
        (
            Edit(
                "consensus.raft:Raft.take_snapshot",
                "self.history.at(self.applied)",
                "self.history.current",
            ),
        ),
        base="five",
        focus=CHANGES,
    ),
)
