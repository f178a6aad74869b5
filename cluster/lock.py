"""Who holds a data folder: a lock on a file in it that ends with its holder, however that ends."""

from __future__ import annotations

import fcntl
import json
import os
import time

from cluster.places import Places
from cluster.problem import Problem


def acquire(places: Places) -> int:
    """An open file that holds the lock until it is closed; raises Problem, OSError."""
    # Commands that look whether somebody holds the folder hold it themselves for that moment.
    deadline = time.monotonic() + 0.5
    while True:
        lock = os.open(places.lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _still_there(lock, places):
                return lock
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(lock)
                raise Problem(in_use(places)) from None
        os.close(lock)
        time.sleep(0.02)


def _still_there(lock: int, places: Places) -> bool:
    """Whether the locked file is the folder's: a wipe removes it while it holds it."""
    try:
        return os.path.samestat(os.fstat(lock), os.stat(places.lock))
    except FileNotFoundError:
        return False


def in_use(places: Places) -> str:
    card = read_card(places)
    who = f"process {card['pid']}" if card else "another process"
    return (
        f"{places.shown()} is in use by {who}, which runs a cluster there;"
        f" `{places.command('down')}` stops it, `--data` and `--port` start another"
    )


def read_card(places: Places) -> dict[str, str | int] | None:
    """What the holder of the folder wrote about itself."""
    try:
        card = json.loads(places.lock.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return card if isinstance(card, dict) and "pid" in card and "socket" in card else None


def is_held(places: Places) -> bool:
    """Whether a supervisor runs on the folder."""
    try:
        lock = os.open(places.lock, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
