"""Faults of the callers: what a cluster has to bear from its clients. They hurt no node."""

from __future__ import annotations

from chaos.nemesis.fault import Fault


class KillClient(Fault):
    """A client process dies in the midst of its requests; another takes its place."""

    name = "kill-client"
    about = "SIGKILL to a client in the midst of its requests; what it held runs out"
    spans = ((0.0, 0.2),)
    foreign = True

    def start(self) -> None:
        """Kill one."""
        client = self.random.choice(self.site.clients.working)
        self.detail = client
        self.site.clients.kill(client)

    def stop(self) -> None:
        """Its place is taken already."""


class PauseClient(Fault):
    """A client stands still for longer than its leases, and goes on believing in them."""

    name = "pause-client"
    about = "SIGSTOP to a client, for less or more than its leases last"
    spans = ((0.5, 2.0), (4.0, 7.0))
    foreign = True

    def start(self) -> None:
        """Stop one where it stands."""
        self.detail = self.random.choice(self.site.clients.working)
        self.site.clients.pause(self.detail)

    def stop(self) -> None:
        """Let it go on."""
        self.site.clients.resume(self.detail)
