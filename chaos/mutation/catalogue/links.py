"""Faults in what members send each other, and in how members come and go."""

from chaos.mutation.focus import GARBAGE, MEMBERS, RESETS
from chaos.mutation.mutation import Mutation
from chaos.mutation.patching import Edit

MUTATIONS = (
    Mutation(
        "frame-checksum-not-checked",
        "transport",
        "A frame whose checksum is wrong is read.",
        (Edit("consensus.frames:FrameReader._decode", "zlib.crc32(body) != crc", "False"),),
        within=20,
        focus=GARBAGE,
    ),
    Mutation(
        "called-no-more",
        "transport",
        "A member whose connection broke is not called again.",
        (
            Edit(
                "consensus.transport:PeerTransport.lost",
                "            peer.lost(self._edges.monotonic() - connection.linked_at)\n",
                "            pass\n",
            ),
        ),
        focus=RESETS,
    ),
    Mutation(
        "forwarded-twice",
        "transport",
        "A proposal that is sent on to the leader is sent twice.",
        (
            Edit(
                "consensus.serving:Serving.take_proposals",
                "        self.send(self.leader, forward)\n",
                "        self.send(self.leader, forward)\n"
                "        self.send(self.leader, forward)\n",
            ),
            Edit(
                "machine.state:Machine._answer",
                "if known is not None:",
                "if False:",
            ),
        ),
    ),
    Mutation(
        "cut-configuration-stays",
        "membership",
        "The members of an entry that was cut from the log stay in force.",
        (
            Edit(
                "consensus.membership:ConfigurationHistory.cut",
                "while len(self._known) > 1 and self._known[-1].index >= index:",
                "while False:",
            ),
        ),
        within=40,
        base="five",
        focus=MEMBERS,
    ),
    Mutation(
        "learner-never-promoted",
        "membership",
        "A member that came back as a learner stays one.",
        (
            Edit(
                "consensus.raft:Raft._promote",
                "if not member.promote or",
                "if True or",
            ),
        ),
        within=10,
        base="five",
        focus=MEMBERS,
    ),
)
