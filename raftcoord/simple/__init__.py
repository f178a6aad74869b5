"""Three small classes for people who want no more than that.

    from raftcoord.simple import ConsistentHash, DistributedLock, DistributedTransaction

    node = ConsistentHash(["cache-1", "cache-2", "cache-3"]).get("user:42")

    with DistributedLock(key="nightly-report", expire=60):
        ...

    transaction = DistributedTransaction(key="order:42")
    if transaction.prepare():
        transaction.commit()

The lock and the transaction speak the simple protocol: two URLs, `GET /lock` and
`POST /transaction`. They are synchronous and need nothing but the standard library. What goes
wrong is raised as an error of `raftcoord.errors`; an error's `blame` says whether the caller, the
state, the cluster or an unknown outcome is behind it.
"""

from raftcoord.simple.hashing import ConsistentHash
from raftcoord.simple.lock import DistributedLock
from raftcoord.simple.transaction import DistributedTransaction

__all__ = ["ConsistentHash", "DistributedLock", "DistributedTransaction"]
