"""What a client heard of its request, and what that says of the request's outcome."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from chaos.history import Outcome
from raftcoord.errors import ERRORS

_decode = msgspec.json.Decoder().decode
NO_OUTCOME = frozenset(("outcome-unknown",))


@dataclass(frozen=True)
class Heard:
    """What a client heard of its request; see `chaos.history.Result` for the fields."""

    outcome: Outcome
    status: int | None = None
    slug: str | None = None
    revision: int | None = None
    answer: dict[str, Any] = field(default_factory=dict)
    why: str | None = None


def hear(status: int, revision: str | None, body: bytes) -> Heard:
    """What an HTTP answer says; `revision`: its header Raftcoord-Revision, where it has one."""
    try:
        answer = _decode(body) if body else {}
    except msgspec.DecodeError:
        answer = None
    if not isinstance(answer, dict):
        return Heard("unknown", status, why="the answer is no JSON object")
    number = int(revision) if revision is not None and revision.isdigit() else None
    if 200 <= status < 300:
        return Heard("ok", status, None, number, answer)
    slug = str(answer.get("type", "")).rpartition("/")[2] or None
    known = slug in ERRORS and slug not in NO_OUTCOME
    # A refusal says with its slug that nothing was executed; what has none, says nothing.
    return Heard("refused" if known else "unknown", status, slug, number, answer)
