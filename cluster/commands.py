"""The commands beside `up` and `demo` that do more than hand one order to the supervisor."""

from __future__ import annotations

import json
import signal
import sys
import time
from typing import Any

from cluster.control import ask
from cluster.folder import held
from cluster.lock import is_held, read_card
from cluster.places import NodePlace, Places
from cluster.problem import Problem
from cluster.processes import Identity
from cluster.state import State

UNTIL_DOWN = 30.0
"""Seconds a supervisor has to stop its nodes and end."""


def nodes_of(places: Places, only: int | None) -> list[NodePlace]:
    """The nodes of a folder, or one of them; raises Problem."""
    state = State.read(places.state)
    if state is None:
        raise Problem(f"there is no cluster in {places.shown()}")
    nodes = places.nodes(len(state.stages), state.port)
    if only is None:
        return nodes
    if only > len(nodes):
        raise Problem(f"there is no node {only}; there are n1 to n{len(nodes)}")
    return [nodes[only - 1]]


def status(places: Places, *, as_json: bool) -> int:
    """0 when every node is ready and one leads, else 1."""
    found = ask(places, {"do": "status"}, wait=15)
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        print(f"cluster {found['cluster']} in {places.shown()}, supervisor {found['supervisor']}")
        rows: list[tuple[str, ...]] = [
            ("node", "address", "process", "role", "term", "revision", "lag", "")
        ]
        rows += [_row(node, _lags(found)) for node in found["nodes"]]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            print("  ".join(cells).rstrip())
    healthy = all(node["phase"] == "ready" and not node["silent"] for node in found["nodes"])
    return 0 if healthy and found["leader"] else 1


def _lags(found: dict[str, Any]) -> dict[str, Any]:
    """Entries each follower is behind, as the leader counts them."""
    for node in found["nodes"]:
        if node["node"] == found["leader"] and node["status"]:
            peers = node["status"].get("peers") or {}
            return {name: peer.get("lag") for name, peer in peers.items()}
    return {}


def _row(node: dict[str, Any], lags: dict[str, Any]) -> tuple[str, ...]:
    said = node["status"] or {}
    lag = lags.get(node["node"])
    phase = node["phase"] + (" (silent)" if node["silent"] else "")
    note = "" if phase == "ready" else f"{phase}: {node['reason']}".rstrip(": ")
    return (
        node["node"],
        node["url"],
        str(node["pid"] or "-"),
        str(said.get("role", "-")),
        str(said.get("term", "-")),
        str(said.get("revision", "-")),
        "-" if lag is None else str(lag),
        note,
    )


def down(places: Places) -> int:
    """Stop the cluster; a supervisor that takes no orders is ended, once it is surely that one.

    Returns when its process is gone. Raises Problem when it does not go.
    """
    supervisor = Identity.from_json(read_card(places))
    if not is_held(places):
        _wait_until_gone(places, supervisor, 10)
        print(f"no cluster runs in {places.shown()}")
        return 0
    try:
        ask(places, {"do": "down"}, wait=UNTIL_DOWN)
    except Problem:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if supervisor is not None and supervisor.send(number):
                _wait_until_gone(places, supervisor, 15)
    # Read again: one that was just on its way up had not introduced itself before.
    if not _wait_until_gone(places, Identity.from_json(read_card(places)), 10):
        raise Problem(f"the supervisor of {places.shown()} does not end")
    print(f"stopped the cluster in {places.shown()}; its data is kept")
    return 0


def _wait_until_gone(places: Places, supervisor: Identity | None, seconds: float) -> bool:
    """Whether within `seconds` nobody held the folder and the supervisor's process was over: it
    gives the folder back a moment before it ends."""
    deadline = time.monotonic() + seconds
    while is_held(places) or (supervisor is not None and supervisor.is_alive()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def wipe(places: Places, node: int | None, *, yes: bool) -> int:
    """Remove the data of a stopped cluster, or of one stopped node."""
    if is_held(places):
        if node is None:
            raise Problem(f"the cluster runs; `{places.command('down')}` first")
        _confirm(f"remove the data of n{node}", yes)
        ask(places, {"do": "wipe", "node": node})
        return 0
    if State.read(places.state) is None:
        print(f"there is nothing to wipe in {places.shown()}")
        return 0
    what = "all data" if node is None else f"the data of n{node}"
    _confirm(f"remove {what} in {places.shown()}", yes)
    with held(places) as folder:
        if node is None:
            folder.wipe()
        else:
            (place,) = nodes_of(places, node)
            folder.wipe_node(place)
    print(f"removed {what} in {places.shown()}")
    return 0


def _confirm(what: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Problem(f"this would {what}; say --yes")
    try:
        answer = input(f"{what}? [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise Problem("nothing was removed")
