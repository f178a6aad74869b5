"""The last look: everything that can be read, read through every node."""

from __future__ import annotations

from typing import Any

from chaos.history import Operation
from chaos.workloads.caller import Caller

PAGE = 1_000
TRIES = 6
"""How often a question is put to all nodes: what was kept for an hour may just be forgotten, and
each time that is another revision."""


async def read_everything(caller: Caller) -> bool:
    """Read all through all nodes; whether each question got its answers at one revision."""
    agreed = await _everywhere(caller, "locks.list", limit=PAGE)
    agreed &= await _everywhere(caller, "sessions.list", limit=PAGE)
    agreed &= await _everywhere(caller, "rings.list", limit=PAGE)
    rings = await caller.ask("rings.list", limit=PAGE)
    for ring in rings.answer.get("rings", ()):
        if ring["name"].startswith(caller.realm):
            agreed &= await _everywhere(caller, "ring.read", ring=ring["name"])
    after: int | None = 0
    while after is not None:
        agreed &= await _everywhere(caller, "transactions.list", limit=PAGE, after=after)
        page = await caller.ask("transactions.list", limit=PAGE, after=after)
        following = page.answer.get("next")
        after = following if page.ok and following is not None and following > after else None
    return bool(agreed)


async def _everywhere(caller: Caller, kind: str, **arguments: Any) -> bool:
    for _ in range(TRIES):
        answers: list[Operation] = [
            await caller.ask(kind, node=node, **arguments) for node in caller.nodes
        ]
        if all(item.ok for item in answers) and len({item.revision for item in answers}) == 1:
            return True
    return False
