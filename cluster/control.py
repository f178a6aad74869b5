"""How the other commands talk to the supervisor: a Unix socket, one JSON object a line.

An order is one line; the answer is any number of {"say": text} and then {"done": result} or
{"error": text}. The socket is in the data folder, whose rights are the caller's alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from cluster.lock import is_held, read_card
from cluster.places import Places
from cluster.problem import Problem

LONGEST_PATH = 100
"""Bytes of a socket's path that every system takes (sun_path: 104 to 108)."""
LARGEST_ORDER = 65_536
Obey = Callable[[dict[str, Any], Callable[[str], None]], Awaitable[Any]]


class ControlServer:
    """The supervisor's end. obey: carries out an order, raises Problem where it cannot."""

    def __init__(self, places: Places, obey: Obey) -> None:
        self._obey = obey
        self._own_folder: str | None = None
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        path = places.folder / "control.sock"
        if len(os.fsencode(path)) > LONGEST_PATH:
            self._own_folder = tempfile.mkdtemp(prefix="raftcoord-")
            path = Path(self._own_folder) / "control.sock"
        self.path = path

    async def open(self) -> None:
        # We hold the folder's lock: a socket that is there was left by somebody who ended.
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(
            self._serve, self.path, limit=LARGEST_ORDER, backlog=16
        )
        self.path.chmod(0o600)

    async def close(self) -> None:
        """Let answers that are on their way leave, for a moment."""
        if self._server is not None:
            self._server.close()
        if self._open:
            await asyncio.wait(self._open, timeout=2)
        with contextlib.suppress(OSError):
            self.path.unlink()
            if self._own_folder is not None:
                os.rmdir(self._own_folder)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        task.add_done_callback(self._open.discard)

        def send(kind: str, value: Any) -> None:
            writer.write(json.dumps({kind: value}).encode() + b"\n")

        try:
            order = json.loads(await reader.readline())
            try:
                send("done", await self._obey(order, lambda text: send("say", text)))
            except Problem as problem:
                send("error", str(problem))
            await writer.drain()
        except (OSError, ValueError):
            # Whoever asked went away, or sent what is no order.
            return
        finally:
            writer.close()


def ask(
    places: Places, order: dict[str, Any], say: Callable[[str], None] = print, wait: float = 120
) -> Any:
    """Give the supervisor an order and return its result.

    Args:
        say: takes the lines it says meanwhile.
        wait: seconds between two lines after which it counts as stuck.

    Raises Problem: what the supervisor answered, or that there is none.
    """
    with _connect(places) as connection:
        connection.settimeout(wait)
        try:
            connection.sendall(json.dumps(order).encode() + b"\n")
            with connection.makefile("r", encoding="utf-8") as answers:
                for line in answers:
                    answer = json.loads(line)
                    if "say" in answer:
                        say(answer["say"])
                        continue
                    if "error" in answer:
                        raise Problem(answer["error"])
                    return answer.get("done")
        except TimeoutError:
            raise Problem(
                f"the supervisor does not answer; `{places.command('down')}` ends it"
            ) from None
        except (OSError, ValueError):
            pass
    raise Problem("the supervisor ended before it answered")


def _connect(places: Places) -> socket.socket:
    """A connection to the supervisor, which may just be on its way up."""
    deadline = time.monotonic() + 3
    while is_held(places):
        card = read_card(places)
        if card is not None:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(card["socket"]))
            except OSError:
                connection.close()
            else:
                return connection
        if time.monotonic() > deadline:
            raise Problem(
                "a supervisor holds the folder and takes no orders;"
                f" `{places.command('down')}` ends it"
            )
        time.sleep(0.05)
    raise Problem(f"no cluster runs in {places.shown()}; start it with `{places.command('up')}`")
