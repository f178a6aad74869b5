"""One client's connections: a kept-alive one to each node, and what became of each request."""

from __future__ import annotations

import http.client
import select
from collections.abc import Mapping

from chaos.workloads.heard import Heard, hear
from chaos.workloads.requests import Request

HOST = "127.0.0.1"


class Connections:
    """Not for use by two threads. `ports`: node → its port on this machine, or "host:port"."""

    def __init__(self, ports: Mapping[str, int | str]) -> None:
        self._addresses = {
            node: port if isinstance(port, str) else f"{HOST}:{port}"
            for node, port in ports.items()
        }
        self._open: dict[str, http.client.HTTPConnection] = {}

    def ask(self, node: str, request: Request, timeout: float) -> Heard:
        """Send a request to a node and wait for its answer, `timeout` seconds at each step."""
        try:
            connection = self._connected(node, timeout)
        except OSError as error:
            return Heard("never-sent", why=f"no connection: {error}")
        try:
            connection.request(
                request.method, request.path, request.body or None, _headers(request)
            )
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            # From the first byte on nobody can say how far it went.
            self._drop(node)
            return Heard("unknown", why=f"{type(error).__name__}: {error}")
        if response.will_close:
            self._drop(node)
        return hear(response.status, response.getheader("Raftcoord-Revision"), body)

    def close(self) -> None:
        """Close all."""
        for node in list(self._open):
            self._drop(node)

    def _connected(self, node: str, timeout: float) -> http.client.HTTPConnection:
        connection = self._open.get(node)
        if connection is not None and _closed_by_peer(connection):
            self._drop(node)
            connection = None
        if connection is None:
            connection = http.client.HTTPConnection(self._addresses[node], timeout=timeout)
            connection.connect()
            self._open[node] = connection
        connection.sock.settimeout(timeout)
        return connection

    def _drop(self, node: str) -> None:
        self._open.pop(node).close()


def _closed_by_peer(connection: http.client.HTTPConnection) -> bool:
    """Whether something is to be read where nothing was asked: the end of the connection."""
    return bool(select.select([connection.sock], [], [], 0)[0])


def _headers(request: Request) -> dict[str, str]:
    return {"Content-Type": "application/json"} if request.body else {}
