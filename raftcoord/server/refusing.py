"""Acquires that do not wait and would be refused: said without the log.

What is said must be true at a moment behind the request's coming, so it is asked twice: of the
state here, which costs a look into a table where the lock is free, and, where that refuses, once
more behind a read barrier. A lease that is over by now is for the log to end.
"""

from typing import Any

from raftcoord.commands import AcquireLock, SimpleLock
from raftcoord.errors import AlreadyHeld, LockHeld, RaftcoordError
from raftcoord.machine.state import Machine

IDENTITY = ""
"""Of all callers, as in the commands of this door."""


def contended(machine: Machine, command: AcquireLock | SimpleLock) -> bool:
    """Whether an acquire that does not wait may be refused by the state here."""
    if isinstance(command, SimpleLock):
        return command.key in machine.locks.table.rows
    return not command.wait and command.name in machine.locks.table.rows


def refusal(
    machine: Machine, command: AcquireLock | SimpleLock, passed: int
) -> RaftcoordError | None:
    """What such an acquire is refused with now; None where the log has to tell.

    Args:
        passed: milliseconds since the cluster time of the state, as far as this node can tell.
    """
    if isinstance(command, SimpleLock):
        error = machine.locks.simple_refusal(command.key)
    else:
        error = machine.locks.refusal(command.name, command.session, IDENTITY, command.owner)
    return None if error is None else _later(error, passed)


def _later(error: RaftcoordError, passed: int) -> RaftcoordError | None:
    """The same so many milliseconds later; None where the lease is over then."""
    fields: dict[str, Any] = dict(error.fields)
    if isinstance(error, LockHeld):
        leases = fields["holders"] = [dict(holder) for holder in fields["holders"]]
    elif isinstance(error, AlreadyHeld):
        leases = [dict(fields["grant"])]
        fields["grant"] = leases[0]
    else:
        return error
    for lease in leases:
        left = round(lease["expires_in"] * 1000) - passed
        if left <= 0:
            return None
        lease["expires_in"] = left / 1000
        if "retry_after" in fields:
            fields["retry_after"] = min(fields["retry_after"], left / 1000)
    return type(error)(error.detail, **fields)
