"""All judges of one run, as observers of its world."""

from __future__ import annotations

from chaos.simulation.judges.answers import Answers
from chaos.simulation.judges.bounds import Bounds
from chaos.simulation.judges.calm import Calm
from chaos.simulation.judges.chronicle import Chronicle
from chaos.simulation.judges.clocks import Clocks
from chaos.simulation.judges.configurations import Configurations
from chaos.simulation.judges.decisions import Decisions
from chaos.simulation.judges.due import Due
from chaos.simulation.judges.durability import Durability
from chaos.simulation.judges.elections import ElectionSafety
from chaos.simulation.judges.forgetting import Forgetting
from chaos.simulation.judges.limits import Limits
from chaos.simulation.judges.locks import Locks
from chaos.simulation.judges.logs import Logs
from chaos.simulation.judges.membership import Membership
from chaos.simulation.judges.once import Once
from chaos.simulation.judges.platters import Platters
from chaos.simulation.judges.reads import Reads
from chaos.simulation.judges.reigns import Reigns
from chaos.simulation.judges.rings import Rings
from chaos.simulation.judges.room import Room
from chaos.simulation.judges.sessions import Sessions
from chaos.simulation.judges.strangers import Strangers
from chaos.simulation.judges.votes import Votes
from chaos.simulation.judges.waits import Waits
from chaos.simulation.observer import Observer


def all_judges() -> tuple[Observer, ...]:
    """Fresh judges, for one world, in the order in which they are to be told."""
    once, due = Once(), Due()
    sessions = Sessions(due)
    readers = (sessions, Locks(due, sessions), Decisions(due, sessions), Rings(sessions), due)
    chronicle = Chronicle(once, readers)
    logs = Logs(chronicle)
    platters = Platters(logs)
    chronicle.add(Durability(logs, platters))
    calm = Calm(chronicle, due)
    chronicle.add(calm)
    chronicle.add(Forgetting())
    return (
        ElectionSafety(),
        logs,
        Configurations(logs),
        platters,
        Votes(logs, platters),
        chronicle,
        once,
        due,
        Clocks(),
        Reads(),
        Answers(),
        Bounds(),
        Limits(),
        Waits(),
        calm,
        Reigns(),
        Membership(logs),
        Strangers(),
        Room(),
    )
