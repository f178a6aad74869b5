"""Three raftcoord nodes, configured as a user would: by TOML file, with every default."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

import raftcoord
from bench.nodes import HOST, Node, System, View, ask
from bench.processes import Child

ROOT = Path(__file__).resolve().parent.parent


class Raftcoord(System):
    """`python -m raftcoord serve` three times; --init at the first start only."""

    name = "raftcoord"

    @classmethod
    def missing(cls) -> str | None:
        return None

    def version(self) -> str:
        return f"raftcoord {getattr(raftcoord, '__version__', 'of this folder')}"

    def _prepare(self, ports: Sequence[int]) -> list[Node]:
        secret = self._folder / "secret"
        secret.write_text(secrets.token_hex(32), encoding="ascii")
        secret.chmod(0o600)
        members = [
            (f"n{number}", http, peer)
            for number, (http, peer) in enumerate(zip(ports[::2], ports[1::2], strict=True), 1)
        ]
        table = "".join(
            f'[cluster.members.{name}]\npeer = "{HOST}:{peer}"\nhttp = "{HOST}:{http}"\n'
            for name, http, peer in members
        )
        for name, http, peer in members:
            (self._folder / f"{name}.toml").write_text(
                f'[node]\nid = "{name}"\ndata = "{self._folder / name}"\n'
                f'[http]\nhost = "{HOST}"\nport = {http}\n'
                f'[peers]\nhost = "{HOST}"\nport = {peer}\nsecret_file = "{secret}"\n'
                f'[cluster]\nname = "bench"\n{table}',
                encoding="utf-8",
            )
        return [Node(self._child(name, "--init"), http) for name, http, _ in members]

    def _after_first_start(self) -> None:
        for node in self.nodes:
            node.child.start_again_as(self._command(node.child.name))

    def _child(self, name: str, *more: str) -> Child:
        return Child(name, self._command(name, *more), self._folder / f"{name}.log", ROOT)

    def _command(self, name: str, *more: str) -> list[str]:
        config = str(self._folder / f"{name}.toml")
        return [sys.executable, "-m", "raftcoord", "serve", "--config", config, *more]

    def view(self, node: Node) -> View | None:
        status = ask("GET", node.port, "/v1/status")
        if not isinstance(status, dict) or not status.get("leader"):
            return None
        return View(str(status["node"]), str(status["leader"]), int(status["revision"]))
