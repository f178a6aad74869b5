"""Faults in what is done where disks are full."""

from typing import Any

from chaos.mutation.mutation import Mutation
from chaos.mutation.patching import Edit

FULL: dict[str, Any] = {
    "seconds": 16.0,
    "pause": 4.0,
    "http_every": 0,
    "load": 150.0,
    "faults": {"full_disk_of_leader": 1},
    "workloads": ("locks", "sessions", "rings", "transactions"),
}
"""The disk of the leader is full for long, and all else is well."""

OFTEN: dict[str, Any] = {**FULL, "pause": 0.7, "faults": {"full_disk": 1}}
OFTEN_MOST: dict[str, Any] = {**FULL, "pause": 3.0, "faults": {"full_disk_of_majority": 1}}

MUTATIONS = (
    Mutation(
        "full-disk-not-heeded",
        "journal",
        "A leader whose disk is full appends what clients ask for.",
        (
            Edit(
                "consensus.replicating:Replicating.has_room",
                "return not self.log.full and is_quorum(self.voters - full, self.voters)",
                "return True",
            ),
        ),
        within=10,
        focus=OFTEN,
    ),
    Mutation(
        "full-followers-not-heeded",
        "journal",
        "A leader appends what clients ask for while the disks of most followers are full.",
        (
            Edit(
                "consensus.replicating:Replicating.has_room",
                "return not self.log.full and is_quorum(self.voters - full, self.voters)",
                "return not self.log.full",
            ),
        ),
        within=10,
        focus=OFTEN_MOST,
    ),
    Mutation(
        "no-hand-over-for-room",
        "journal",
        "A leader whose disk is full goes on to lead, though others have room.",
        (
            Edit(
                "consensus.raft:Raft._hand_over_for_room",
                "for node in self.peers():",
                "for node in ():",
            ),
        ),
        within=10,
        focus=FULL,
    ),
)
