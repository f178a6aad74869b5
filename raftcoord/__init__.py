"""raftcoord: a coordination server. One Raft log decides who holds which lock, who is on the
ring, and whether a transaction commits.

- `raftcoord.simple`: three small classes for a lock, a transaction and a hash ring.
- `raftcoord.hashring`: the ring's mathematics.
- `raftcoord.errors`: every error, and the table of their slugs.
- `raftcoord.commands`: the vocabulary of the log and the wire.
"""

from raftcoord.errors import ERRORS, OutcomeUnknown, RaftcoordError

__version__ = "0.1.0"

__all__ = ["ERRORS", "OutcomeUnknown", "RaftcoordError", "__version__"]
