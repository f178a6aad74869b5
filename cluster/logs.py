"""`logs`: the last lines of the nodes' logs, and what comes after."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

from cluster.places import NodePlace, Places
from cluster.problem import Problem


def logs(places: Places, nodes: list[NodePlace], *, lines: int, follow: bool) -> int:
    """Print the last `lines` of each log, and with `follow` what is added, until interrupted."""
    files = {node.id: node.log for node in nodes if node.log.exists()}
    if not files:
        raise Problem(f"no node of {places.shown()} has a log yet")
    positions = {}
    for name, log in files.items():
        text, positions[name] = _added(log, 0)
        shown = text.splitlines()[-lines:] if lines > 0 else []
        _show(name if len(files) > 1 else "", shown)
    with contextlib.suppress(KeyboardInterrupt):
        while follow:
            for name, log in files.items():
                text, positions[name] = _added(log, positions[name])
                _show(name if len(files) > 1 else "", text.splitlines())
            time.sleep(0.2)
    return 0


def _show(name: str, lines: list[bytes]) -> None:
    for line in lines:
        text = line.decode(errors="replace")
        print(f"{name}  {text}" if name else text)
    sys.stdout.flush()


def _added(log: Path, position: int) -> tuple[bytes, int]:
    """Whole lines behind `position`, and where they end; a log that was cut begins anew."""
    try:
        with open(log, "rb") as file:
            if file.seek(0, 2) < position:
                position = 0
            file.seek(position)
            text = file.read()
    except OSError:
        return b"", position
    whole = text[: text.rfind(b"\n") + 1]
    return whole, position + len(whole)
