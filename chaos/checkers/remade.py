"""Rings that are deleted and made again: what is deleted is gone, what is made is there.

A ring that is made again goes on above every version that a deleted one had. So whoever is shown an
older version behind the delete is shown what is gone. That versions never fall otherwise, and that
each has one content, is `rings`' business.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from chaos.checkers.facts import version_of
from chaos.checkers.violation import Violation, shown
from chaos.history import History, Operation

_MAKE = frozenset(("ring.put", "ring.join"))
_LOOK = frozenset(("ring.read", "ring.lookup"))


def judge(history: History) -> Iterator[Violation]:
    """All rules about rings that were made or deleted by name."""
    rings: dict[str, list[Operation]] = defaultdict(list)
    for item in history.of("ring.delete", "ring.leave", *_MAKE, *_LOOK):
        rings[str(item.arguments["ring"])].append(item)
    for name, items in rings.items():
        if any(item.kind in ("ring.put", "ring.delete") for item in items):
            yield from _gone(name, items)
            yield from _there(name, items)
            yield from _settings(name, items)


def _gone(name: str, items: list[Operation]) -> Iterator[Violation]:
    """What began behind a delete knows no version up to the deleted one's."""
    deletes = [item for item in items if item.kind == "ring.delete" and item.ok]
    for delete in deletes:
        last = version_of(delete) or 0
        for item in items:
            version = version_of(item) if item.ok else None
            if item.begin > delete.end and version is not None and version <= last:
                text = f"ring {name} was deleted at version {last}, and is seen at {version} later"
                yield Violation("deleted ring seen", text, shown(delete, item))
                break


def _there(name: str, items: list[Operation]) -> Iterator[Violation]:
    """What was made is there until somebody may have deleted it."""
    deletes = [item for item in items if item.kind == "ring.delete" and item.sent]
    missed = [item for item in items if item.slug == "unknown-ring"]
    for made in items:
        if made.kind not in _MAKE or not made.ok:
            continue
        for item in missed:
            if item.begin <= made.end:
                continue
            if not any(
                delete is not item
                and delete.begin < item.end
                and (delete.outcome == "unknown" or delete.end > made.begin)
                for delete in deletes
            ):
                text = f"ring {name} was made, and is not there later; nobody deleted it"
                yield Violation("ring lost", text, shown(made, item))
                return


def _settings(name: str, items: list[Operation]) -> Iterator[Violation]:
    """A version that a put made has what was asked for."""
    puts = {
        version_of(item): item
        for item in items
        if item.kind == "ring.put" and item.ok and item.answer.get("changed") is True
    }
    for item in items:
        put = puts.get(version_of(item)) if item.kind == "ring.read" and item.ok else None
        if put is None:
            continue
        wanted, has = put.arguments.get("virtual_nodes"), item.answer.get("virtual_nodes")
        if wanted is not None and has != wanted:
            text = f"ring {name} has {has} virtual nodes where {wanted} were asked for"
            yield Violation("other settings", text, shown(put, item))
