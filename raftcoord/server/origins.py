"""Who may talk to the door: no page of another site in somebody's browser.

A browser sends a page's requests to 127.0.0.1 as well. Origin and Sec-Fetch-Site give such a
page away (Fetch Metadata, W3C; RFC 6454), and an unknown Host gives a name away that was bound
to this address to get around them (DNS rebinding).
"""

from collections.abc import Iterable

from aiohttp.web import BaseRequest

from raftcoord.errors import Forbidden

_CACHED = 1_000
_FRIENDLY_SITES = ("same-origin", "none")


class Origins:
    """The names this door goes by. hosts: without ports."""

    def __init__(self, hosts: Iterable[str]) -> None:
        self._hosts = {host.lower() for host in hosts} | {"localhost", "127.0.0.1", "::1"}
        self._known: set[str] = set()

    def check(self, request: BaseRequest) -> None:
        """Raises Forbidden for an unknown Host and for a request that another site's page made."""
        headers = request.headers
        host = headers.get("Host")
        if host is not None and host not in self._known:
            self._check_host(host, request)
        site = headers.get("Sec-Fetch-Site")
        if site is not None and site not in _FRIENDLY_SITES:
            raise Forbidden("a page of another site may not ask", reason="cross-site")
        origin = headers.get("Origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            raise Forbidden(f"a page of {origin[:200]} may not ask", reason="cross-site")

    def knows(self, host: str) -> bool:
        """Whether this is one of our names, or an address of ours that somebody came to."""
        return host in self._known or _without_port(host) in self._hosts

    def _check_host(self, host: str, request: BaseRequest) -> None:
        if not self.knows(host) and not self._is_our_address(host, request):
            raise Forbidden(
                f"{host[:200]!r} is no name of this node; add it to http.hosts",
                reason="unknown-host",
            )
        if len(self._known) < _CACHED:
            self._known.add(host)

    def _is_our_address(self, host: str, request: BaseRequest) -> bool:
        """Whether the connection came in at this very address; no other name leads to a number."""
        transport = request.transport
        address = None if transport is None else transport.get_extra_info("sockname")
        return isinstance(address, tuple) and _without_port(host) == address[0]


def _without_port(host: str) -> str:
    host = host.lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
