"""What the nodes of a cluster say of themselves, whoever started them."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Said:
    """What a node says of itself; `role` as in /v1/status."""

    role: str
    term: int
    revision: int
    ready: bool


class Members:
    """Nodes that can be asked. `addresses`: node → "host:port" for callers."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self.addresses = dict(addresses)

    @property
    def ids(self) -> tuple[str, ...]:
        """The nodes, in their order."""
        return tuple(self.addresses)

    def said(self, node: str, timeout: float = 1.0) -> Said | None:
        """What the node says of itself now; None where it does not answer."""
        status = status_of(self.addresses[node], timeout)
        try:
            return Said(
                str(status["role"]),
                int(status["term"]),
                int(status["revision"]),
                bool(status["ready"]),
            )
        except (KeyError, TypeError, ValueError):
            return None

    def ready(self, *nodes: str) -> bool:
        """Whether these nodes say that they are ready; without names, all."""
        said = (self.said(node) for node in nodes or self.ids)
        return all(what is not None and what.ready for what in said)

    def leader(self) -> str | None:
        """The node that calls itself leader, of two the one of the higher term."""
        said = {node: self.said(node) for node in self.ids}
        leading = [
            (what.term, node)
            for node, what in said.items()
            if what is not None and what.role == "leader" and what.ready
        ]
        return max(leading)[1] if leading else None


def status_of(address: str, timeout: float) -> dict[str, Any]:
    """The body of /v1/status at "host:port"; empty where there is none."""
    connection = http.client.HTTPConnection(address, timeout=timeout)
    try:
        connection.request("GET", "/v1/status")
        answer = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    finally:
        connection.close()
    return answer if isinstance(answer, dict) else {}
