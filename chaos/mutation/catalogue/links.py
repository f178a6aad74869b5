"""Faults in what members send each other, and in how members come and go."""

from chaos.mutation.focus import GARBAGE, LATE, MEMBERS, RESETS
from chaos.mutation.mutation import Mutation
from chaos.mutation.patching import Edit

MUTATIONS = (
    Mutation(
        "frame-checksum-not-checked",
        "transport",
        "A frame whose checksum is wrong is read.",
        (Edit("consensus.frames:FrameReader._decode", "zlib.crc32(body) != crc", "False"),),
        within=60,
        focus=GARBAGE,
    ),
    Mutation(
        "half-a-frame-lost",
        "transport",
        "What a buffer holds of a frame that is not complete is dropped when it is made room for.",
        (
            Edit(
                "consensus.frames:FrameReader.buffer",
                "elif self._start and BUFFER - self._end < _COMPACT:",
                "elif self._start:",
            ),
            Edit(
                "consensus.frames:FrameReader.buffer",
                "rest = bytes(self._buffer[self._start : self._end])",
                "rest = b''",
            ),
        ),
        within=20,
        focus={**RESETS, "load": 100.0, "faults": {"narrow_link": 4, "slow_network": 1, "kill": 1}},
    ),
    Mutation(
        "old-connection-delivers",
        "transport",
        "What an old connection still held is delivered as if the new one had brought it.",
        (
            Edit(
                "consensus.transport:PeerTransport.linked",
                "        old.close()\n",
                "",
            ),
            Edit(
                "consensus.transport:PeerTransport.linked",
                "        if not connection.is_linked:\n            return\n",
                "",
            ),
        ),
        within=60,
        focus=LATE,
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
        "two-changes-of-members-at-once",
        "membership",
        "Members are changed while the last change is not committed, and by more than one voter.",
        (
            Edit(
                "consensus.raft:Raft.change_configuration",
                "        and self.history.index <= self.commit\n",
                "",
            ),
            Edit(
                "consensus.membership:is_single_change",
                "len(old.voters ^ new.voters) <= 1 and bool(new.voters)",
                "bool(new.voters)",
            ),
        ),
        within=60,
        base="five",
        focus=MEMBERS,
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
        within=60,
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
