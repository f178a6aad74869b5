"""Sessions: an acknowledged one lives while it is kept alive, and never comes back.

Who names a living session in a command meets it alive too; who is told `session-gone`, gone.
"""

from __future__ import annotations

from collections.abc import Iterator

from chaos.checkers.clocks import clocks_of
from chaos.checkers.facts import session_of
from chaos.checkers.lives import Life, lost
from chaos.checkers.once import once
from chaos.checkers.order import Seen, falls, repeats
from chaos.checkers.violation import Violation, shown
from chaos.history import History, Operation


@once
def session_lives(history: History) -> dict[int, Life]:
    """Session → what is known of its life, for those whose opening was acknowledged."""
    lives: dict[int, Life] = {}
    lengths: dict[int, float] = {}
    clocks = clocks_of(history)
    for item in history.of("session.open"):
        session = session_of(item)
        if item.ok and session is not None:
            life = lives.setdefault(session, Life(f"session {session}", clocks=clocks))
            life.alive.append(item)
            lengths[session] = float(item.arguments["ttl"])
            life.leases.append((item, lengths[session]))
    for item in history.operations:
        session = session_of(item)
        if session in lives and item.kind != "session.open":
            _met(lives[session], item, lengths[session])
    return lives


def _met(life: Life, item: Operation, length: float) -> None:
    if item.ok:
        life.alive.append(item)
    elif item.slug in ("unknown-session", "session-gone"):
        life.gone.append(item)
    if item.kind == "session.keepalive":
        life.leases.append((item, length))
    if item.kind == "session.close":
        if item.ok:
            life.gone.append(item)
        if item.sent:
            life.enders.append(item)


def judge(history: History) -> Iterator[Violation]:
    """Acknowledged sessions are not lost, do not come back, and their ids are never given twice."""
    for life in session_lives(history).values():
        before, behind = life.witness()
        for item in lost(life):
            text = f"{life.name} was not there, though it surely lived before and after"
            yield Violation("session lost or back again", text, shown(before, item, behind))
    seen = [
        Seen(item, session, made=True)
        for item in history.of("session.open")
        if item.ok and (session := session_of(item)) is not None
    ]
    for first, second in repeats(seen):
        text = f"session id {first.number} was given twice"
        yield Violation("session id repeated", text, shown(first.operation, second.operation))
    for earlier, later in falls(seen):
        text = f"session id {later.number} was given after {earlier.number}"
        yield Violation("session ids fall", text, shown(earlier.operation, later.operation))
