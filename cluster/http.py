"""One HTTP request at a time, in the standard library's asyncio: enough to ask a node."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from cluster.places import HOST

LARGEST = 4 << 20


class NoAnswer(Exception):
    """The request was not answered: nobody listens, the time is over, or it was no HTTP."""


@dataclass(frozen=True)
class Reply:
    """status: the HTTP status. body: decoded JSON, None where it is none."""

    status: int
    body: Any


async def request(
    port: int, method: str, path: str, body: Any = None, *, timeout: float = 1.0
) -> Reply:
    """Ask the node at `port` on this machine.

    Args:
        path: with its query, percent-encoded.
        body: sent as JSON.
        timeout: seconds for all of it.

    Raises NoAnswer.
    """
    data = b"" if body is None else json.dumps(body).encode()
    head = [f"{method} {path} HTTP/1.0", f"Host: {HOST}:{port}", f"Content-Length: {len(data)}"]
    if data:
        head.append("Content-Type: application/json")
    message = "\r\n".join([*head, "", ""]).encode() + data
    try:
        async with asyncio.timeout(timeout):
            return _parse(await _exchange(port, message))
    except (OSError, ValueError, asyncio.IncompleteReadError) as error:
        raise NoAnswer(f"no answer from {HOST}:{port}: {error}") from error


async def _exchange(port: int, message: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(message)
        answer = b""
        # HTTP/1.0: the answer ends where the connection does.
        while piece := await reader.read(65_536):
            answer += piece
            if len(answer) > LARGEST:
                raise ValueError("the answer is too large")
        return answer
    finally:
        writer.close()


def _parse(answer: bytes) -> Reply:
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b"\r\n")[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/"):
        raise ValueError("the answer is no HTTP")
    try:
        decoded = json.loads(body) if body else None
    except ValueError:
        decoded = None
    return Reply(int(words[1]), decoded)
