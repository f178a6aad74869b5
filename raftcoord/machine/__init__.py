"""The replicated state machine. No clock, no randomness, no I/O: a function of the log.

`Machine.apply` is the way in; the tables (`machine.locks`, `machine.rings`, …) answer reads.
"""

from raftcoord.machine.alarms import Alarm
from raftcoord.machine.events import (
    AlarmRaised,
    Event,
    LockGranted,
    LockReleased,
    Request,
    SessionEvent,
    TransactionEvent,
    WaitEnded,
)
from raftcoord.machine.state import Applied, Machine

__all__ = [
    "Alarm",
    "AlarmRaised",
    "Applied",
    "Event",
    "LockGranted",
    "LockReleased",
    "Machine",
    "Request",
    "SessionEvent",
    "TransactionEvent",
    "WaitEnded",
]
